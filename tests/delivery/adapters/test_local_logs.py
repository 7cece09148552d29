"""The end of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from companyos.delivery.adapters.local.logs import last_line, tail


def test_the_last_lines_come_in_their_order(tmp_path: Path) -> None:
    """Fewer when there are fewer, none when there is no log."""
    log = tmp_path / "log"
    assert tail(log, 3) == ()
    log.write_text("one\ntwo\nthree\n")
    assert tail(log, 2) == ("two", "three")
    assert tail(log, 10) == ("one", "two", "three")
    assert tail(log, 0) == ()
    assert tail(log, -1) == ()


def test_a_log_that_was_just_rotated_is_read_on(tmp_path: Path) -> None:
    """The keeper moves it aside as ``.1``."""
    (tmp_path / "log.1").write_text("one\ntwo\n")
    (tmp_path / "log").write_text("three\n")
    assert tail(tmp_path / "log", 2) == ("two", "three")


def test_what_a_service_wrote_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    """Control characters are shown as such, bytes that are no text too, and a line has an end."""
    log = tmp_path / "log"
    log.write_bytes(b"\x1b]0;evil\x07 a\tb \xff\n" + b"x" * 5000 + b"\n")
    first, second = tail(log, 2)
    assert first == "\ufffd]0;evil\ufffd a\tb \ufffd"
    assert len(second) == 2000


def test_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    """256 KiB, however many lines are wanted."""
    log = tmp_path / "log"
    log.write_bytes(b"0123456789abcde\n" * 100_000)
    assert 16_000 < len(tail(log, 1_000_000)) <= 16_384 + 1


@pytest.mark.parametrize(("text", "line"), [("a\nb\n\n  \n", "b"), ("", ""), ("x" * 500, "x" * 200)])
def test_the_line_that_a_sentence_quotes(tmp_path: Path, text: str, line: str) -> None:
    """The last one that says something, cut."""
    (tmp_path / "log").write_text(text)
    assert last_line(tmp_path / "log") == line

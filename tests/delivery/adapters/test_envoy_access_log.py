"""Reading the access log without Envoy: positions, rotation, damage, and what a line means."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.delivery.adapters.envoy.access_log import (
    LINES_LIMIT,
    OLD_FILES,
    READ_BYTES,
    Files,
    Position,
    decode,
    parse_position,
)

START = Position(1, 0, 0)


def line(**changes: object) -> bytes:
    """One line as Envoy writes it."""
    fields: dict[str, object] = {
        "at": "1795602425.342391",
        "route": "orders|rollout-1|3|weighted",
        "arm": "r-1",
        "status": 200,
        "flags": "-",
        "ms": 2,
        "us": 2265,
        "session": None,
        "trace": None,
        "id": "request-1",
        "method": "GET",
        "path": "/",
    }
    return json.dumps(fields | changes).encode() + b"\n"


@pytest.fixture
def log(tmp_path: Path) -> Files:
    """A log with three lines."""
    files = Files(tmp_path / "access.log")
    files.path.write_bytes(line(id="1") + line(id="2") + line(id="3"))
    return files


def keys(log: Files, position: Position) -> tuple[list[str], list[str], Position]:
    """Read to the end: the keys, what was lost, and the position."""
    found: list[str] = []
    lost: list[str] = []
    for _ in range(50):
        chunk = log.read(position)
        position = chunk.position
        found += [request.key for request in decode(chunk.data)[0]]
        lost += [chunk.lost] if chunk.lost else []
        if chunk.end:
            return found, lost, position
    raise AssertionError("the log has no end")


def add(log: Files, data: bytes) -> None:
    """Write on, as Envoy does."""
    with log.path.open("ab") as file:
        file.write(data)


def test_the_end_of_a_log_is_after_its_last_whole_line(log: Files) -> None:
    """A line that is being written belongs to what is new."""
    add(log, line(id="4")[:20])
    position = log.end()
    add(log, line(id="4")[20:])
    assert keys(log, position)[0] == ["4"]


def test_a_half_line_is_read_when_it_is_whole(log: Files) -> None:
    """And only once."""
    add(log, line(id="4")[:20])
    found, lost, position = keys(log, START)
    assert (found, lost) == (["1", "2", "3"], [])
    assert keys(log, position)[:2] == ([], [])
    add(log, line(id="4")[20:])
    assert keys(log, position)[:2] == (["4"], [])


def test_an_old_file_is_read_to_its_end_before_the_new_one(log: Files) -> None:
    """Across several rotations."""
    position = log.read(START).position
    add(log, line(id="4"))
    log.rotate()
    log.path.write_bytes(line(id="5"))
    log.rotate()
    log.path.write_bytes(line(id="6"))
    found, lost, position = keys(log, position)
    assert (found, lost, position.number) == (["4", "5", "6"], [], 3)


def test_between_the_renaming_and_the_new_file_the_old_one_is_followed(log: Files) -> None:
    """Envoy writes to it until it has opened another."""
    position = log.read(START).position
    log.rotate()
    with log.numbered(1).open("ab") as file:
        file.write(line(id="4"))
    found, lost, position = keys(log, position)
    assert (found, lost) == (["4"], [])
    with log.numbered(1).open("ab") as file:
        file.write(line(id="5"))
    log.path.write_bytes(line(id="6"))
    assert keys(log, position)[:2] == (["5", "6"], [])


def test_only_a_few_old_files_are_kept_and_a_late_reader_is_told(log: Files) -> None:
    """What was deleted is lost, the rest is read."""
    for number in range(4, 10):
        log.rotate()
        log.path.write_bytes(line(id=str(number)))
    assert len(log.old()) == OLD_FILES
    found, lost, _ = keys(log, START)
    assert found == ["6", "7", "8", "9"]
    assert all("is gone" in sentence for sentence in lost)
    assert lost


@pytest.mark.parametrize("damage", ["cut", "replaced", "deleted", "replaced and longer"])
def test_a_damaged_log_is_a_loss_once(log: Files, damage: str) -> None:
    """And then reading goes on with what is there."""
    position = log.read(START).position
    if damage == "cut":
        os.truncate(log.path, 0)
    elif damage == "deleted":
        log.path.unlink()
    else:
        log.path.unlink()
        log.path.write_bytes(line(at="1795602499.0", id="9") * (9 if damage.endswith("longer") else 1))
    _, lost, position = keys(log, position)
    assert len(lost) == 1
    add(log, line(id="10"))
    found, lost, _ = keys(log, position)
    assert (found, lost) == (["10"], [])


def test_an_older_log_put_back_is_a_loss(log: Files) -> None:
    """A position in a file that does not exist any more."""
    assert "older" in str(log.read(Position(7, 10, 1)).lost)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Somebody who may write the folder cannot make us read another file."""
    (tmp_path / "elsewhere").write_bytes(line())
    log = Files(tmp_path / "access.log")
    log.path.symlink_to(tmp_path / "elsewhere")
    assert keys(log, START)[0] == []


def test_a_batch_has_a_limit(log: Files) -> None:
    """The rest follows."""
    log.path.write_bytes(line() * (LINES_LIMIT + 5))
    first = log.read(START)
    assert first.data.count(b"\n") == LINES_LIMIT or len(first.data) <= READ_BYTES
    assert not first.end
    assert len(keys(log, START)[0]) == LINES_LIMIT + 5


def test_bytes_without_a_line_end_are_a_loss_and_no_standstill(log: Files) -> None:
    """A gap of zeros after a power cut, for example."""
    position = log.read(START).position
    add(log, bytes(100_000))
    found, lost, position = keys(log, position)
    assert found == []
    assert lost
    add(log, b"\n" + line(id="4"))
    assert keys(log, position)[0] == ["4"]


@pytest.mark.parametrize(
    "text", [b"{", b"nonsense", b"[]", b"\xff\xfe", b'{"at": 5}', b'{"at":"x"}', b"{}", b"[" * 5000]
)
def test_a_line_that_cannot_be_read_is_counted(text: bytes) -> None:
    """And the others are read."""
    requests, unreadable = decode(line(id="1") + text + b"\n" + line(id="2"))
    assert [request.key for request in requests] == ["1", "2"]
    assert unreadable == 1


@pytest.mark.parametrize("changes", [{"route": None}, {"arm": None}, {"route": "unknown"}, {"route": "a|b|c|d"}])
def test_a_line_of_no_service_is_skipped(changes: dict[str, object]) -> None:
    """An unknown host is nobody's fault."""
    assert decode(line(**changes)) == ((), 0)


@pytest.mark.parametrize(
    ("status", "flags", "read"),
    [
        (200, "-", 200),
        (200, "DC", 200),
        (0, "DC", 0),
        (503, "UF,URX", 503),
        (504, "UT", 504),
        (200, "UC", 0),
        (200, "UT", 0),
        (404, "-", 404),
    ],
)
def test_an_answer_that_broke_off_has_no_status(status: int, flags: str, read: int) -> None:
    """Its head said 200, and the user has half of it. A client that leaves after the head has its answer."""
    (request,) = decode(line(status=status, flags=flags))[0]
    assert request.status == read


@pytest.mark.parametrize(
    ("session", "trace", "key"),
    [
        ("user-7", f"00-{'a' * 32}-{'b' * 16}-01", "user-7"),
        (None, f"00-{'a' * 32}-{'b' * 16}-01", "a" * 32),
        (None, "nonsense", "request-1"),
        (None, None, "request-1"),
    ],
)
def test_errors_are_told_apart_by_session_then_trace_then_request(
    session: str | None, trace: str | None, key: str
) -> None:
    """A retry or a user who tries again is one."""
    (request,) = decode(line(session=session, trace=trace))[0]
    assert request.key == key


def test_a_duration_is_in_milliseconds_with_fractions() -> None:
    """From the microseconds where they are known."""
    assert decode(line())[0][0].duration_ms == 2.265
    assert decode(line(us=None))[0][0].duration_ms == 2.0


@given(st.integers(0, 10**14), st.integers(0, 10**17), st.integers(0, 2**32 - 1))
def test_a_position_survives_as_text(number: int, offset: int, head: int) -> None:
    """So that the caller can keep it."""
    position = Position(number, offset, head)
    assert parse_position(position.text()) == position


@given(st.text(max_size=40))
def test_any_text_is_a_position_or_none(text: str) -> None:
    """And never a fault."""
    found = parse_position(text)
    assert found is None or found.text() == text or found.number >= 0

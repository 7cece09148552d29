from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from companyos.core import console
from companyos.core.console import Console, JsonOption, emit, problem_of, progress, report, safe, want_json
from companyos.core.errors import Denied, InvalidInput, Unavailable

CONTROL = {*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Always."""
        return True


@pytest.fixture(autouse=True)
def plain_mode() -> Iterator[None]:
    """Every test starts and ends without ``--json``."""
    want_json(False)
    yield
    want_json(False)


@given(st.text())
def test_nothing_that_steers_a_terminal_comes_through(text: str) -> None:
    """Escape sequences, C1 controls and direction marks are written out; tab and newline only leave a cell."""
    assert not {ord(character) for character in safe(text)} & (CONTROL - {9, 10})
    assert not {ord(character) for character in safe(text, cell=True)} & CONTROL


def test_escapes_are_readable() -> None:
    """A control character shows as what it is, and ordinary text of any script stays as it is."""
    assert safe("\x1b]0;title\x07") == r"\x1b]0;title\x07"
    assert safe("a\u202eb\x9b", cell=True) == r"a\u202eb\x9b"
    assert safe("a\r\n\tb", cell=True) == r"a\r\n\tb"
    assert safe("Größe 漢字 👍") == "Größe 漢字 👍"
    assert safe(None) == "-"


def test_table_is_plain_when_piped() -> None:
    """Columns are aligned, nothing is cut off, and nothing but text is written."""
    stream = io.StringIO()
    Console(stream).table(("Name", "State"), [("checkout", "up"), ("x" * 200, "a\nb")])
    header, first, second = stream.getvalue().splitlines()
    assert header.split() == ["Name", "State"]
    assert first.split() == ["checkout", "up"]
    assert second == f"{'x' * 200}  a\\nb"


def test_empty_table_says_so() -> None:
    """No rows are a sentence, not a header over nothing."""
    stream = io.StringIO()
    Console(stream).table(("Name",), [], empty="No services yet.")
    assert stream.getvalue() == "No services yet.\n"


def test_terminal_table_takes_no_markup_and_no_escapes_from_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a name cannot colour, hide or move anything."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    Console(stream).table(("Name",), [("[red]hello[/red]\x1b[2J",)])
    assert r"[red]hello[/red]\x1b[2J" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set, no colour is chosen on a terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Console(stream).table(("Name",), [("checkout",)])
    assert "\x1b[3" not in stream.getvalue()


def test_stream_without_unicode_gets_escapes() -> None:
    """Where a terminal cannot show a character, the character is written out instead of ending the command."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream).print("Größe")
    assert raw.getvalue() == b"Gr\\xf6\\xdfe\n"


def test_emit_gives_one_document_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With the option nothing but the document is on standard output, and progress goes to standard error."""
    want_json(True)
    progress("working")
    emit({"b": 1, "a": ["\x1b\x9b\u202e ü"]}, lambda out: out.print("for people"))
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": ["\x1b\x9b\u202e ü"], "b": 1}
    assert not {ord(character) for character in out} & (CONTROL - {10})
    assert err == "working\n"


def test_emit_is_for_people_without_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Without it the human text is written, and the document where a command has no such text."""
    progress("working")
    emit({"a": 1}, lambda out: out.print("for people"))
    emit({"a": 1}, lambda out: out.print("never"), json=True)
    emit([1])
    assert capsys.readouterr().out == 'working\nfor people\n{\n  "a": 1\n}\n[\n  1\n]\n'


def test_report_names_the_fault_and_the_next_step(capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence, then the next step, on standard error; the exit code is that of the kind."""
    assert report(Denied("You may not.", next_step="Ask.")) == 1
    assert report(InvalidInput("Wrong.\x1b[31m", field="spec.owner")) == 2
    assert report(Unavailable("Away.")) == 3
    assert capsys.readouterr() == ("", "Error: You may not.\nNext: Ask.\nError: Wrong.\\x1b[31m\nError: Away.\n")


def test_report_with_json_is_a_problem_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside ``--json`` the fault is a problem object on standard error, and standard output stays empty."""
    want_json(True)
    fault = InvalidInput("No such owner.", next_step="Name a team.", field="spec.owner")
    assert report(fault) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert (
        json.loads(err)
        == problem_of(fault)
        == {
            "type": "https://companyos.dev/problems/invalid-input",
            "title": "Invalid input",
            "status": 400,
            "detail": "No such owner.",
            "next_step": "Name a team.",
            "field": "spec.owner",
        }
    )


def test_option_is_remembered_for_the_end_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """A command that takes the option need not hand it on to ``emit``."""
    app = typer.Typer()

    @app.command()
    def show(json: JsonOption = False) -> None:
        emit({"seen": json}, lambda out: out.print("for people"))

    typer.main.get_command(app).main(args=["--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out) == {"seen": True}
    assert console.wants_json()


def test_document_fits_a_stream_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document is escaped where the stream cannot carry it, and means the same."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    value: dict[str, Any] = {"name": "漢字"}
    emit(value)
    assert json.loads(raw.getvalue()) == value

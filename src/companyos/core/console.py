"""What commands say: one JSON document or plain lines on standard output, faults on standard error, and the exit code.

A command takes ``json: JsonOption = False`` and ends with ``emit(value, human=…)``. Data comes from other machines and
other people, so control characters never reach the terminal as they are; tables are drawn with rich on a terminal only.
"""

from __future__ import annotations

import json as stdlib_json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Annotated, Final

import msgspec
import typer

from companyos.core.errors import CompanyOSError

PROBLEM_BASE: Final = "https://companyos.dev/problems/"
"""What the type of a problem starts with (RFC 9457), here as over HTTP."""
BAD_USAGE: Final = 2
INTERRUPTED: Final = 130
"""128 + SIGINT, as in shells."""

# C0 without tab and newline, DEL, C1, and the marks that turn the direction of text or break lines in viewers.
_UNSAFE: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSAFE_IN_CELL: Final = re.compile(f"[\t\n{_UNSAFE.pattern[1:]}")


@dataclass(slots=True)
class _Mode:
    json: bool = False


_mode = _Mode()


def want_json(wanted: bool) -> None:  # noqa: FBT001 - one flag is all there is to say
    """Make this process answer in JSON; ``main`` sets it before anything can fail, the option when it is parsed."""
    _mode.json = wanted


def wants_json() -> bool:
    """Return whether this process answers in JSON."""
    return _mode.json


def _remember(value: bool) -> bool:  # noqa: FBT001 - Typer calls it with the value
    if value:
        want_json(wanted=True)
    return value


JsonOption = Annotated[
    bool, typer.Option("--json", callback=_remember, help="Print one JSON document and nothing else.")
]
"""The type of each command's ``json`` parameter; give it the default False."""


def safe(value: object, *, cell: bool = False) -> str:
    r"""Return text with control characters written as escapes (``\x1b``); tabs and newlines only go from a cell.

    None gives ``-``.
    """
    if value is None:
        return "-"
    return (_UNSAFE_IN_CELL if cell else _UNSAFE).sub(_escape, str(value))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return {9: r"\t", 10: r"\n", 13: r"\r"}.get(code) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")  # noqa: PLR2004 - Latin-1


class Console:
    """Writes for people: plain when piped, with rich tables on a terminal."""

    def __init__(self, stream: IO[str]) -> None:
        """Take the stream to write to."""
        self._stream = stream

    @property
    def is_terminal(self) -> bool:
        """Return whether a person looks at it."""
        return self._stream.isatty()

    def print(self, text: object = "") -> None:
        """Write a line or several."""
        self._write(safe(text) if text != "" else "")

    def pairs(self, values: Mapping[str, object]) -> None:
        """Write names and values in two columns."""
        width = max((len(name) for name in values), default=0)
        for name, value in values.items():
            self._write(f"{safe(name, cell=True):<{width}}  {safe(value, cell=True)}")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "Nothing.") -> None:
        """Write rows under their columns, none left out or cut short, or the given sentence when there are none."""
        cells = [[safe(value, cell=True) for value in row] for row in rows]
        if not cells:
            self._write(safe(empty))
        elif self.is_terminal:
            self._rich_table(columns, cells)
        else:
            widths = [max(len(line[place]) for line in [list(columns), *cells]) for place in range(len(columns))]
            for line in [list(columns), *cells]:
                self._write("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())

    def _rich_table(self, columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
        from rich.console import Console as RichConsole
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(Text(column), overflow="fold")
        for line in cells:
            # Text, not str: rich reads `[red]` in a str as markup.
            table.add_row(*(Text(text) for text in line))
        RichConsole(file=self._stream, no_color=bool(os.environ.get("NO_COLOR"))).print(table)

    def _write(self, line: str) -> None:
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        self._stream.flush()


def emit(value: object, human: Callable[[Console], None] | None = None, *, json: bool | None = None) -> None:
    """Give the answer of a command: one JSON document with ``--json``, otherwise what ``human`` writes.

    ``value`` is anything msgspec can encode. Without ``human`` a person gets the JSON too. ``json`` overrules what the
    option said.
    """
    if human is None or (wants_json() if json is None else json):
        sys.stdout.write(_document(value) + "\n")
        sys.stdout.flush()
    else:
        human(Console(sys.stdout))


def progress(text: str) -> None:
    """Say that a step begins or is done: on standard output for people, on standard error beside JSON."""
    Console(sys.stderr if wants_json() else sys.stdout).print(text)


def problem_of(fault: CompanyOSError) -> dict[str, object]:
    """Return the problem object (RFC 9457) of a fault, as it goes to standard error beside ``--json``."""
    problem: dict[str, object] = {
        "type": PROBLEM_BASE + fault.slug,
        "title": fault.title,
        "status": fault.status,
        "detail": fault.detail,
    }
    return problem | {name: text for name in ("field", "next_step") if (text := getattr(fault, name))}


def report(fault: CompanyOSError) -> int:
    """Write the one sentence of a fault and its next step to standard error, and return the exit code."""
    if wants_json():
        sys.stderr.write(_document(problem_of(fault)) + "\n")
    else:
        console = Console(sys.stderr)
        console.print(f"Error: {fault.detail}")
        if fault.next_step:
            console.print(f"Next: {fault.next_step}")
    return fault.exit_code


def _document(value: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode()
    # JSON escapes C0 by itself; the others may stand only inside strings, where an escape means the same.
    text = _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    if (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8":
        return text
    return stdlib_json.dumps(stdlib_json.loads(text), indent=2)

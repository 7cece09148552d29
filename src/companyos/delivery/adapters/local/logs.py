"""The last lines of a release's log, which is also read on after the keeper has rotated it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_READ_BYTES: Final = 256 * 1024
_LINE_LIMIT: Final = 2_000
_QUOTE_LIMIT: Final = 200


def tail(log: Path, lines: int) -> tuple[str, ...]:
    """Return at most so many last lines, oldest first, without control characters; none when there is no log.

    At most the last 256 KiB are read, and a line is cut after 2,000 characters.
    """
    if lines <= 0:
        return ()
    data = _end(log)
    if data.count(b"\n") < lines:
        data = _end(log.with_name(f"{log.name}.1")) + data
    text = data[-_READ_BYTES:].decode("utf-8", "replace")
    return tuple(_printable(line)[:_LINE_LIMIT] for line in text.splitlines()[-lines:])


def last_line(log: Path) -> str:
    """Return the last line that is not empty, cut so that a sentence can quote it; "" when there is none."""
    return next((line.strip()[:_QUOTE_LIMIT] for line in reversed(tail(log, 20)) if line.strip()), "")


def _end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_BYTES))
            return file.read(_READ_BYTES)
    except OSError:
        return b""


def _printable(line: str) -> str:
    return "".join(character if character.isprintable() or character == "\t" else "\ufffd" for character in line)

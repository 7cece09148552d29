"""Following a log as short lines for a person."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

_READ_BYTES: Final = 64 * 1024
_LINE_LIMIT: Final = 8 * 1024
_SHOWN_CHARACTERS: Final = 300


def short(line: str) -> str:
    """Return a log line as ``10:31:02 INFO  event  field=value``; a line that is not JSON stays as it is."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return line[:_SHOWN_CHARACTERS]
    if not isinstance(entry, dict):
        return line[:_SHOWN_CHARACTERS]
    rest = dict(entry)
    moment = str(_first(rest, "time", "timestamp", "ts") or "")
    level = str(_first(rest, "level", "severity") or "INFO").upper()
    event = str(_first(rest, "event", "message", "msg") or "")
    clock = moment.partition("T")[2][:8] or moment
    fields = " ".join(f"{name}={_text(value)}" for name, value in rest.items() if value not in (None, "", [], {}))
    return f"{clock} {level:<5} {event}  {fields}".strip()[:_SHOWN_CHARACTERS]


def _first(entry: dict[str, object], *names: str) -> object | None:
    found = [entry.pop(name, None) for name in names]
    return next((value for value in found if value is not None), None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Follower:
    """Reads what is added to a log, also across its emptying by rotation."""

    def __init__(self, path: Path, *, from_end: bool) -> None:
        """Take the log, and whether what it holds already is left out."""
        self._path = path
        self._place = self._size() if from_end else 0
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Return the whole lines that were added since the last call."""
        if self._size() < self._place:
            self._place, self._rest = 0, b""
        try:
            with self._path.open("rb") as file:
                file.seek(self._place)
                data = file.read(_READ_BYTES)
        except OSError:
            return []
        self._place += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LINE_LIMIT:
            lines, self._rest = [*lines, self._rest], b""
        return [line.decode("utf-8", "replace") for line in lines]

    def _size(self) -> int:
        try:
            return os.stat(self._path).st_size  # noqa: PTH116 - Path.stat follows the same link at twice the words
        except OSError:
            return 0

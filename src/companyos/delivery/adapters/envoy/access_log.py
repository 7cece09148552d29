"""Reading Envoy's access log: from a position onwards, across rotations, and with a sentence about whatever is missing.

The file that is written has one fixed name. Rotation renames it to the next number, so that a position can say which
file it means: number of the file, offset in it, and a checksum of its first bytes, which tells it from a later file of
the same name. A number that was never rotated is the file that is written now.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import msgspec

from companyos.delivery.ports import Request

LINES_LIMIT: Final = 10_000
READ_BYTES: Final = 4 * 1024 * 1024
LINE_LIMIT_BYTES: Final = 16 * 1024
"""A line has at most some 2 KB, because every part of it is limited where it is written."""
OLD_FILES: Final = 3
_HEAD_BYTES: Final = 64
_BROKEN: Final = frozenset({"UC", "UT", "UR", "UPE", "UF", "SI", "OM", "DT"})
"""Response flags of an answer that began and broke off: its status says 200, and the user has half of it."""
_SERVER_ERROR: Final = 500
_ROUTE_PARTS: Final = 4


class Position(NamedTuple):
    """A place between two lines."""

    number: int
    offset: int
    head: int
    """CRC-32 of the file's first bytes, at most 64 and none behind ``offset``."""

    def text(self) -> str:
        """Return it as one word."""
        return f"{self.number}:{self.offset}:{self.head:08x}"


class Chunk(NamedTuple):
    """Whole lines, where they end, and what was missing before them."""

    data: bytes
    position: Position
    lost: str | None
    end: bool
    """Whether this was all that there is."""


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line, as ``config.LINE`` asks for it."""

    at: str
    status: int = 0
    flags: str | None = None
    ms: int | None = None
    us: int | None = None
    route: str | None = None
    arm: str | None = None
    session: str | None = None
    trace: str | None = None
    id: str | None = None
    method: str | None = None
    path: str | None = None


_LINE = msgspec.json.Decoder(Line)
_POSITION = re.compile(r"([0-9]{1,15}):([0-9]{1,18}):([0-9a-f]{8})", re.ASCII)


def parse_position(text: str) -> Position | None:
    """Return the position that a text holds, None when it holds none."""
    found = _POSITION.fullmatch(text)
    return Position(int(found[1]), int(found[2]), int(found[3], 16)) if found else None


class Files:
    """The log that is written and the old ones beside it, ``<name>.<number>``."""

    def __init__(self, path: Path) -> None:
        """Take the path that Envoy writes to."""
        self.path = path

    def old(self) -> list[int]:
        """Return the numbers of the files that were rotated away and are kept, in order."""
        prefix = f"{self.path.name}."
        try:
            names = [entry.name for entry in os.scandir(self.path.parent)]
        except OSError:
            return []
        numbers = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return sorted(int(number) for number in numbers if number.isascii() and number.isdecimal())

    def current(self) -> int:
        """Return the number that the written file will get."""
        numbers = self.old()
        return numbers[-1] + 1 if numbers else 1

    def numbered(self, number: int) -> Path:
        """Return the path of an old file."""
        return self.path.with_name(f"{self.path.name}.{number}")

    def end(self) -> Position:
        """Return the end of the last whole line that is written now; the beginning of the file when there is none."""
        while True:
            number = self.current()
            with _opened(self.path) as file:
                found = Position(number, 0, 0) if file is None else _last_line_end(file, number)
            if self.current() == number:
                return found

    def rotate(self) -> None:
        """Give the written file its number and delete the oldest ones; Envoy must be told to open a new one.

        Raises OSError, also when there is none.
        """
        numbers = self.old()
        self.path.rename(self.numbered(numbers[-1] + 1 if numbers else 1))
        for number in numbers[: max(0, len(numbers) + 1 - OLD_FILES)]:
            self.numbered(number).unlink(missing_ok=True)

    def read(self, position: Position) -> Chunk:
        """Return the whole lines after a position; never raises for a file that is gone, cut or unreadable."""
        while True:
            # A rotation in between would give the name of one file to another.
            current = self.current()
            chunk = self._read_one(position, current)
            if self.current() == current:
                return chunk

    def _read_one(self, position: Position, current: int) -> Chunk:
        if position.number > current:
            return Chunk(b"", self.end(), "The access log of the router was replaced by an older one.", end=False)
        if position.number == current:
            return self._read(self.path, position, final=False)
        # The file has its number. It is written to until Envoy has opened a new one, and final from then on; this must
        # be looked up before it is read.
        final = position.number + 1 < current or self.path.exists()
        chunk = self._read(self.numbered(position.number), position, final=final)
        if final and not chunk.data:
            return Chunk(b"", Position(position.number + 1, 0, 0), chunk.lost, end=False)
        return chunk._replace(end=False) if final else chunk

    @staticmethod
    def _read(path: Path, position: Position, *, final: bool) -> Chunk:
        lost = None
        with _opened(path) as file:
            if file is None:
                missing = final or position.offset > 0
                lost = f"The access log {path.name} of the router is gone." if missing else None
                return Chunk(b"", position._replace(offset=0, head=0), lost, end=True)
            if position.offset and _head(file, position.offset) != position.head:
                lost = f"The access log {path.name} of the router was cut or replaced."
                position = position._replace(offset=0, head=0)
            file.seek(position.offset)
            data = file.read(READ_BYTES)
            whole = data.rfind(b"\n") + 1
            if not whole and len(data) > LINE_LIMIT_BYTES:
                whole, lost = len(data), f"The access log {path.name} of the router holds a line without an end."
            elif final and not whole and data:
                lost = f"The last line of the access log {path.name} of the router is incomplete."
            end = len(data) < READ_BYTES
            data = _first_lines(data[:whole])
            offset = position.offset + len(data)
            head = _head(file, offset)
            return Chunk(data, Position(position.number, offset, head), lost, end=end and len(data) == whole)


def decode(data: bytes) -> tuple[tuple[Request, ...], int]:
    """Return the requests of services in whole lines, and how many lines could not be read.

    A line without a service is none of both: an unknown host, or bytes that are no HTTP.
    """
    requests: list[Request] = []
    unreadable = 0
    names: dict[str, tuple[str, str, int, bool] | None] = {}
    for text in data.splitlines():
        try:
            line = _LINE.decode(text)
            at = float(line.at)
        except (msgspec.MsgspecError, ValueError):
            unreadable += 1
            continue
        name = line.route
        if name is None or line.arm is None:
            continue
        if name not in names:
            names[name] = _of_service(name)
        parts = names[name]
        if parts is not None:
            requests.append(_request(line, at, parts))
    return tuple(requests), unreadable


def _request(line: Line, at: float, parts: tuple[str, str, int, bool]) -> Request:
    service, rollout, number, forced = parts
    trace = line.trace or ""
    trace_id = trace[3:35] if len(trace) >= 35 and trace[2] == "-" else ""  # noqa: PLR2004 - W3C traceparent: version, then 32 digits
    status = line.status
    if line.flags and line.flags != "-" and status < _SERVER_ERROR and not _BROKEN.isdisjoint(line.flags.split(",")):
        status = 0
    return Request(
        at,
        service,
        rollout,
        number,
        line.arm or "",
        forced,
        status,
        line.us / 1000 if line.us is not None else float(line.ms or 0),
        line.session or trace_id or line.id or "",
        trace_id,
        line.method or "",
        line.path or "",
    )


def _of_service(name: str) -> tuple[str, str, int, bool] | None:
    parts = name.split("|")
    if len(parts) != _ROUTE_PARTS or not parts[2].isdecimal():
        return None
    return parts[0], parts[1], int(parts[2]), parts[3] == "forced"


def _first_lines(data: bytes) -> bytes:
    """Return the first lines, as many as one batch may hold."""
    if data.count(b"\n") <= LINES_LIMIT:
        return data
    end = 0
    for _ in range(LINES_LIMIT):
        end = data.index(b"\n", end) + 1
    return data[:end]


def _last_line_end(file: BinaryIO, number: int) -> Position:
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - LINE_LIMIT_BYTES)
    file.seek(start)
    offset = start + file.read(LINE_LIMIT_BYTES).rfind(b"\n") + 1
    return Position(number, offset, _head(file, offset))


def _head(file: BinaryIO, offset: int) -> int:
    """Return the checksum of the first bytes before an offset; that of a file that is shorter differs."""
    wanted = min(_HEAD_BYTES, offset)
    if file.seek(0, os.SEEK_END) < offset:
        return -1
    file.seek(0)
    return zlib.crc32(file.read(wanted))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO | None]:
    try:
        file = open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")  # noqa: PTH123, SIM115 - by descriptor, so that no link is followed; closed below
    except OSError:
        yield None
        return
    with file:
        yield file

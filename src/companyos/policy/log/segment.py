"""A segment: a file of records, each linked to the one before it by a hash.

A line is the link in hexadecimal, a blank, and a JSON text. The link is the SHA-256 over the link before and the text.
The first line of a file describes it and continues the chain of the file before. So a reader of one file knows each
record good or bad by itself, and what SIGKILL or a power cut leaves behind is the beginning of one line, or bytes that
no link fits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from companyos.core import durable
from companyos.core.errors import IntegrityFault

FORMAT: Final = "companyos.dev/decisions/v1"
SUFFIX: Final = ".log"
GENESIS: Final = "0" * 64
"""What the first segment of a stream continues."""

MAX_FILE_BYTES: Final = 1024 * 1024 * 1024
_LINK: Final = 64
_DIGITS: Final = 8


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line of a segment."""

    format: str
    number: int
    opened_at: str
    prev: str
    """The head of the segment before, ``GENESIS`` in the first one."""
    stream: str


class Line(NamedTuple):
    """A line whose link fits."""

    offset: int
    """Where it begins in the file, in bytes."""
    link: str
    text: bytes


class Scan(NamedTuple):
    """What a file holds."""

    header: Header | None
    """None when not even the first line is good."""
    lines: list[Line]
    """The records, in order, as far as each continues the one before."""
    head: str
    """The link of the last good line; empty without a header."""
    good_bytes: int
    """Up to where the file is good."""
    torn_bytes: int
    """What is behind that: the beginning of a line that was being written."""
    broken: bool
    """Whether good records follow behind the bad bytes: then it was not torn, somebody changed it."""


_HEADER: Final = msgspec.json.Decoder(Header)
_SHORTEST: Final = _LINK + len(b' {"":0}')
"""What a line with a record has at least: its link, and an object with one member."""


def name(number: int) -> str:
    """Return the file name of a segment."""
    return f"{number:0{_DIGITS}d}{SUFFIX}"


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments in a stream's folder, in order."""
    return sorted(int(path.stem) for path in folder.glob(f"*{SUFFIX}") if path.stem.isascii() and path.stem.isdigit())


def chained(link: str, text: bytes) -> tuple[str, bytes]:
    """Return the next link and the line that goes into the file."""
    following = sha256(link.encode() + text).hexdigest()
    return following, b"%b %b\n" % (following.encode(), text)


def create(folder: Path, header: Header) -> tuple[int, str, int]:
    """Make the file of a new segment; return its descriptor for appending, the link of its header, and its size.

    Raises OSError, and then leaves nothing behind.
    """
    path = folder / name(header.number)
    link, line = chained(header.prev, msgspec.json.encode(header))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        write_all(descriptor, line)
        os.fsync(descriptor)
        durable.sync_folder(folder)
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor, link, len(line)


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything; a full disk may take a part first and raise OSError then."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read(path: Path) -> bytes:
    """Return the bytes of a segment. Raises NotFound, IntegrityFault, OSError."""
    return durable.read(path, limit_bytes=MAX_FILE_BYTES)


def scan(data: bytes) -> Scan:
    """Return what the bytes of a segment hold, up to the first line that does not continue the one before."""
    lines: list[Line] = []
    header: Header | None = None
    previous = ""
    good = 0
    for offset, end, link, text in _split(data):
        if not offset:
            header = _header(text)
            if header is None or sha256(header.prev.encode() + text).hexdigest() != link:
                header = None
                break
        elif sha256(previous.encode() + text).hexdigest() != link:
            break
        else:
            lines.append(Line(offset, link, text))
        previous, good = link, end
    if header is None:
        return Scan(None, [], "", 0, len(data), _has_records(data, 0))
    return Scan(header, lines, previous, good, len(data) - good, _has_records(data, good))


def fault(path: Path, found: Scan) -> IntegrityFault:
    """Return the fault that names the last good record of a segment."""
    if found.header is None:
        return IntegrityFault(f"The segment {path} has no first line that fits.", next_step="Restore it from a backup.")
    return IntegrityFault(
        f"The segment {path} is broken behind record {len(found.lines)} of it.", next_step="Restore it from a backup."
    )


def _split(data: bytes) -> Iterator[tuple[int, int, str, bytes]]:
    """Yield offset, end, link and text of each whole line that has the form of one; end at the first that has not."""
    offset = 0
    while (end := data.find(b"\n", offset)) >= 0:
        if data[offset + _LINK : offset + _LINK + 1] != b" ":
            return
        yield offset, end + 1, data[offset : offset + _LINK].decode("ascii", "replace"), data[offset + _LINK + 1 : end]
        offset = end + 1


def _has_records(data: bytes, good: int) -> bool:
    """Tell whether whole lines stand behind the good part, which a write that was torn does not leave."""
    return any(len(row) >= _SHORTEST for row in data[good:].split(b"\n")[:-1])


def _header(text: bytes) -> Header | None:
    try:
        header = _HEADER.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return header if header.format == FORMAT else None

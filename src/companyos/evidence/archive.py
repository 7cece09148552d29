"""The form of an artifact: a tar (POSIX.1-2001, ustar with pax headers) whose bytes follow from its content alone.

Entries are sorted, owners are zero, every time is the commit's, and the first header says commit and version. Reading
trusts nothing: a path, link, number or size that is out of the ordinary ends it with one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Literal, TypeAlias

import msgspec

from companyos.core.errors import InvalidInput, TooLarge

MAX_BYTES: Final = 32 * 1024 * 1024
"""How long an artifact may be."""
MAX_FILES: Final = 5_000
MAX_PATH_BYTES: Final = 500
MAX_NAME_BYTES: Final = 255
"""How long one part of a path may be; no file system takes more."""
MAX_TIME: Final = 8**11 - 1
"""The last second that the format can say, in the year 2242."""

_BLOCK: Final = 512
_NAME_BYTES: Final = 100
_END: Final = 2 * _BLOCK
_MAX_RECORDS_BYTES: Final = 16 * 1024
_MODES: Final = {"file": 0o644, "program": 0o755, "link": 0o777}
_NO_NAMES: Final = frozenset({"", ".", "..", ".git"})
"""What no part of a path may be; in a folder ``.git`` there would be programs that git runs."""
_OCTAL: Final = re.compile(rb" *([0-7]{1,12})[ \0]*")
_ENTRY_TYPES: Final = {b"0": "file", b"\0": "file", b"2": "link", b"5": "folder"}
_SAID_PER_ENTRY: Final = frozenset({"path", "linkpath"})
_REFUSED: Final = {
    b"1": "a hard link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"7": "a contiguous file",
    b"S": "a sparse file",
}

Kind: TypeAlias = Literal["file", "program", "link"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One file or symbolic link. Making one raises InvalidInput for a path or target that is not plain and inside."""

    path: str
    kind: Kind = "file"
    data: bytes = b""
    """The content, or the target of a link."""

    def __post_init__(self) -> None:
        _check_path(self.path)
        if self.kind == "link":
            _check_target(self.path, self.data)


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact holds."""

    entries: tuple[Entry, ...]
    time: int = 0
    """Seconds since the epoch: when the commit was made."""
    notes: dict[str, str] = {}
    """The records of the first header, by name."""

    def file(self, path: str) -> bytes | None:
        """Return the content of a file, or None when there is no file of this name."""
        return next((one.data for one in self.entries if one.path == path and one.kind != "link"), None)


def write(archive: Archive) -> bytes:
    """Return the bytes of an archive; equal content gives equal bytes. Raises InvalidInput or TooLarge."""
    _check_all(archive.entries)
    if not 0 <= archive.time <= MAX_TIME:
        raise InvalidInput("The time of the commit cannot be written into a tar.", next_step="Commit again.")
    parts: list[bytes] = []
    if archive.notes:
        parts += _blocks("pax_global_header", b"g", 0o644, archive.time, _records(archive.notes))
    for entry in sorted(archive.entries, key=lambda entry: entry.path.encode()):
        name, target = entry.path, entry.data.decode() if entry.kind == "link" else ""
        long = {key: text for key, text in (("path", name), ("linkpath", target)) if not _fits(text)}
        if long:
            parts += _blocks("pax_header", b"x", 0o644, archive.time, _records(long))
        content = b"" if entry.kind == "link" else entry.data
        shown, shown_target = ("" if key in long else text for key, text in (("path", name), ("linkpath", target)))
        flag = b"2" if entry.kind == "link" else b"0"
        parts += _blocks(shown or "pax_path", flag, _MODES[entry.kind], archive.time, content, target=shown_target)
    data = b"".join((*parts, bytes(_END)))
    if len(data) > MAX_BYTES:
        raise TooLarge(
            f"The artifact has {len(data):,} bytes; at most {MAX_BYTES:,} are taken.",
            next_step="Keep large files out of the repository.",
        )
    return data


def read(data: bytes) -> Archive:
    """Return what a tar holds; folders in it are left out. Raises TooLarge above a limit, InvalidInput otherwise."""
    if len(data) > MAX_BYTES:
        raise TooLarge(
            f"The artifact has {len(data):,} bytes; at most {MAX_BYTES:,} are taken.",
            next_step="Keep large files out of the repository.",
        )
    entries: list[Entry] = []
    notes: dict[str, str] = {}
    time = 0
    for header, said, content in _members(data, notes):
        kind = _ENTRY_TYPES[header[156:157]]
        path = said.get("path") or _path(header)
        time = max(time, _number(header[136:148]))
        if kind == "folder":
            _check_path(path.rstrip("/"))
            continue
        if kind == "link":
            target = said.get("linkpath") or _text(header[157:257])
            entries.append(Entry(path=path, kind="link", data=target.encode()))
        else:
            runs = _number(header[100:108]) & 0o100
            entries.append(Entry(path=path, kind="program" if runs else "file", data=content))
        if len(entries) > MAX_FILES:
            raise _too_many()
    _check_all(entries)
    return Archive(entries=tuple(entries), time=min(time, MAX_TIME), notes=notes)


def _members(data: bytes, notes: dict[str, str]) -> Iterator[tuple[bytes, Mapping[str, str], bytes]]:
    """Yield header, pax records and content of each entry; the records of a global header are put into ``notes``."""
    said: dict[str, str] = {}
    position = 0
    while position + _BLOCK <= len(data):
        header = data[position : position + _BLOCK]
        if not header.strip(b"\0"):
            if data[position:].strip(b"\0"):
                raise _broken("something follows its end")
            return
        _check_header(header)
        size, flag = _number(header[124:136]), header[156:157]
        begin = position + _BLOCK
        if begin + size > len(data):
            raise _broken("it ends within a file")
        content = data[begin : begin + size]
        position = begin + -(-size // _BLOCK) * _BLOCK
        if flag == b"x":
            said = _read_records(content)
        elif flag == b"g":
            notes.update(_read_records(content))
            if notes.keys() & _SAID_PER_ENTRY:
                raise _broken("a header renames every file")
        elif flag in _ENTRY_TYPES:
            if size and flag in (b"2", b"5"):
                raise _broken("a link or a folder has content")
            yield header, said, content
            said = {}
        else:
            what = _REFUSED.get(flag, f"an entry of the type {flag.decode('ascii', 'replace')!r}")
            raise _broken(f"it holds {what}")
    raise _broken("its end is missing")


def _check_all(entries: Sequence[Entry]) -> None:
    """Refuse too many entries, a path twice, and a path that leads through another entry."""
    if len(entries) > MAX_FILES:
        raise _too_many()
    # A slash sorts before everything else here, so that what lies below an entry comes right after it.
    paths = sorted(entry.path.replace("/", "\0") for entry in entries)
    for before, after in pairwise(paths):
        if after == before or after.startswith(before + "\0"):
            shown = before.replace("\0", "/")
            what = "twice" if after == before else "as a file and as a folder"
            raise InvalidInput(f"The artifact holds {shown[:200]!r} {what}.", next_step="Pack it again.")


def _check_path(path: str) -> None:
    parts = path.split("/")
    plain = path.isprintable() and "\\" not in path and not _NO_NAMES & {part.lower() for part in parts}
    if not plain or _size(path) > MAX_PATH_BYTES or max(map(_size, parts)) > MAX_NAME_BYTES:
        raise InvalidInput(
            f"The path {path[:200]!r} cannot be in an artifact.",
            next_step=f"Use up to {MAX_PATH_BYTES} bytes of printable UTF-8, relative, without .. and backslashes.",
        )


def _check_target(path: str, target: bytes) -> None:
    """Refuse a link out of the tree.

    Leading ``..`` are counted against the folder of the link, which is real; a later one could climb through another
    link, so there is none.
    """
    try:
        text = target.decode()
    except UnicodeDecodeError:
        text = ""
    parts = text.split("/")
    climbs = next((index for index, part in enumerate(parts) if part != ".."), len(parts))
    inside = climbs <= path.count("/") and not {"", ".", ".."} & set(parts[climbs:])
    if not text.isprintable() or "\\" in text or not inside or _size(text) > MAX_PATH_BYTES:
        raise InvalidInput(
            f"The symbolic link {path[:200]!r} leads to {text[:200]!r}, which is not inside the artifact.",
            next_step="Let it name a file of the repository, relative to the link.",
        )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _fits(text: str) -> bool:
    return text.isascii() and len(text) <= _NAME_BYTES


def _records(values: Mapping[str, str]) -> bytes:
    """Return pax records: length, key, value and a line feed each; the length counts its own digits too."""
    parts = []
    for key, value in sorted(values.items()):
        rest = f" {key}={value}\n".encode()
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        parts.append(str(length).encode() + rest)
    return b"".join(parts)


def _read_records(content: bytes) -> dict[str, str]:
    if len(content) > _MAX_RECORDS_BYTES:
        raise _broken("a header is too long")
    values: dict[str, str] = {}
    while content:
        digits, _, _ = content[:8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = content[len(digits) + 1 : length].partition(b"=")
        if not equals or not value.endswith(b"\n") or length > len(content):
            raise _broken("a header cannot be read")
        try:
            values[key.decode()] = value[:-1].decode()
        except UnicodeDecodeError as fault:
            raise _broken("a header is not UTF-8") from fault
        content = content[length:]
    if "size" in values or any(key.startswith("GNU.sparse") for key in values):
        raise _broken("a header changes the size of a file")
    return values


def _blocks(name: str, flag: bytes, mode: int, time: int, content: bytes, *, target: str = "") -> list[bytes]:
    """Return one header and its content, padded to whole blocks."""
    header = bytearray(_BLOCK)
    fields = (
        (0, name.encode()),
        (100, b"%07o\0" % mode),
        (108, b"%07o\0" % 0),
        (116, b"%07o\0" % 0),
        (124, b"%011o\0" % len(content)),
        (136, b"%011o\0" % time),
        (148, b" " * 8),
        (156, flag),
        (157, target.encode()),
        (257, b"ustar\x0000"),
    )
    for position, value in fields:
        header[position : position + len(value)] = value
    header[148:156] = b"%06o\0 " % sum(header)
    return [bytes(header), content, bytes(-len(content) % _BLOCK)]


def _check_header(header: bytes) -> None:
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    if header[257:262] != b"ustar" or _number(header[148:156]) != total:
        raise _broken("a header is not one")


def _path(header: bytes) -> str:
    name = _text(header[:_NAME_BYTES])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    try:
        return field.partition(b"\0")[0].decode()
    except UnicodeDecodeError as fault:
        raise _broken("a name is not UTF-8") from fault


def _number(field: bytes) -> int:
    found = _OCTAL.fullmatch(field)
    if found is None:
        raise _broken("a number is not octal")
    return int(found[1], 8)


def _too_many() -> TooLarge:
    return TooLarge(f"The artifact has more than {MAX_FILES:,} files.", next_step="Keep generated files out of it.")


def _broken(what: str) -> InvalidInput:
    return InvalidInput(f"The artifact is no tar that is taken: {what}.", next_step="Pack it with: companyos ship")

"""Files in and out of a `.tar.gz`, in one form: equal files are an equal archive, and no other archive is read.

The reader takes exactly what the writer writes: regular files in order of their paths, in headers of POSIX ustar
without owner, time or links. Whatever an archive could say beyond that (links, devices, long names, sparse files, two
entries for one path, bytes after the end) is refused before any content is looked at.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Final

from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.limits import (
    FREE_OF_RATIO,
    MAX_FILE,
    MAX_FILES,
    MAX_PACKED,
    MAX_PATH,
    MAX_RATIO,
    MAX_UNPACKED,
)

PATH: Final = re.compile(
    r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)*(?:\.manifest|\.signatures\.json|[A-Za-z0-9_][A-Za-z0-9._-]*)"
)
"""What a path in a bundle looks like; `..`, a leading slash or a backslash has no place in it."""

_GZIP: Final = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
"""RFC 1952 §2.3: deflate, no name, no time, slowest and best, written by an unknown system."""
_GZIP_MARK: Final = _GZIP[:3]
_TRAILER: Final = 8
_BLOCK: Final = 512
_TYPE: Final = 156
"""Where a header says what its entry is."""
_REGULAR: Final = ord("0")
_KINDS: Final = {
    ord("1"): "a hard link",
    ord("2"): "a symbolic link",
    ord("3"): "a device",
    ord("4"): "a device",
    ord("5"): "a folder",
    ord("6"): "a pipe",
    ord("g"): "an extended header",
    ord("x"): "an extended header",
    ord("L"): "a long name",
    ord("K"): "a long link",
    ord("S"): "a sparse file",
}
_BUILD: Final = "Build the bundle again with `companyos policy build`."


def pack(files: Mapping[str, bytes]) -> bytes:
    """The `.tar.gz` of these files by path. Raises BundleError for a path or a size that ``unpack`` refuses."""
    archive = _archive(files)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(archive) + deflate.flush()
    packed = _GZIP + body + zlib.crc32(archive).to_bytes(4, "little") + len(archive).to_bytes(4, "little")
    if len(packed) > MAX_PACKED:
        raise _too_large(f"The bundle has more than {MAX_PACKED} bytes packed")
    return packed


def unpack(data: bytes) -> dict[str, bytes]:
    """The files in a `.tar.gz` by path. Raises BundleError for everything that ``pack`` would not have written."""
    archive = _inflated(data)
    files: dict[str, bytes] = {}
    at = 0
    while archive[at : at + _BLOCK].strip(b"\0"):
        header = archive[at : at + _BLOCK]
        if len(files) == MAX_FILES:
            raise _too_large(f"The bundle has more than {MAX_FILES} files")
        path, size = _entry(header)
        if path in files:
            raise BundleError("duplicate-file", f"The bundle has {path} twice.", _BUILD)
        content = archive[at + _BLOCK : at + _BLOCK + size]
        if len(content) != size:
            raise BundleError("not-a-bundle", f"The bundle ends within {path}.", "Fetch it again.")
        files[path] = content
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
    if archive[at + 2 * _BLOCK :]:
        raise BundleError("trailing-data", "The archive goes on behind its end.", _BUILD)
    check_paths(files)
    if _archive(files) != archive:
        raise BundleError("not-a-bundle", "The archive is not written the way bundles are.", _BUILD)
    return files


def check_paths(files: Mapping[str, bytes]) -> None:
    """Raise BundleError where a path is not one of a bundle, or two paths are one to some file system."""
    seen: dict[str, str] = {}
    for path in files:
        _check_path(path)
        other = seen.setdefault(path.lower(), path)
        if other != path:
            raise BundleError("colliding-names", f"{other} and {path} are one file to some systems.", "Rename one.")
    for path in files:
        parts = path.lower().split("/")
        for length in range(1, len(parts)):
            above = seen.get("/".join(parts[:length]))
            if above is not None:
                raise BundleError("colliding-names", f"{above} is a file and a folder at once.", "Rename one.")


def _archive(files: Mapping[str, bytes]) -> bytes:
    if len(files) > MAX_FILES:
        raise _too_large(f"The bundle has more than {MAX_FILES} files")
    check_paths(files)
    parts = []
    for path in sorted(files):
        content = files[path]
        if len(content) > MAX_FILE:
            raise _too_large(f"{path} has more than {MAX_FILE} bytes")
        parts += [_header(path, len(content)), content, bytes(-len(content) % _BLOCK)]
    archive = b"".join([*parts, bytes(2 * _BLOCK)])
    if len(archive) > MAX_UNPACKED:
        raise _too_large(f"The bundle has more than {MAX_UNPACKED} bytes")
    return archive


def _header(path: str, size: int) -> bytes:
    def number(value: int, width: int) -> bytes:
        return f"{value:0{width - 1}o}".encode() + b"\0"

    before = path.encode().ljust(100, b"\0") + number(0o644, 8) + number(0, 8) * 2 + number(size, 12) + number(0, 12)
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + number(0, 8) * 2 + bytes(167)
    total = sum(before) + 8 * ord(" ") + sum(after)
    return before + f"{total:06o}".encode() + b"\0 " + after


def _entry(header: bytes) -> tuple[str, int]:
    """The path and the size that a header names, once it is certain that it names a regular file."""
    if len(header) != _BLOCK:
        raise BundleError("not-a-bundle", "The archive ends within a header.", "Fetch it again.")
    name = header[:100].rstrip(b"\0")
    kind = header[_TYPE]
    if kind != _REGULAR:
        what = _KINDS.get(kind, "an entry of an unknown kind")
        raise BundleError(
            "not-a-file", f"The bundle holds {what} named {_shown(name)}; it may hold files only.", _BUILD
        )
    try:
        path = name.decode("ascii")
        size = int(header[124:135].decode("ascii"), 8)
    except ValueError:
        raise BundleError("not-a-bundle", f"The header of {_shown(name)} cannot be read.", _BUILD) from None
    _check_path(path)
    if size > MAX_FILE:
        raise _too_large(f"{path} has more than {MAX_FILE} bytes")
    if _header(path, max(size, 0)) != header:
        raise BundleError("not-a-bundle", f"The header of {path} is not written the way bundles are.", _BUILD)
    return path, size


def _check_path(path: str) -> None:
    if len(path) > MAX_PATH or PATH.fullmatch(path) is None:
        sentence = f"{_shown(path.encode(errors='replace'))} is no path of a bundle."
        raise BundleError("bad-path", sentence, f"Use letters, digits and ._- in at most {MAX_PATH} characters.")


def _inflated(data: bytes) -> bytes:
    if len(data) > MAX_PACKED:
        raise _too_large(f"The bundle has more than {MAX_PACKED} bytes packed")
    if not data.startswith(_GZIP_MARK):
        raise BundleError("not-gzip", "The bytes are not a .tar.gz.", "Fetch the bundle again.")
    if not data.startswith(_GZIP):
        raise BundleError("not-a-bundle", "The .tar.gz is not written the way bundles are.", _BUILD)
    limit = min(MAX_UNPACKED, max(FREE_OF_RATIO, MAX_RATIO * len(data)))
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        archive = inflate.decompress(data[len(_GZIP) :], limit + 1)
    except zlib.error:
        raise BundleError("not-gzip", "The bytes are a damaged .tar.gz.", "Fetch the bundle again.") from None
    if len(archive) > limit:
        raise _too_large(f"The bundle unpacks to more than {limit} bytes")
    if not inflate.eof:
        raise BundleError("not-gzip", "The .tar.gz ends too early.", "Fetch the bundle again.")
    trailer, rest = inflate.unused_data[:_TRAILER], inflate.unused_data[_TRAILER:]
    if trailer != zlib.crc32(archive).to_bytes(4, "little") + len(archive).to_bytes(4, "little"):
        raise BundleError("not-gzip", "The .tar.gz is damaged: its checksum is another one.", "Fetch the bundle again.")
    if rest:
        raise BundleError("trailing-data", "There are bytes behind the .tar.gz.", _BUILD)
    return archive


def _too_large(what: str) -> BundleError:
    return BundleError("too-large", f"{what}.", "Split the bundle, or keep facts that change out of its data.")


def _shown(name: bytes) -> str:
    return repr(name[:120].decode("ascii", errors="backslashreplace"))

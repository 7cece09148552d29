"""Artifacts for tests, without a repository."""

from __future__ import annotations

from companyos.evidence import archive
from companyos.evidence.archive import Archive, Entry

COMMIT = "c0ffee" + "0" * 34
MANIFEST = b"apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: %s}\nspec: {}\n"


def tar(
    service: str = "shop",
    version: str = "1.0",
    commit: str = COMMIT,
    lock: bytes = b"",
    files: dict[str, bytes] | None = None,
) -> bytes:
    """Return an artifact as ``packing.pack`` makes it."""
    held = {"companyos.yaml": MANIFEST % service.encode(), "requirements.lock": lock, **(files or {})}
    return archive.write(
        Archive(
            entries=tuple(Entry(path=path, data=data) for path, data in held.items()),
            time=1_700_000_000,
            notes={"comment": commit, "COMPANYOS.version": version},
        )
    )


def header(
    name: bytes,
    *,
    flag: bytes = b"0",
    size: bytes | int = 0,
    target: bytes = b"",
    prefix: bytes = b"",
    magic: bytes = b"ustar\x0000",
    mode: bytes = b"0000644\0",
) -> bytes:
    """Return one header with a checksum that holds, whatever it says."""
    block = bytearray(512)
    length = b"%011o\0" % size if isinstance(size, int) else size
    for place, value in (
        (0, name),
        (100, mode),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, length),
        (136, b"00000000000\0"),
        (148, b" " * 8),
        (156, flag),
        (157, target),
        (257, magic),
        (345, prefix),
    ):
        block[place : place + len(value)] = value
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: bytes, data: bytes = b"", *, flag: bytes = b"0") -> bytes:
    """Return a header with its content."""
    return header(name, flag=flag, size=len(data)) + data + bytes(-len(data) % 512)


def pax(*records: tuple[bytes, bytes], flag: bytes = b"x") -> bytes:
    """Return a pax header with these records."""
    text = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        text += str(length).encode() + rest
    return member(b"pax", text, flag=flag)


END = bytes(1024)

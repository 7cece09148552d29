"""Lines of JSON between the platform and files: taken apart, put into one document, written in one step."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from companyos.core import durable
from companyos.core.errors import IntegrityFault, InvalidInput, NotFound, TooLarge

_FILE_LIMIT_BYTES: Final = 1024 * 1024
_LINE_LIMIT_BYTES: Final = 1024 * 1024


def lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield whole lines, without their ends."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest


def documents(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what each line says."""
    from msgspec.json import decode

    for line in lines(pieces):
        yield decode(line)


def write(path: Path, pieces: Iterator[bytes]) -> dict[str, object]:
    """Write the lines beside the file and put them in its place when all have come, readable by this user only."""
    records, size = -1, 0
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            partial = Path(file.name)
            try:
                for piece in pieces:
                    file.write(piece)
                    records, size = records + piece.count(b"\n"), size + len(piece)
                file.flush()
                os.fsync(file.fileno())
                partial.replace(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
    except OSError as fault:
        raise InvalidInput(f"{path} cannot be written: {fault.strerror}.", next_step="Name another file.") from fault
    return {"file": str(path), "records": records, "bytes": size}


def as_document(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield an export as one JSON document ``{"header", "records"}``, without ever holding it."""
    given = lines(pieces)
    yield b'{"header":' + next(given, b"null") + b',"records":['
    separator = b""
    for line in given:
        yield separator + line
        separator = b","
    yield b"]}\n"


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file that may be anything; raises InvalidInput for a line that no export has."""
    while line := stream.readline(_LINE_LIMIT_BYTES + 1):
        if len(line) > _LINE_LIMIT_BYTES:
            raise InvalidInput(
                f"The file has a line of more than {_LINE_LIMIT_BYTES} bytes.",
                next_step="Use what `ledger prove --json` or `ledger export` wrote.",
            )
        yield line


def note_in_file(path: Path) -> str:
    """Return the checkpoint in a file: alone, or in a proof or an export. Raises InvalidInput."""
    from companyos.ledger.offline import note_in

    try:
        return note_in(durable.read(path, limit_bytes=_FILE_LIMIT_BYTES))
    except (OSError, NotFound, IntegrityFault, TooLarge) as fault:
        raise InvalidInput(f"The checkpoint cannot be read: {fault}", next_step="Name another file.") from fault

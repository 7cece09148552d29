"""The artifact store: bytes kept under their own SHA-256, so that a name can only ever mean one content.

Below the folder, ``sha256/ab/cdef…`` holds the content and ``partial/`` what is being written. A file is locked while
it is written and renamed when it is whole and flushed; what is left in ``partial/`` without a lock belongs to the dead.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from companyos.core import durable
from companyos.core.errors import IntegrityFault, InvalidInput, NotFound, TooLarge, Unavailable

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_PREFIX: Final = "sha256:"
_CHUNK: Final = 1024 * 1024
_PARTIAL: Final = "partial"


class Digest(msgspec.Struct, frozen=True):
    """The SHA-256 of a content; ``str()`` gives ``sha256:`` and 64 lower-case hexadecimal digits."""

    hex: str

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.hex):
            raise InvalidInput(
                f"{self.hex[:80]!r} is not a SHA-256 digest.",
                next_step="Write sha256: and 64 lower-case hexadecimal digits.",
            )

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Return the digest in a text ``sha256:<hex>``. Raises InvalidInput for any other form."""
        if not text.startswith(_PREFIX):
            raise InvalidInput(
                f"{text[:80]!r} is not a digest of the form sha256:….",
                next_step="Write sha256: and 64 lower-case hexadecimal digits.",
            )
        return cls(text.removeprefix(_PREFIX))

    @classmethod
    def of(cls, data: bytes) -> Digest:
        """Return the digest of these bytes."""
        return cls(hashlib.sha256(data).hexdigest())

    def __str__(self) -> str:
        return f"{_PREFIX}{self.hex}"


class ArtifactStore:
    """Content-addressed files in one folder, shared by all processes and threads that use it.

    Reading raises InvalidInput for a digest in another form, NotFound for an unknown one, and IntegrityFault when the
    file is no longer what its name says. Every method raises Unavailable when the folder cannot be used.
    """

    def __init__(self, path: Path) -> None:
        """Take the folder, which is made when the first artifact is put."""
        self._path = path

    def put(self, source: BinaryIO | bytes | Path, limit_bytes: int) -> Digest:
        """Keep the content and return its digest; the same content again changes nothing, and mends a damaged file.

        A stream is read from where it stands; of a path, a regular file is read. Raises TooLarge when there is more
        than the limit, NotFound and IntegrityFault when the path is no regular file; then nothing is kept.
        """
        with _stream(source) as stream, self._usable(), self._partial() as (path, file):
            digest = _copy(stream, file, limit_bytes)
            file.flush()
            os.fsync(file.fileno())
            target = self._file(digest)
            _make_folder(target.parent)
            path.replace(target)
            durable.sync_folder(target.parent)
        return digest

    def has(self, digest: Digest | str) -> bool:
        """Tell whether the content is here, without reading it."""
        return self._file(_digest(digest)).is_file()

    def read(self, digest: Digest | str, limit_bytes: int) -> bytes:
        """Return the content, proven to be what the digest says. Raises TooLarge when it is longer than the limit."""
        with self._opened(_digest(digest)) as file:
            data = file.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise TooLarge(f"The artifact {digest} is larger than {limit_bytes} bytes.", next_step="Read it in pieces.")
        _check(_digest(digest), hashlib.sha256(data).hexdigest())
        return data

    def open(self, digest: Digest | str) -> BinaryIO:
        """Return the content as a file to read and close after one pass that proved it; for what is too big to hold."""
        file = self._opened(_digest(digest))
        try:
            _prove(_digest(digest), file)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    def verify(self, digest: Digest | str) -> int:
        """Return the length of the content in bytes, proven to be what the digest says."""
        with self._opened(_digest(digest)) as file:
            return _prove(_digest(digest), file)

    def sweep_partial(self) -> int:
        """Delete what dead processes left half written and return how many files that were; live writers are spared."""
        with self._usable():
            return sum(map(_sweep, (self._path / _PARTIAL).glob(f"*{durable.PARTIAL_SUFFIX}")))

    def _file(self, digest: Digest) -> Path:
        return self._path / "sha256" / digest.hex[:2] / digest.hex[2:]

    def _opened(self, digest: Digest) -> BufferedReader:
        try:
            with self._usable():
                return os.fdopen(durable.open_regular(self._file(digest)), "rb")
        except NotFound as fault:
            raise NotFound(f"There is no artifact {digest}.", next_step="Check the digest.") from fault

    @contextmanager
    def _partial(self) -> Iterator[tuple[Path, BinaryIO]]:
        """Yield a new locked file in ``partial/``; it is gone at the end unless it was renamed."""
        folder = self._path / _PARTIAL
        _make_folder(folder)
        path, file = _locked_file(folder)
        with file:
            try:
                yield path, file
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Turn what the operating system says about the folder into one sentence."""
        try:
            yield
        except OSError as fault:
            raise Unavailable(
                f"The artifact folder {self._path} cannot be used: {fault.strerror or fault}.",
                next_step="Make it a folder that this user owns, on a disk with room.",
            ) from fault


def _digest(digest: Digest | str) -> Digest:
    return Digest.parse(digest) if isinstance(digest, str) else digest


@contextmanager
def _stream(source: BinaryIO | bytes | Path) -> Iterator[BinaryIO]:
    """Yield what is to be read; only a file that was opened here is closed here."""
    if isinstance(source, bytes):
        yield BytesIO(source)
    elif isinstance(source, Path):
        try:
            descriptor = durable.open_regular(source)
        except OSError as fault:
            raise Unavailable(
                f"The file {source} cannot be read: {fault.strerror}.", next_step="Give this user the right to read it."
            ) from fault
        with os.fdopen(descriptor, "rb") as file:
            yield file
    else:
        yield source


def _locked_file(folder: Path) -> tuple[Path, BinaryIO]:
    """Return a new file and its path, locked for as long as it is open."""
    while True:
        path = folder / f"{secrets.token_hex(16)}{durable.PARTIAL_SUFFIX}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
        file = os.fdopen(descriptor, "wb")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, file
        file.close()  # A sweep took it for a dead writer's between its making and its locking.


def _copy(stream: BinaryIO, file: BinaryIO, limit_bytes: int) -> Digest:
    """Copy at most the limit and return the digest of what was copied. Raises TooLarge when there is more."""
    hasher = hashlib.sha256()
    room = limit_bytes
    while chunk := _next_chunk(stream, min(_CHUNK, room + 1)):
        room -= len(chunk)
        if room < 0:
            raise TooLarge(f"The artifact is larger than {limit_bytes} bytes.", next_step="Store it elsewhere.")
        hasher.update(chunk)
        file.write(chunk)
    return Digest(hasher.hexdigest())


def _next_chunk(stream: BinaryIO, size: int) -> bytes:
    try:
        return stream.read(size)
    except OSError as fault:
        raise Unavailable(f"The artifact could not be read to its end: {fault}.", next_step="Send it again.") from fault


def _prove(digest: Digest, file: BufferedReader) -> int:
    """Return the length of the file after checking all of it against the digest."""
    _check(digest, hashlib.file_digest(file, "sha256").hexdigest())
    return file.tell()


def _check(digest: Digest, found: str) -> None:
    if found != digest.hex:
        raise IntegrityFault(
            f"The artifact {digest} is damaged: its content has the digest {_PREFIX}{found}.",
            next_step="Restore it from a backup, or put the original content again.",
        )


def _make_folder(folder: Path) -> None:
    """Make the folder and what is missing above it, private and flushed. Raises OSError."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        durable.sync_folder(folder.parent)


def _sweep(path: Path) -> bool:
    """Delete a partial file unless its writer lives, which the lock tells; return whether it was deleted."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False  # Its writer was faster.
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    else:
        return True
    finally:
        os.close(descriptor)

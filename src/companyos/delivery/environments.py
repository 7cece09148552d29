"""Python environments for services, one per dependency list, kept per user outside every home.

An environment is named by the digest of its list and the Python it was made with. It is built beside its place and
renamed when it is whole, so a crash leaves nothing that could be used; whoever comes second waits for the first. Each
use proves that what is installed is what was installed then: names, versions, and the size of every file. What does not
match is refused and never mended in silence, because somebody changed it.

    python -m companyos.delivery.environments warm LOCK_FILE...
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import secrets
import shutil
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from companyos.core import durable
from companyos.core.errors import CompanyOSError, IntegrityFault, NotFound, Unavailable
from companyos.delivery.installed import Installed, installed_digest, read_installed
from companyos.delivery.installing import Cancelled, Progress, install, settle
from companyos.delivery.lockfile import LIMIT_BYTES, Lock, read_lock

MARKER: Final = "companyos-environment.json"
UNUSED_S: Final = 90 * 86_400.0
_MARKER_LIMIT_BYTES: Final = 65_536
_FORMAT: Final = 1
_POLL_S: Final = 0.1
_PARTIAL: Final = ".partial"


class Environment(NamedTuple):
    """A proven environment."""

    python: Path
    """Its interpreter."""
    path: Path
    digest: str
    """SHA-256 of the dependency list, as hex."""
    packages: int
    fresh: bool
    """Whether this call made it."""


def _quiet(_: str) -> None:
    pass


def _never() -> bool:
    return False


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all environments of this user: the XDG cache on Linux, Library/Caches on macOS."""
    environment = os.environ if environment is None else environment
    base = environment.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "companyos" / "environments"
    usual = Path.home() / "Library" / "Caches" if sys.platform == "darwin" else Path.home() / ".cache"
    return usual / "companyos" / "environments"


class Environments:
    """The environments in one folder; processes and threads may share it.

    Methods raise Unavailable when the folder cannot be used or the packages cannot be had.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Take the folder, the user's cache when none is given; it is made when it is needed."""
        self._folder = cache_folder() if folder is None else folder

    def ensure(self, lock: bytes, *, progress: Progress = _quiet, cancelled: Cancelled = _never) -> Environment:
        """Return the environment of a dependency list, made now when there is none.

        ``progress`` is told in words what takes time; ``cancelled`` is asked while it does. Raises InvalidInput and
        TooLarge for a list that is not accepted, IntegrityFault when the environment is not what was installed.
        """
        wanted = read_lock(lock)
        path = self._path(wanted)
        try:
            if not path.is_dir():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with self._only_maker(path, progress, cancelled):
                    if not path.is_dir():
                        return self._make(path, lock, wanted, progress, cancelled)
            return self._proven(path, wanted)
        except OSError as fault:
            raise Unavailable(
                f"The environments in {self._folder} cannot be used: {fault.strerror or fault}.",
                next_step="Give this user the right to write there, or set XDG_CACHE_HOME.",
            ) from fault

    def has(self, lock: bytes) -> bool:
        """Return whether the environment of a dependency list is there, unproven. Raises as ``read_lock`` does."""
        return self._path(read_lock(lock)).is_dir()

    def prune(self, unused_s: float = UNUSED_S, now: float | None = None) -> int:
        """Delete environments that were not used for so many seconds, and what dead makers left; return how many."""
        now = time.time() if now is None else now
        count = 0
        if not self._folder.is_dir():
            return count
        for path in sorted(self._folder.iterdir()):
            marker = path / MARKER
            old = path.is_dir() and now - (marker if marker.is_file() else path).stat().st_mtime > unused_s
            if old:
                aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_PARTIAL}")
                path.rename(aside)  # Nobody finds it half deleted.
                shutil.rmtree(aside)
                count += 1
        return count

    def _path(self, lock: Lock) -> Path:
        version, machine = platform.python_version(), platform.machine() or "any"
        return self._folder / f"{lock.digest}-{sys.implementation.name}{version}-{sys.platform}-{machine}"

    def _make(self, path: Path, data: bytes, lock: Lock, progress: Progress, cancelled: Cancelled) -> Environment:
        for left in self._folder.glob(f"{path.name}.*{_PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)  # Its maker is dead, or it would hold the lock.
        partial = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_PARTIAL}")
        try:
            venv.EnvBuilder(symlinks=True, with_pip=False).create(partial)
            if lock.pins:
                progress(f"Installing {len(lock.pins)} packages")
                install(partial, data, lock, progress=progress, cancelled=cancelled)
            settle(partial, path)
            found = read_installed(partial)
            _check_pins(lock, found)
            marker = {"format": _FORMAT, "lock": lock.digest, "installed": installed_digest(found)}
            durable.write(partial / MARKER, json.dumps(marker).encode("ascii"))
            partial.rename(path)
            durable.sync_folder(self._folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return Environment(path / "bin" / "python", path, lock.digest, len(found), fresh=True)

    def _proven(self, path: Path, lock: Lock) -> Environment:
        marker, python = _marker(path), path / "bin" / "python"
        if marker.get("format") != _FORMAT or marker.get("lock") != lock.digest:
            raise _mismatch(path, "its marker names another dependency list")
        if not os.access(python, os.X_OK):
            raise _mismatch(path, "its Python is gone")
        found = read_installed(path)
        if installed_digest(found) != marker.get("installed"):
            raise _mismatch(path, "its packages are not the ones that were installed")
        os.utime(path / MARKER)
        return Environment(python, path, lock.digest, len(found), fresh=False)

    @contextmanager
    def _only_maker(self, path: Path, progress: Progress, cancelled: Cancelled) -> Iterator[None]:
        """Hold the lock of one environment; wait while somebody else makes it."""
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            told = False
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not told:
                        progress("Waiting for another process that makes the same environment")
                    told = True
                    if cancelled():
                        raise Unavailable("The environment is not needed any more.") from None
                    time.sleep(_POLL_S)
            yield
        finally:
            os.close(descriptor)


def _marker(path: Path) -> Mapping[str, Any]:
    try:
        marker = json.loads(durable.read(path / MARKER, limit_bytes=_MARKER_LIMIT_BYTES))
    except (CompanyOSError, ValueError, RecursionError) as fault:
        raise _mismatch(path, "it has no marker that can be read") from fault
    return marker if isinstance(marker, dict) else {}


def _check_pins(lock: Lock, found: tuple[Installed, ...]) -> None:
    """Raise Unavailable when pip put a package elsewhere, which a setting like PIP_TARGET can cause."""
    versions = {package.name: package.version for package in found}
    for pin in lock.pins:
        if not pin.conditional and pin.name not in versions:
            raise Unavailable(
                f"{pin.name} was not installed into the environment that was made for it.",
                next_step="Look into your pip configuration for a setting like target, prefix, root or no-deps.",
            )


def _mismatch(path: Path, what: str) -> IntegrityFault:
    return IntegrityFault(
        f"The environment {path.name[:12]}… does not match its dependency list: {what}.",
        next_step=f"Find out who changed it, then remove {path}; the next start makes it again.",
    )


def warm(files: list[Path], say: Callable[[str], None], environments: Environments | None = None) -> int:
    """Make the environments of these lock files and return the exit code: 0, or that of the first fault."""
    environments = environments or Environments()
    for file in files:
        try:
            began = time.monotonic()
            made = environments.ensure(_lock_file(file), progress=lambda text: say(f"  {text}"))
            took = f"made in {time.monotonic() - began:.1f} s" if made.fresh else "is there"
            say(f"Environment of {file.name} ({made.packages} packages) {took}")
        except CompanyOSError as fault:
            say(f"{file}: {fault} {fault.next_step}".strip())
            return fault.exit_code
    return 0


def _lock_file(file: Path) -> bytes:
    try:
        return durable.read(file, limit_bytes=LIMIT_BYTES)
    except OSError as fault:
        raise NotFound(f"{file} cannot be read: {fault.strerror}.") from fault


def main(arguments: list[str]) -> int:
    """Run ``warm LOCK_FILE…`` and return the exit code."""
    if len(arguments) < 2 or arguments[0] != "warm":  # noqa: PLR2004 - the word and one file
        sys.stderr.write("usage: python -m companyos.delivery.environments warm LOCK_FILE...\n")
        return 2

    def say(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    return warm([Path(argument) for argument in arguments[1:]], say)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What the runtime must remember of each release, so that the next one adopts what still runs: one small file each.

The files are the truth between processes: who asks for a start or a stop writes it here, and the one process that acts
reads it. Every change is made under one lock, on what the file says at that moment.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from companyos.core import durable
from companyos.core.errors import CompanyOSError
from companyos.core.ids import is_uuid
from companyos.delivery.adapters.local.instance import Failure
from companyos.delivery.model import InstanceState
from companyos.delivery.ports import Launch
from companyos.delivery.section import RunSection

FOLDER: Final = "releases"
"""In the run folder of the home."""
_LIMIT_BYTES: Final = 262_144


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One release, as it was last known."""

    launch: Launch
    wanted: bool
    """Whether it is to run."""
    since: datetime
    """When the state began."""
    drain_s: float = 10.0
    """How long it may finish when it is stopped."""
    state: InstanceState = "preparing"
    failure: Failure = ""
    reason: str = ""
    ever_ready: bool = False
    restarts: int = 0
    counted: int = 0
    port: int | None = None
    pid: int | None = None
    run: RunSection | None = None
    """None until it is prepared."""


class Stamp(NamedTuple):
    """What tells one content of a file from another without reading it."""

    inode: int
    changed_ns: int


class Records:
    """The records of one home. Methods raise OSError when its run folder cannot be used."""

    def __init__(self, run_folder: Path) -> None:
        """Take the run folder of the home."""
        self._folder = run_folder / FOLDER
        self._active: int | None = None

    def activate(self) -> bool:
        """Return whether this process is the one that acts, which it is from the first time on until ``close``."""
        if self._active is not None:
            return True
        descriptor = self._open("active.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._active = descriptor
        return True

    def close(self) -> None:
        """Let another process act."""
        if self._active is not None:
            os.close(self._active)
            self._active = None

    def change(self, release_id: str, rule: Callable[[Record | None], Record | None]) -> Record | None:
        """Return what the rule makes of the record, after putting that on disk in one step; None removes it."""
        path = self._path(release_id)
        with self._locked():
            old = _read(path) if path.exists() else None
            new = rule(old)
            if new is None:
                path.unlink(missing_ok=True)
            elif new != old:
                durable.write(path, msgspec.json.encode(new))
            return new

    def stamps(self) -> Mapping[str, Stamp]:
        """Return the stamp of each record, by release id."""
        try:
            with os.scandir(self._folder) as entries:
                return {
                    entry.name.removesuffix(".json"): Stamp(entry.inode(), entry.stat().st_mtime_ns)
                    for entry in entries
                    if entry.name.endswith(".json") and entry.is_file(follow_symlinks=False)
                }
        except FileNotFoundError:
            return {}

    def read(self, release_id: str) -> Record | None:
        """Return one record. One that cannot be understood is set aside: nothing in it may be acted on."""
        return _read(self._path(release_id))

    def _path(self, release_id: str) -> Path:
        return self._folder / f"{release_id}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = self._open("records.lock")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _read(path: Path) -> Record | None:
    try:
        record = msgspec.json.decode(durable.read(path, limit_bytes=_LIMIT_BYTES), type=Record)
        if not is_uuid(path.stem) or record.launch.release_id != path.stem:
            raise ValueError(f"{path.name} names another release")
    except FileNotFoundError:
        return None
    except (CompanyOSError, ValueError, OSError):
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{path.name}.unreadable"))
        return None
    return record

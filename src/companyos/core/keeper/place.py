"""Where the keeper of a home listens, also when the home's path is too long for a socket."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from companyos.core import durable

PATH_LIMIT_BYTES: Final = 100
"""``sockaddr_un`` holds 104 bytes on macOS and 108 on Linux, with the NUL at the end."""
_SHORT_BASE: Final = Path("/tmp")  # noqa: S108 - only for a folder that mkdtemp makes private; see trusted()
_POINTER_LIMIT_BYTES: Final = 256


class Place(NamedTuple):
    """The files of one keeper, all in the run folder of a home."""

    run: Path
    logs: Path

    @property
    def lock(self) -> Path:
        """The file that a living keeper holds locked."""
        return self.run / "keeper.lock"

    @property
    def state(self) -> Path:
        """Who the children are."""
        return self.run / "keeper.json"

    @property
    def log(self) -> Path:
        """The keeper's own log."""
        return self.logs / "keeper.log"

    @property
    def pointer(self) -> Path:
        """Holds the path of the socket when that cannot lie in the run folder."""
        return self.run / "keeper.socket"

    @property
    def socket(self) -> Path:
        """The socket's path in the run folder, whether or not it is short enough to be used."""
        return self.run / "keeper.sock"


def address(place: Place) -> Path | None:
    """Return the path of the socket to connect to, None when there is none that can be trusted."""
    path = place.socket
    if len(os.fsencode(path)) > PATH_LIMIT_BYTES:
        try:
            with place.pointer.open("rb") as file:
                path = Path(os.fsdecode(file.read(_POINTER_LIMIT_BYTES)))
        except OSError:
            return None
    return path if path.is_absolute() and trusted(path.parent) else None


def make_address(place: Place) -> Path:
    """Return the path to listen on; makes a short private folder and notes it when the run folder's path is too long.

    Raises OSError.
    """
    if len(os.fsencode(place.socket)) <= PATH_LIMIT_BYTES:
        return place.socket
    noted = address(place)
    if noted is not None:
        return noted
    path = Path(tempfile.mkdtemp(prefix="companyos-", dir=_SHORT_BASE)) / "keeper.sock"
    durable.write(place.pointer, os.fsencode(path))
    return path


def trusted(folder: Path) -> bool:
    """Return whether a folder belongs to this user and nobody else can put a socket into it."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022

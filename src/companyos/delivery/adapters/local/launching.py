"""From a launch to a child of the keeper: the artifact unpacked, its environment proven, a port, and a command line."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from companyos.core import durable
from companyos.core.artifacts import ArtifactStore
from companyos.core.errors import InvalidInput, NotFound
from companyos.core.home import Home
from companyos.core.keeper import ChildSpec
from companyos.delivery.adapters.listening import HOST
from companyos.delivery.environments import Environments
from companyos.delivery.lockfile import FILE_NAME, LIMIT_BYTES
from companyos.delivery.ports import Launch
from companyos.delivery.section import MANIFEST, MANIFEST_LIMITS, PYTHON, RunSection, read_run

ARTIFACT_LIMIT_BYTES: Final = 256 * 1024 * 1024
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SPARE_MB: Final = 512
"""Added to the hard limit, because address space counts there and not what is really used: stacks of threads alone
take hundreds of megabytes of it."""
_LIMITED: Final = 'ulimit -n "$1" 2>/dev/null || :; ulimit -d "$2" 2>/dev/null || :; shift 2; exec "$@"'
"""Two limits and then the program itself, in the words that every sh knows. A limit that the system does not have, or
that already is lower, stays as it is."""


class Prepared(NamedTuple):
    """What is needed to start a release, proven."""

    app: Path
    """The artifact's files."""
    work: Path
    """A folder of its own to write into."""
    python: Path
    run: RunSection
    commit: str = ""
    """That the artifact was made from, empty when it does not say."""


class Folders(NamedTuple):
    """Where one release lives on this machine."""

    home: Home
    release_id: str

    @property
    def root(self) -> Path:
        """Everything that goes when the release is stopped."""
        return self.home.path / "releases" / self.release_id

    @property
    def app(self) -> Path:
        """The artifact's files, unpacked again for each start."""
        return self.root / "app"

    @property
    def work(self) -> Path:
        """The service's own folder: ``HOME`` and ``TMPDIR``."""
        return self.root / "work"

    @property
    def log(self) -> Path:
        """What it wrote; stays when it is stopped."""
        return self.home.logs / f"release-{self.release_id}.log"


def child_name(release_id: str) -> str:
    """Return what the keeper calls the process of a release."""
    return f"release-{release_id}"


def prepare(
    launch: Launch,
    folders: Folders,
    artifacts: ArtifactStore,
    environments: Environments,
    cancelled: Callable[[], bool],
) -> Prepared:
    """Return what is needed to start a release, after proving all of it.

    Raises IntegrityFault for an altered artifact or environment, InvalidInput and TooLarge for what is not understood,
    NotFound for an unknown artifact, Unavailable when a part cannot be had, OSError when the home cannot be written.
    """
    from companyos.evidence.archive import read
    from companyos.evidence.packing import COMMIT_NOTE, extract

    data = artifacts.read(launch.digest, ARTIFACT_LIMIT_BYTES)
    shutil.rmtree(folders.app, ignore_errors=True)
    for folder in (folders.app, folders.work):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    extract(data, folders.app)
    run = read_run(_file(folders.app / MANIFEST, MANIFEST_LIMITS.bytes))
    if run.command[0] != PYTHON and not (folders.app / run.command[0]).is_file():
        raise InvalidInput(f"The artifact holds no {run.command[0]}.", next_step="Mend spec.run.command.")
    environment = environments.ensure(_lock(folders.app), cancelled=cancelled)
    commit = read(data).notes.get(COMMIT_NOTE, "")
    return Prepared(folders.app, folders.work, environment.python, run, commit if _COMMIT.fullmatch(commit) else "")


def spec_of(launch: Launch, folders: Folders, prepared: Prepared, port: int, drain_s: float) -> ChildSpec:
    """Return what the keeper is told: the command behind its limits, in an environment with the release's stamp."""
    program = str(prepared.python) if prepared.run.command[0] == PYTHON else str(folders.app / prepared.run.command[0])
    memory_kb = (2 * launch.memory_mb + _SPARE_MB) * 1024
    limits = ("/bin/sh", "-c", _LIMITED, "sh", str(launch.open_files), str(memory_kb))
    return ChildSpec(
        name=child_name(launch.release_id),
        argv=(*limits, program, *prepared.run.command[1:]),
        cwd=str(prepared.app),
        env=_environment(launch, prepared, port),
        log=str(folders.log),
        grace_s=drain_s,
    )


def _environment(launch: Launch, prepared: Prepared, port: int) -> dict[str, str]:
    """Return all that the service gets to see; nothing of the platform's own environment is in it."""
    return {
        "PATH": f"{prepared.python.parent}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(prepared.work),
        "TMPDIR": str(prepared.work),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOST": HOST,
        prepared.run.port_env: str(port),
        **{f"FLAG_{key.upper()}": "true" if value else "false" for key, value in launch.flags.items()},
        "COMPANYOS_SERVICE": launch.service,
        "COMPANYOS_VERSION": launch.version,
        "COMPANYOS_RELEASE_ID": launch.release_id,
        "COMPANYOS_RELEASE": f"{launch.service}@{launch.version}",
        "COMPANYOS_ENVIRONMENT": launch.environment,
        "COMPANYOS_DIGEST": launch.digest,
        **({"COMPANYOS_COMMIT": prepared.commit} if prepared.commit else {}),
    }


def _lock(app: Path) -> bytes:
    try:
        return _file(app / FILE_NAME, LIMIT_BYTES)
    except InvalidInput:
        return b""  # A service without dependencies needs no list.


def _file(path: Path, limit_bytes: int) -> bytes:
    try:
        return durable.read(path, limit_bytes=limit_bytes)
    except NotFound as fault:
        raise InvalidInput(f"The artifact holds no {path.name}.", next_step="Commit that file.") from fault

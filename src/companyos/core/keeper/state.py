"""What the keeper knows, on disk: enough for the next keeper to find every child again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from companyos.core import durable
from companyos.core.errors import CompanyOSError, NotFound
from companyos.core.keeper.protocol import ChildSpec, Refused, spec_from_json, spec_to_json

FORMAT: Final = 1
_INIT: Final = 1
"""A signal to this process id, or to one below, would hit init or every process there is."""
SIZE_LIMIT_BYTES: Final = 16 * 1024 * 1024


class Record(NamedTuple):
    """One child. ``spec.env`` is empty here: an environment may hold secrets, so that only its hash is stored."""

    spec: ChildSpec
    env_hash: str
    pid: int
    started: str
    """What ``process.start_time`` said about ``pid``."""
    since: float
    restarts: int


def record_of(spec: ChildSpec, *, env_hash: str, pid: int, started: str, since: float, restarts: int) -> Record:
    """Return the record of a child: its environment is left out, the hash says which one it was."""
    return Record(spec._replace(env={}), env_hash, pid, started, since, restarts)


def write(path: Path, records: Iterable[Record]) -> None:
    """Replace the state file as a whole, 0600. Raises OSError."""
    children = [{**record._asdict(), "spec": spec_to_json(record.spec)} for record in records]
    durable.write(path, json.dumps({"format": FORMAT, "children": children}, indent=1).encode("ascii"))


def read(path: Path) -> tuple[Record, ...]:
    """Return the records of the state file, none when there is no file. Raises Refused when it cannot be understood."""
    try:
        state = json.loads(durable.read(path, limit_bytes=SIZE_LIMIT_BYTES))
        if state["format"] != FORMAT:
            raise Refused(f"{path} has format {state['format']!r}; this keeper reads {FORMAT}.")
        return tuple(_record(child) for child in state["children"])
    except NotFound:
        return ()
    except CompanyOSError as fault:
        raise Refused(str(fault)) from fault
    except OSError as fault:
        raise Refused(f"{path} cannot be read: {fault.strerror}.") from fault
    except (ValueError, TypeError, KeyError, RecursionError) as fault:
        raise Refused(f"{path} is damaged: {fault!r}.") from fault


def _record(child: dict[str, object]) -> Record:
    pid, started = child["pid"], child["started"]
    if not isinstance(pid, int) or pid <= _INIT or not isinstance(started, str):
        raise Refused(f"The state file names a process {pid!r} that cannot be a child.")
    return Record(
        spec=spec_from_json(child["spec"]),
        env_hash=str(child["env_hash"]),
        pid=pid,
        started=started,
        since=float(str(child["since"])),
        restarts=int(str(child["restarts"])),
    )

"""The steps of bringing the platform up and down, one function each; commands put them in order and talk about them."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from companyos.core import client
from companyos.core.errors import Unavailable
from companyos.core.keeper import ChildSpec, ChildStatus, Keeper

if TYPE_CHECKING:
    from companyos.cli.guard import Local
    from companyos.core.client import ControllerNote, ServerAddress
    from companyos.core.home import Home
    from companyos.core.schema import Plan

SERVER: Final = "server"
"""The name of the server among the keeper's children."""
CONTROLLER: Final = "controller"
"""The name of the process that follows releases."""
READY_S: Final = 60.0
GRACE_S: Final = 10.0
_POLL_S: Final = 0.1
_HOPELESS_RESTARTS: Final = 2
"""A server that ended so often before it answered will not answer by itself."""
_SHOWN_LINES: Final = 12
_TAIL_BYTES: Final = 16 * 1024


def keeper_of(home: Home) -> Keeper:
    """Return the keeper of a home; nothing is started."""
    return Keeper(home.run, home.logs)


def server_log(home: Home) -> Path:
    """Return where the server's output goes when the keeper runs it."""
    return home.logs / "server.log"


def server_spec(local: Local, host: str, port: int) -> ChildSpec:
    """Return how the keeper runs the server of this home."""
    return ChildSpec(
        name=SERVER,
        argv=(sys.executable, "-P", "-m", "companyos.server", "--host", host, "--port", str(port)),
        cwd=str(local.home.path),
        env={**os.environ, "COMPANYOS_HOME": str(local.home.path)},
        log=str(server_log(local.home)),
        restart="always",
        grace_s=GRACE_S,
    )


def controller_spec(local: Local) -> ChildSpec:
    """Return how the keeper runs the controller of this home."""
    return ChildSpec(
        name=CONTROLLER,
        argv=(sys.executable, "-P", "-m", "companyos.server.controller"),
        cwd=str(local.home.path),
        env={**os.environ, "COMPANYOS_HOME": str(local.home.path)},
        log=str(local.home.logs / "controller.log"),
        restart="always",
        grace_s=GRACE_S,
    )


def no_router() -> str | None:
    """Return why releases cannot be delivered on this machine, None when they can."""
    from companyos.delivery.adapters.envoy.process import program

    try:
        program()
    except Unavailable as fault:
        return str(fault)
    return None


def wait_for_controller(keeper: Keeper, home: Home, within_s: float = READY_S) -> ControllerNote:
    """Return what the keeper's controller says once it follows releases. Raises Unavailable."""
    deadline = time.monotonic() + within_s
    while True:
        child = child_of(keeper, CONTROLLER)
        if child is None or child.state == "ended" or child.restarts >= _HOPELESS_RESTARTS:
            raise _not_up("The controller does not start", home.logs / "controller.log")
        noted = client.noted_controller(home)
        if noted is not None and noted.pid == child.pid:
            return noted
        if time.monotonic() >= deadline:
            raise _not_up(f"The controller is not ready within {within_s:.0f} s", home.logs / "controller.log")
        time.sleep(_POLL_S)


def child_of(keeper: Keeper, name: str) -> ChildStatus | None:
    """Return one of the keeper's children, None when it is not there."""
    return next((child for child in keeper.children() if child.name == name), None)


def server_child(keeper: Keeper) -> ChildStatus | None:
    """Return the server among the keeper's children, None when it is not there."""
    return child_of(keeper, SERVER)


def upgrade_database(local: Local, *, dry_run: bool = False) -> Plan:
    """Bring the schema to this release's and return what was pending; an upgrade that changed something is recorded."""
    from companyos.core import schema
    from companyos.core.database import Database

    database = Database.open(local.settings.resolved_database_url)
    try:
        plan = schema.upgrade(database, dry_run=dry_run)
    finally:
        database.close()
    if plan.pending and not dry_run:
        _record_upgrade(local, plan)
    return plan


def _record_upgrade(local: Local, plan: Plan) -> None:
    from companyos.ledger import open_journal

    journal = open_journal(local.settings)
    try:
        with journal.write(local.caller) as change:
            change.record(
                verb="database.upgrade",
                target="database:companyos",
                verdict=local.verdict,
                details={"from": plan.current, "to": plan.target, "revisions": list(plan.pending)},
            )
    finally:
        journal.close()


def wait_for_server(keeper: Keeper, home: Home, within_s: float = READY_S) -> ServerAddress:
    """Return the address of the keeper's server once it answers there.

    Raises Unavailable with the end of its log when it keeps ending, or does not answer in time.
    """
    deadline = time.monotonic() + within_s
    while True:
        child = server_child(keeper)
        if child is None or child.state == "ended" or child.restarts >= _HOPELESS_RESTARTS:
            raise _no_server(home, "The server does not start")
        noted = client.noted_server(home)
        # The file may still be that of the server before; only the process that the keeper runs counts.
        if noted is not None and noted.pid == child.pid and client.running_server(home) is not None:
            return noted
        if time.monotonic() >= deadline:
            raise _no_server(home, f"The server does not answer within {within_s:.0f} s")
        time.sleep(_POLL_S)


def _no_server(home: Home, sentence: str) -> Unavailable:
    return _not_up(sentence, server_log(home))


def _not_up(sentence: str, log: Path) -> Unavailable:
    lines = last_lines(log)
    quoted = "".join(f"\n  {line}" for line in lines)
    return Unavailable(
        f"{sentence}{'; its last lines:' if lines else '.'}{quoted}",
        next_step=f"Mend that, or read on in {log}; `companyos doctor` looks for common causes.",
    )


def last_lines(path: Path, count: int = _SHOWN_LINES) -> list[str]:
    """Return the last lines of a log, none when there is no such file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            return file.read(_TAIL_BYTES).decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []

"""What every command of the platform itself does first: find the home, read the settings, and ask whether it may."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from companyos.core import access
from companyos.core.client import local_caller
from companyos.core.errors import CompanyOSError, Denied
from companyos.core.home import Home, find_home
from companyos.core.settings import Settings, load

if TYPE_CHECKING:
    from companyos.core.access import Caller, Verdict


class Local(NamedTuple):
    """Where a command works, and who may."""

    home: Home
    settings: Settings
    caller: Caller
    verdict: Verdict


def allow(action: str, resource: str = "platform:local") -> Local:
    """Return the home and its settings when the person at this machine may do this; a denial is recorded and raised.

    The policy that ships decides, because these commands must work when the database does not.
    """
    home = find_home()
    settings = load(home)
    caller = local_caller(settings)
    lines = bind_policy()
    try:
        verdict = access.require(caller, action, resource)
    except Denied as denied:
        _record(settings, lines, denied=(caller, action, resource, denied))
        raise
    _record(settings, lines)
    return Local(home, settings, caller, verdict)


def bind_policy() -> list[bytes]:
    """Let the policy that ships decide in this process, and return the list that gets a record of each decision."""
    from companyos.core.clock import SystemClock
    from companyos.policy.enforcing import PolicyAuthorizer, shipped_decider
    from companyos_sdk.policy.record import MemoryRecorder

    recorder = MemoryRecorder()
    decider = shipped_decider(recorder)
    access.bind(PolicyAuthorizer(lambda: decider, SystemClock()))
    return recorder.lines


def _record(settings: Settings, lines: list[bytes], denied: tuple[Caller, str, str, Denied] | None = None) -> None:
    """Write decisions to the home's log where there is a database that this release knows; else there is none yet.

    The answer is what it is, whether or not it can be written down: an unreachable database must not hide it.
    """
    if not settings.database_url and not settings.folder.database_file.exists():
        return
    from companyos.core import schema
    from companyos.core.database import Database
    from companyos.ledger import open_journal
    from companyos.policy.log import DecisionLog

    with contextlib.suppress(CompanyOSError, OSError):
        database = Database.open(settings.resolved_database_url)
        try:
            schema.check(database)
        finally:
            database.close()
        journal = open_journal(settings)
        try:
            if denied is not None:
                journal.deny(*denied)
            log = DecisionLog(journal)
            for line in lines:
                log.record(line)
            log.close()
        finally:
            journal.close()

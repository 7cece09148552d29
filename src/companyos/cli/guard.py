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
    """Return the home and its settings when the person at this machine may do this; a denial is recorded and raised."""
    home = find_home()
    settings = load(home)
    caller = local_caller(settings)
    bind_roles()
    try:
        verdict = access.require(caller, action, resource)
    except Denied as denied:
        _record(settings, caller, action, resource, denied)
        raise
    return Local(home, settings, caller, verdict)


def bind_roles() -> None:
    """Let the role table decide in this process."""
    from companyos.identity.roles import RoleAuthorizer

    access.bind(RoleAuthorizer())


def _record(settings: Settings, caller: Caller, action: str, resource: str, denied: Denied) -> None:
    """Write the denial to the ledger where there is one; without one there is nothing to protect either."""
    if not settings.database_url and not settings.folder.database_file.exists():
        return
    from companyos.ledger import open_journal

    # The answer is no, whether or not it can be written down: an unreachable database must not hide it.
    with contextlib.suppress(CompanyOSError, OSError):
        journal = open_journal(settings)
        try:
            journal.deny(caller, action, resource, denied)
        finally:
            journal.close()

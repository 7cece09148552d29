"""Going back without a server and without asking a policy: for the owner of the home's files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from companyos.core.client import local_caller
from companyos.core.errors import Denied, NotFound
from companyos.core.home import Home, find_home
from companyos.core.settings import load

if TYPE_CHECKING:
    from companyos.policy.model import Activation, Stage


def roll_back(bundle_id: str, stage: Stage, *, version: str | None, reason: str) -> Activation:
    """Return the activation of the earlier version; it is recorded as done by ``os:<user>``.

    A server that runs on the same home notices within a moment. Raises NotFound without a home, Denied for anybody but
    its owner, and what ``Policies.roll_back_locally`` raises.
    """
    home = find_home()
    check_owner(home)
    settings = load(home)
    from companyos.ledger import open_journal
    from companyos.policy.service import Policies

    journal = open_journal(settings)
    try:
        return Policies(journal).roll_back_locally(
            local_caller(settings), bundle_id, stage, version=version, reason=reason
        )
    finally:
        journal.close()


def check_owner(home: Home) -> None:
    """Return when the home belongs to the user of this process. Raises NotFound or Denied."""
    try:
        owner = home.path.stat().st_uid
    except OSError as fault:
        raise NotFound(f"There is no home at {home.path}.", next_step="Set COMPANYOS_HOME.") from fault
    if owner != os.geteuid():
        raise Denied(
            f"{home.path} belongs to another user, and only its owner may go back without asking a policy.",
            next_step=f"Run this as the user with the id {owner}.",
            action="policy.rollback",
            resource="policy:local",
            policy="local:owner",
        )

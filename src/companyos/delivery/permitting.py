"""Asking the policy again when a release would be promoted: whoever deployed it must still be allowed to.

Between a deploy and its promotion an hour may pass, in which a role ends or a policy changes. A promotion that is
denied holds the release with the rule as the reason, and is asked for again a little later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from companyos.core import access
from companyos.core.access import Caller, Verdict
from companyos.identity import Identity

if TYPE_CHECKING:
    from companyos.delivery.model import Release
    from companyos.ledger import Journal

PROMOTE: Final = "release.promote"
AGAIN_S: Final = 15.0
"""So long a denial stands before the policy is asked again."""


def facts_of(release: Release) -> dict[str, Any]:
    """Return what a policy may know of a release."""
    return {
        "service": release.service,
        "version": release.version,
        "environment": release.environment,
        "digest": release.digest,
        "commit": release.commit,
        "first": release.baseline is None,
    }


class Permission:
    """The promotions of one controller: what was allowed, and what is denied for the moment."""

    def __init__(self, journal: Journal) -> None:
        """Look deployers up in the identities of this journal."""
        self._identity = Identity(journal)
        self._denied: dict[str, tuple[str, float]] = {}

    def standing(self, release: Release, now: float) -> str | None:
        """Return why this release may not be promoted, or None; a denial that is old is asked again.

        ``now`` is in monotonic seconds.
        """
        known = self._denied.get(release.id)
        if known is None:
            return None
        if now - known[1] < AGAIN_S:
            return known[0]
        verdict = self.ask(release, now)
        return None if verdict.allowed else self._denied[release.id][0]

    def ask(self, release: Release, now: float) -> Verdict:
        """Return the verdict on promoting the release, for the one who deployed it and the roles of this moment."""
        verdict = access.ask(self._deployer(release), PROMOTE, f"release:{release.name}", facts_of(release))
        if verdict.allowed:
            self._denied.pop(release.id, None)
        else:
            why = f"{release.created_by} may not promote it ({verdict.policy}): {verdict.reason}"
            self._denied[release.id] = (why, now)
        return verdict

    def _deployer(self, release: Release) -> Caller:
        """Return who deployed it; one without a row, as the owner of the machine, keeps the roles of that moment."""
        present = self._identity.present(release.created_by_id) if release.created_by_id is not None else None
        return present or Caller(subject=release.created_by, roles=frozenset(release.created_roles))

"""The use case of going back: a version that was active before becomes active again. It is the only way down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from companyos.core.access import Caller, Verdict, require
from companyos.core.errors import Conflict, Denied
from companyos.policy import store
from companyos.policy.activating import Activating
from companyos.policy.base import check_bundle_id, check_stage, check_version
from companyos.policy.errors import BundleNotFound, NeverActive, NothingActive, NoWayBack
from companyos.policy.model import Activation, ActivationKind, Published, Stage
from companyos_sdk.bundle import version_key

LOCAL: str = "local:owner"
"""The policy that the ledger names when the owner of the home goes back without asking any."""


class Step(NamedTuple):
    """What became active in a stage, and how."""

    version: str
    kind: ActivationKind
    previous: str | None


def way_back(steps: Iterable[Step]) -> str | None:
    """Return the version to go back to from the newest of these steps, which come oldest first; None when none is.

    It is the one that was active most lately among those that are lower and that no rollback has taken back. Who
    promotes a version that was taken back clears it.
    """
    lately: dict[str, None] = {}
    taken_back: set[str] = set()
    here: str | None = None
    for step in steps:
        if step.kind == "rollback" and step.previous is not None:
            taken_back.add(step.previous)
        elif step.kind in {"publish", "promote"}:
            taken_back.discard(step.version)
        lately.pop(step.version, None)
        lately[step.version] = None
        here = step.version
    if here is None:
        return None
    lower = (one for one in reversed(lately) if one not in taken_back and version_key(one) < version_key(here))
    return next(lower, None)


class Returning(Activating):
    """Rollbacks."""

    def roll_back(
        self, caller: Caller, bundle_id: str, stage: Stage, *, version: str | None = None, reason: str
    ) -> Activation:
        """Return the activation of a lower version that was active in the stage before; see ``way_back`` for which.

        Raises NothingActive, NeverActive, BundleNotFound, NoWayBack when there is none, and Conflict when the one that
        is named is not lower.
        """
        verdict = require(caller, "policy.rollback", f"policy:{bundle_id[:100]}")
        return self._back(caller, bundle_id, stage, version, reason, verdict)

    def roll_back_locally(
        self, caller: Caller, bundle_id: str, stage: Stage, *, version: str | None = None, reason: str
    ) -> Activation:
        """Do the same for the owner of the home's files, whom no policy can lock out; it asks no permission.

        Raises Denied for any other caller.
        """
        if caller.subject_id is not None or not caller.subject.startswith("os:"):
            raise Denied(
                f"{caller.subject} does not work on the files of this home.",
                next_step="Run companyos policy rollback --local as the user who owns the home.",
                action="policy.rollback",
                resource=f"policy:{bundle_id[:100]}",
                policy=LOCAL,
            )
        verdict = Verdict(allowed=True, policy=LOCAL, reason="The owner of the home may always go back.")
        return self._back(caller, bundle_id, stage, version, reason, verdict)

    def renew(self, caller: Caller, bundle_id: str, stage: Stage, *, reason: str) -> Activation:
        """Return the activation of what is active, signed anew: for deciders, after the key of a stage was rotated.

        Nothing else about it changes. Raises NothingActive.
        """
        verdict = require(caller, "policy.sign", f"policy:{bundle_id[:100]}")
        check_bundle_id(bundle_id)
        with self.journal.read() as connection:
            active = store.active(connection, bundle_id, check_stage(stage))
            published = store.published(connection, bundle_id, active.version) if active is not None else None
        if published is None:
            raise NothingActive(bundle_id, stage)
        ready = self._made_ready(caller, published, stage)
        with self.journal.write(caller) as change:
            return self._switch(change, caller, ready, "renew", reason=reason, verdict=verdict)

    def _back(
        self, caller: Caller, bundle_id: str, stage: Stage, version: str | None, reason: str, verdict: Verdict
    ) -> Activation:
        check_bundle_id(bundle_id)
        check_stage(stage)
        active, published = self._earlier(bundle_id, stage, check_version(version) if version is not None else None)
        ready = self._made_ready(caller, published, stage, back=True)
        if ready.over is None or ready.over.id != active.id:
            raise Conflict(
                f"Something else became active in {stage} meanwhile.", next_step="Look at it, and try again."
            )
        if (why := self._lockout(ready.bundle)) is not None:
            raise Conflict(why, next_step="Go back to a version that lets an admin mend it.")
        more: dict[str, Any] = {"acknowledged": {}}
        with self.journal.write(caller) as change:
            return self._switch(change, caller, ready, "rollback", reason=reason, verdict=verdict, more=more)

    def _earlier(self, bundle_id: str, stage: Stage, version: str | None) -> tuple[Activation, Published]:
        """Return what is active, and what to go back to."""
        with self.journal.read() as connection:
            active = store.active(connection, bundle_id, stage)
            if active is None:
                raise NothingActive(bundle_id, stage)
            wanted = version or way_back(Step(*step) for step in store.steps(connection, bundle_id, stage))
            if wanted is None:
                raise NoWayBack(f"{bundle_id}@{active.version}", stage)
            if wanted == active.version:
                raise Conflict(f"{bundle_id}@{wanted} is active in {stage} already.", next_step="Name another version.")
            if store.activation_of(connection, bundle_id, stage, wanted) is None:
                raise NeverActive(f"{bundle_id}@{wanted}", stage)
            if version_key(wanted) > version_key(active.version):
                raise Conflict(
                    f"{bundle_id}@{wanted} is above {active.version}, which is active in {stage}; a rollback only goes "
                    "down.",
                    next_step=f"companyos policy promote {bundle_id}@{wanted} --to {stage}",
                )
            published = store.published(connection, bundle_id, wanted)
        if published is None:
            raise BundleNotFound(f"{bundle_id}@{wanted}")
        return active, published

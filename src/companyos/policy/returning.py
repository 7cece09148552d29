"""The use case of going back: a version that was active before becomes active again. It is the only way down."""

from __future__ import annotations

from typing import Any

from companyos.core.access import Caller, Verdict, require
from companyos.core.errors import Conflict, Denied
from companyos.policy import store
from companyos.policy.activating import Activating
from companyos.policy.base import check_bundle_id, check_stage, check_version
from companyos.policy.errors import BundleNotFound, NeverActive, NothingActive
from companyos.policy.model import Activation, Published, Stage

LOCAL: str = "local:owner"
"""The policy that the ledger names when the owner of the home goes back without asking any."""


class Returning(Activating):
    """Rollbacks."""

    def roll_back(
        self, caller: Caller, bundle_id: str, stage: Stage, *, version: str | None = None, reason: str
    ) -> Activation:
        """Return the activation of a version that was active in the stage before: the previous one, or the one named.

        Raises NothingActive, NeverActive, BundleNotFound, and Conflict when it is active already.
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
        published = self._earlier(bundle_id, stage, check_version(version) if version is not None else None)
        ready = self._made_ready(caller, published, stage, back=True)
        if (why := self._lockout(ready.bundle)) is not None:
            raise Conflict(why, next_step="Go back to a version that lets an admin mend it.")
        more: dict[str, Any] = {"acknowledged": {}}
        with self.journal.write(caller) as change:
            return self._switch(change, caller, ready, "rollback", reason=reason, verdict=verdict, more=more)

    def _earlier(self, bundle_id: str, stage: Stage, version: str | None) -> Published:
        with self.journal.read() as connection:
            active = store.active(connection, bundle_id, stage)
            if active is None:
                raise NothingActive(bundle_id, stage)
            wanted = version or active.previous
            if wanted is None:
                raise NeverActive(f"{bundle_id}@(none)", stage)
            if wanted == active.version:
                raise Conflict(f"{bundle_id}@{wanted} is active in {stage} already.", next_step="Name another version.")
            if store.activation_of(connection, bundle_id, stage, wanted) is None:
                raise NeverActive(f"{bundle_id}@{wanted}", stage)
            published = store.published(connection, bundle_id, wanted)
        if published is None:
            raise BundleNotFound(f"{bundle_id}@{wanted}")
        return published

"""The use case of a promotion: what is active in one stage becomes active in the next, if nothing stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core.access import Caller, Verdict, ask, require
from companyos.core.errors import InvalidInput, Unavailable
from companyos.policy import sentences, store
from companyos.policy.activating import Activating, Ready
from companyos.policy.base import check_bundle_id, check_stage, check_version, is_other_person, named
from companyos.policy.blocking import Facts, blocks, stage_before
from companyos.policy.errors import BundleNotFound
from companyos.policy.model import Activation, ActivationKind, Block, Outcome, Promotion, Published, Stage
from companyos.policy.replay import ReplayReport, candidate, replay
from companyos_sdk.bundle import version_key

if TYPE_CHECKING:
    from companyos.operations import Approval

PROMOTION: Final = "https://companyos.dev/attestations/policy-promotion/v1"
"""The predicate type of the Statement about a promotion."""

MAX_ACKNOWLEDGED: Final = 200


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to be active, and what they sign off."""

    bundle_id: str
    version: str
    stage: Stage
    reason: str
    acknowledged: dict[str, int] = {}
    """Differences by name, with how many of each may be."""
    without_replay: bool = False


class Promoting(Activating):
    """Promotions."""

    def promote(self, caller: Caller, order: Order, *, dry_run: bool = False) -> Promotion:
        """Return what became of it: ``blocked`` with every reason, ``unchanged``, or ``promoted``.

        A dry run changes nothing and returns ``possible`` where nothing stands against it. Raises BundleNotFound;
        Conflict when the stage changed meanwhile; what is wrong with the stored bundle, after it was noted.
        """
        _check(order)
        target = f"policy:{order.bundle_id}@{order.version}"
        verdict = require(caller, _action(order.stage, dry_run=dry_run), target)
        with self.journal.read() as connection:
            published = store.published(connection, order.bundle_id, order.version)
            active = store.active(connection, order.bundle_id, order.stage)
        if published is None:
            raise BundleNotFound(f"{order.bundle_id}@{order.version}")
        if active is not None and active.published_id == published.id:
            return _told("unchanged", published, order.stage, active, None)
        ready = self._made_ready(caller, published, order.stage, quiet=dry_run)
        report = self._replayed(ready) if stage_before(order.stage) is not None else None
        facts, approval = self._facts(caller, order, ready, report)
        found = blocks(facts)
        if dry_run:
            return _told("blocked" if found else "possible", published, order.stage, facts.active, report, found)
        if found:
            self._record_blocked(caller, order, verdict, found)
            return _told("blocked", published, order.stage, facts.active, report, found)
        return self._promoted(caller, order, ready, facts, approval, verdict)

    def _replayed(self, ready: Ready) -> ReplayReport:
        """Return what the candidate would decide otherwise in its stage; one replay runs at a time in a process."""
        if not self._replaying.acquire(blocking=False):
            raise Unavailable("Another replay is running.", next_step="Try again when it is done.")
        try:
            records = self._decisions.records(ready.published.bundle_id, ready.stage)
            return replay(records, candidate(ready.bundle.program))
        finally:
            self._replaying.release()

    def _facts(
        self, caller: Caller, order: Order, ready: Ready, report: ReplayReport | None
    ) -> tuple[Facts, Approval | None]:
        published, before = ready.published, stage_before(order.stage)
        with self.journal.read() as connection:
            earlier = store.active(connection, published.bundle_id, before) if before is not None else None
        other = is_other_person(published, caller) and ask(caller, "approval.decide", named(published)).allowed
        approval = self._approval(published) if order.stage == "prod" and not other else None
        facts = Facts(
            published=published,
            stage=order.stage,
            found_digest=ready.bundle.content_digest,
            before=earlier,
            active=ready.over,
            newer=ready.over is None or version_key(published.version) > version_key(ready.over.version),
            replay=report,
            approved=other or approval is not None,
            signed_off_by_other=other,
            acknowledged=order.acknowledged,
            without_replay=order.without_replay,
            lockout=self._lockout(ready.bundle),
        )
        return facts, approval

    def _approval(self, published: Published) -> Approval | None:
        """Return an approval in force by somebody who is certainly not the author, or None."""
        found = self._operations.standing_approval(named(published), "promotion")
        if found is None or found.decided_by is None:
            return None
        approver = Caller(subject=found.decided_by, subject_id=found.decided_by_id)
        return found if is_other_person(published, approver) else None

    def _promoted(
        self,
        caller: Caller,
        order: Order,
        ready: Ready,
        facts: Facts,
        approval: Approval | None,
        verdict: Verdict,
    ) -> Promotion:
        published, stage = ready.published, order.stage
        approver = None
        if stage == "prod":
            approver = approval.decided_by if approval is not None else caller.subject
        more: dict[str, Any] = {
            "approver": approver,
            "approval_id": approval.id if approval is not None else None,
            "replay": facts.replay,
            "acknowledged": dict(order.acknowledged),
            "without_replay": order.without_replay,
        }
        more["attestation"] = self._attest(caller, order, ready, more)
        kind: ActivationKind = "publish" if stage_before(stage) is None else "promote"
        with self.journal.write(caller) as change:
            self._check_before(change.connection, facts)
            made = self._switch(change, caller, ready, kind, reason=order.reason, verdict=verdict, more=more)
        told = _told("promoted", published, stage, facts.active, facts.replay)
        return msgspec.structs.replace(told, activation=made)

    def _check_before(self, connection: Any, facts: Facts) -> None:  # noqa: ANN401 - a connection
        """Raise Unavailable when the stage before is no longer what the decision was made on."""
        before = stage_before(facts.stage)
        if before is None:
            return
        now = store.active(connection, facts.published.bundle_id, before, lock=True)
        if facts.before is None or now is None or now.id != facts.before.id:
            raise Unavailable(f"What is active in {before} has changed meanwhile.", next_step="Try again.")

    def _attest(self, caller: Caller, order: Order, ready: Ready, more: Mapping[str, Any]) -> str:
        published = ready.published
        return self._shelf.attest(
            published.name,
            ready.bundle.content_digest,
            PROMOTION,
            {
                "stage": order.stage,
                "digest": ready.digest,
                "reason": order.reason,
                "promotedBy": caller.subject,
                "approvedBy": more["approver"],
                "author": published.published_by,
                "tests": published.attestation,
                "previous": ready.over.version if ready.over else None,
                "acknowledged": dict(order.acknowledged),
                "withoutReplay": order.without_replay,
                "replay": msgspec.to_builtins(more["replay"]),
            },
        )

    def _record_blocked(self, caller: Caller, order: Order, verdict: Verdict, found: tuple[Block, ...]) -> None:
        with self.journal.write(caller) as change:
            change.record(
                verb="policy.block",
                target=f"policy:{order.bundle_id}@{order.version}",
                verdict=verdict,
                details={
                    "stage": order.stage,
                    "reason": order.reason,
                    "blocks": sorted({block.code for block in found}),
                    "acknowledged": dict(order.acknowledged),
                    "without_replay": order.without_replay,
                },
            )


def _check(order: Order) -> None:
    check_bundle_id(order.bundle_id)
    check_version(order.version)
    check_stage(order.stage)
    if len(order.acknowledged) > MAX_ACKNOWLEDGED:
        raise InvalidInput(
            f"At most {MAX_ACKNOWLEDGED} differences can be signed off at once.",
            next_step="Mend the policy instead.",
            field="acknowledged",
        )


def _action(stage: Stage, *, dry_run: bool) -> str:
    if dry_run:
        return "policy.read"
    return "policy.publish" if stage_before(stage) is None else "policy.promote"


def _told(
    outcome: Outcome,
    published: Published,
    stage: Stage,
    active: Activation | None,
    report: ReplayReport | None,
    found: tuple[Block, ...] = (),
) -> Promotion:
    return Promotion(
        outcome=outcome,
        bundle_id=published.bundle_id,
        version=published.version,
        stage=stage,
        active_version=active.version if active else None,
        content_digest=published.content_digest,
        tests=published.tests,
        replay=report,
        blocks=found,
        sentence=sentences.outcome(outcome, published, stage, found, report),
    )

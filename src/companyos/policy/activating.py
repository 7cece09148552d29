"""How a version becomes the active one of a stage: made ready first, switched in one transaction, or not at all.

Whatever goes wrong leaves the last good version active, and says so in three places: the stage's status, the ledger,
and a notification.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from companyos.core.access import Caller
from companyos.core.errors import CompanyOSError, Conflict
from companyos.core.ids import uuid7
from companyos.policy import store
from companyos.policy.base import Base, named
from companyos.policy.errors import BundleRefused
from companyos.policy.model import Activation, ActivationKind, Published, Stage

if TYPE_CHECKING:
    from companyos.core.access import Verdict
    from companyos.ledger import Change
    from companyos_sdk.bundle import Bundle

_MAX_FAILURE: Final = 500
_ITSELF: Final = Caller(subject="system:policy")


class Ready(NamedTuple):
    """A bundle that is signed for its stage, was opened as a decider opens it, and is kept."""

    published: Published
    stage: Stage
    bundle: Bundle
    digest: str
    over: Activation | None
    """What was active when this was made ready; it must still be when this takes its place."""


class Activating(Base):
    """Making versions active."""

    def _made_ready(
        self, caller: Caller, published: Published, stage: Stage, *, back: bool = False, quiet: bool = False
    ) -> Ready:
        """Return what would become active; a failure is noted unless it is ``quiet``, and raised.

        With ``back`` the signature says that the version may follow the active one although it is older.
        """
        try:
            return self._ready(published, stage, back=back)
        except CompanyOSError as fault:
            if not quiet:
                self._note_failure(caller, published, stage, str(fault))
            raise

    def _ready(self, published: Published, stage: Stage, *, back: bool) -> Ready:
        with self.journal.read() as connection:
            over = store.active(connection, published.bundle_id, stage)
        # The signature held when it was published; whether its key would still be taken now is not the question.
        data = self._shelf.read(published.digest)
        opened = self._shelf.open(data, "dev", at=published.published_at)
        if stage == "dev" and not back:
            with suppress(BundleRefused):  # Then its key was rotated since, and it is signed again below.
                return Ready(published, stage, self._shelf.open(data, stage), published.digest, over)
        takes_back = (over.version, over.at) if back and over is not None else None
        sealed = self._shelf.seal(opened.files, stage, takes_back=takes_back)
        bundle = self._shelf.open(sealed, stage)
        return Ready(published, stage, bundle, self._shelf.put(sealed), over)

    def _switch(
        self,
        change: Change,
        caller: Caller,
        ready: Ready,
        kind: ActivationKind,
        *,
        reason: str,
        verdict: Verdict | None,
        more: Mapping[str, Any] | None = None,
    ) -> Activation:
        """Return the new activation. Raises Conflict when something else became active since it was made ready."""
        published, stage = ready.published, ready.stage
        over = store.active(change.connection, published.bundle_id, stage, lock=True)
        if (over and over.id) != (ready.over and ready.over.id):
            raise Conflict(
                f"Something else became active in {stage} meanwhile: {over.version if over else 'nothing'}.",
                next_step="Look at it, and try again.",
            )
        made = Activation(
            id=uuid7(),
            bundle_id=published.bundle_id,
            stage=stage,
            published_id=published.id,
            version=published.version,
            digest=ready.digest,
            content_digest=ready.bundle.content_digest,
            kind=kind,
            reason=reason,
            previous=over.version if over else None,
            by=caller.subject,
            by_id=caller.subject_id,
            at=self.journal.clock.now(),
            **(more or {}),
        )
        store.add_activation(change.connection, made)
        change.record(
            verb=f"policy.{kind}",
            target=named(published),
            verdict=verdict,
            details={
                "activation_id": made.id,
                "stage": stage,
                "digest": made.digest,
                "content_digest": made.content_digest,
                "previous": made.previous,
                "reason": reason,
                "approver": made.approver,
                "approval_id": made.approval_id,
                "acknowledged": made.acknowledged,
                "without_replay": made.without_replay,
                "replay": _summary(made),
                "attestation": made.attestation,
            },
        )
        return made

    def note_unloadable(self, activation: Activation, sentence: str) -> None:
        """Say loudly that what is active cannot be loaded by a process that decides; said once for an activation."""
        with self.journal.read() as connection:
            known = store.status(connection, activation.bundle_id, activation.stage)
        if known is None or known.failure != sentence[:_MAX_FAILURE]:
            self._note_failure(_ITSELF, activation, activation.stage, sentence)

    def _note_failure(self, caller: Caller, failed: Published | Activation, stage: Stage, sentence: str) -> None:
        """Say loudly that something did not become active, or cannot be loaded."""
        said = sentence[:_MAX_FAILURE]
        target = f"policy:{failed.bundle_id}@{failed.version}"
        with self.journal.write(caller) as change:
            active = store.active(change.connection, failed.bundle_id, stage)
            at = self.journal.clock.now()
            store.note_failure(change.connection, failed.bundle_id, stage, version=failed.version, failure=said, at=at)
            about = {
                "stage": stage,
                "version": failed.version,
                "failure": said,
                "active": active.version if active else None,
            }
            noted = change.record(verb="policy.fail", target=target, details=about)
            self._operations.notify_in(
                change,
                key=f"policy.failed:{noted.id}",
                kind="policy.failed",
                subject=target,
                payload={"bundle_id": failed.bundle_id, **about},
            )


def _summary(made: Activation) -> dict[str, Any] | None:
    """Return the numbers of a replay, for the ledger."""
    if made.replay is None:
        return None
    numbers = msgspec.structs.asdict(made.replay)
    kept = ("outcome", "total", "replayable", "same", "deny_to_allow", "allow_to_deny", "obligations_lost", "truncated")
    return {name: numbers[name] for name in kept}

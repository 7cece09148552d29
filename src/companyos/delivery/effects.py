"""The actions that change the database: each is part of one transaction, and doing it twice is doing it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal

from companyos.catalog import Catalog, Observed
from companyos.core.access import Caller
from companyos.core.errors import Conflict
from companyos.delivery import action_store, planning, store, ticks
from companyos.delivery.actions import (
    Action,
    Attest,
    MarkUnhealthy,
    NotifyOnCall,
    OpenIncident,
    RecordRunning,
    SetWeight,
    TurnBackFlags,
    TurnOnFlags,
)
from companyos.delivery.model import Arm
from companyos.evidence import Evidence, PromotionRecord
from companyos.flags import Flags
from companyos.operations import IncidentLink, Operations

if TYPE_CHECKING:
    from companyos.delivery.store import Stored
    from companyos.ledger import Change, Journal

SEVERITY: Final = "sev3"
"""Of a rollback: users are served again by the time anybody reads it."""
_TITLE_CHARACTERS: Final = 200


class Effects:
    """What a decision does to flags, evidence, catalog and operations."""

    def __init__(self, journal: Journal, caller: Caller, base_url: Callable[[], str]) -> None:
        """Act as ``caller``; ``base_url`` returns where people reach the platform, for links."""
        self.caller = caller
        self._journal = journal
        self._base_url = base_url
        self._catalog = Catalog(journal)
        self._evidence = Evidence(journal)
        self._flags = Flags(journal)
        self._operations = Operations(journal)
        self._effects: Mapping[type[Action], Callable[[Change, Stored], Mapping[str, Any]]] = {
            MarkUnhealthy: self._mark_unhealthy,
            NotifyOnCall: self._notify,
            OpenIncident: self._open_incident,
            RecordRunning: self._record_running,
            TurnBackFlags: self._turn_back_flags,
            TurnOnFlags: self._turn_on_flags,
        }

    def have(self, change: Change, action: Action, stored: Stored) -> Mapping[str, Any]:
        """Have the effect of an action within a transaction, and return its result as JSON."""
        if isinstance(action, Attest):
            return self._attest(change, stored, action.outcome)
        return self._effects[type(action)](change, stored)

    def flags_of(self, stored: Stored) -> dict[str, bool]:
        """Return the flags that a release starts with: as they count now, and as it wants them."""
        release = stored.release
        with self._journal.read() as connection:
            known = self._flags.values_of(connection, release.service, release.environment)
        return known | {flag.key: flag.value for flag in release.flags}

    def metrics_snapshot(self, stored: Stored) -> dict[str, Any]:
        """Return what the person who asked for the rollback sent along; empty when nobody did."""
        cause = stored.state.cause
        if cause is None or cause.command_id is None:
            return {}
        with self._journal.read() as connection:
            asked = action_store.command(connection, cause.command_id)
        return asked.metrics_snapshot if asked else {}

    def _record_running(self, change: Change, stored: Stored) -> Mapping[str, Any]:
        """Write into the catalog what runs now, in which arm, with which weight."""
        release, phase = stored.release, stored.state.phase
        ratio = planning.weight_of(stored.state)
        if phase == "steady" or release.baseline is None:
            if phase == "rollback_pending":
                self._catalog.end_deployment_in(change, release.service, release.environment, "stable")
            else:
                self._run(change, stored, "stable", release.digest, release.version, 1.0)
                self._catalog.end_deployment_in(change, release.service, release.environment, "canary")
            return {}
        old = release.baseline
        self._run(change, stored, "stable", old.digest, old.version, round(1 - ratio, 4))
        if ratio > 0:
            self._run(change, stored, "canary", release.digest, release.version, ratio)
        else:
            self._catalog.end_deployment_in(change, release.service, release.environment, "canary")
        return {}

    def _turn_on_flags(self, change: Change, stored: Stored) -> Mapping[str, Any]:
        """Set the flags that the release wants."""
        release = stored.release
        wanted = [(flag.key, flag.value) for flag in release.flags]
        made = self._flags.turn_on_in(change, self.caller, release.service, release.environment, wanted, release.id)
        return {"flags": [one.key for one in made]}

    def _turn_back_flags(self, change: Change, stored: Stored) -> Mapping[str, Any]:
        """Set them to what they were before."""
        made = self._flags.turn_back_in(change, self.caller, stored.id)
        return {"flags": [one.key for one in made.changes], "left": [one.key for one in made.left]}

    def _mark_unhealthy(self, change: Change, stored: Stored) -> Mapping[str, Any]:
        """Deny the digest for later deploys."""
        release = stored.release
        self._evidence.deny_in(
            change,
            self.caller,
            release.digest,
            reason=_why(stored),
            release=release.name,
            release_id=release.id,
        )
        return {"digest": release.digest}

    def _open_incident(self, change: Change, stored: Stored) -> Mapping[str, Any]:
        """Open an incident with a link to the release, mitigated at once when users are served again already."""
        release = stored.release
        trigger = stored.state.cause.trigger if stored.state.cause else "manual"
        incident = self._operations.open_incident_in(
            change,
            f"release:{release.name}",
            title=f"{release.name} was rolled back ({trigger.replace('_', ' ')})"[:_TITLE_CHARACTERS],
            severity=SEVERITY,
            links=(IncidentLink(url=self._link(stored), title=f"{release.name} and its diagnostics"),),
        )
        self._operations.add_timeline_in(change, incident.id, _why(stored))
        return {"incident_id": incident.id, "mitigated": self._mitigate(change, stored, incident.id)}

    def _mitigate(self, change: Change, stored: Stored, incident_id: str) -> bool:
        """Mitigate an incident once the previous version serves users, and return whether it does.

        Behind a first release there is none, so its incident stays open until a person has done something.
        """
        known = action_store.actions(change.connection, stored.id)
        moving = any(isinstance(debt.action, SetWeight) and debt.done_at is None for debt in known)
        if moving or stored.release.baseline is None:
            return False
        text = "The traffic goes to the previous version again."
        with suppress(Conflict):  # A person was faster.
            self._operations.change_incident_in(change, incident_id, status="mitigated", text=text)
        return True

    def _notify(self, change: Change, stored: Stored) -> Mapping[str, Any]:
        """Put one notification to the people on call into the outbox."""
        release, cause = stored.release, stored.state.cause
        opened = self._result_of(change, stored, OpenIncident)
        self._operations.notify_in(
            change,
            key=f"release:{release.id}:rollback",
            kind="release.rolled_back",
            subject=f"release:{release.name}",
            payload={
                "release_id": release.id,
                "release": release.name,
                "service": release.service,
                "version": release.version,
                "environment": release.environment,
                "trigger": cause.trigger if cause else "manual",
                "reason": _why(stored),
                "incident_id": opened.get("incident_id"),
                "previous": release.baseline.version if release.baseline else None,
                "url": self._link(stored),
            },
        )
        return {}

    def _attest(self, change: Change, stored: Stored, outcome: Literal["promoted", "rolled_back"]) -> Mapping[str, Any]:
        """Sign a promotion-record Statement about the outcome."""
        done = self._result_of(change, stored, Attest, outcome=outcome)
        if done.get("attestation"):
            return done
        opened = self._result_of(change, stored, OpenIncident)
        if outcome == "rolled_back" and opened.get("mitigated") is False:
            # It was opened before the traffic could be moved; signing waits for that.
            self._mitigate(change, stored, opened["incident_id"])
        transitions = store.transitions(change.connection, stored.id)
        digest = self._evidence.promotion_record_in(
            change,
            PromotionRecord(
                digest=stored.release.digest,
                release=stored.release.name,
                release_id=stored.id,
                outcome=outcome,
                policy_digest=stored.release.policy.digest,
                decided_at=stored.state.since,
                evidence=ticks.evidence(stored.state),
                ledger_ids=tuple(one.entry_id for one in transitions),
            ),
        )
        return {"attestation": digest}

    def _run(self, change: Change, stored: Stored, arm: Arm, digest: str, version: str, ratio: float) -> None:
        seen = Observed(
            environment=stored.release.environment, arm=arm, digest=digest, version=version, weight_ratio=ratio
        )
        self._catalog.record_deployment_in(change, stored.release.service, seen)

    def _link(self, stored: Stored) -> str:
        return f"{self._base_url().rstrip('/')}/releases/{stored.id}"

    @staticmethod
    def _result_of(change: Change, stored: Stored, kind: type[Any], **fields: str) -> dict[str, Any]:
        """Return the result of the newest done action of a kind, empty when there is none."""
        for debt in reversed(action_store.actions(change.connection, stored.id)):
            asked = isinstance(debt.action, kind) and debt.done_at is not None
            if asked and all(getattr(debt.action, name) == value for name, value in fields.items()):
                return debt.result
        return {}


def _why(stored: Stored) -> str:
    return stored.state.cause.sentence if stored.state.cause else "Nobody said why."

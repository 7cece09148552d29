"""All parts together for a service: bundles by polling, decisions, obligations, the log and its delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from companyos_sdk.bundle import Bundle, Stage, TrustRoots
from companyos_sdk.policy.clock import Clock, Freshness
from companyos_sdk.policy.decider import Decider, OnFull, WhenStale
from companyos_sdk.policy.decision import NO_BUNDLE, BundleIdentity, Decision
from companyos_sdk.policy.delivery import Delivery
from companyos_sdk.policy.enforcing import Enforcer
from companyos_sdk.policy.obligations import STANDARD, Obligations, UncoveredObligations
from companyos_sdk.policy.record import Recorder
from companyos_sdk.policy.refresh import INTERVAL_S, Refresher, loader
from companyos_sdk.policy.spool import MAX_BYTES, Spool
from companyos_sdk.policy.status import BundleState, DeliveryState, SpoolState
from companyos_sdk.policy.transport import Endpoint
from companyos_sdk.rego.values import Value

MAX_STALE_S: Final = 300.0
"""After how long without a word from the platform decisions say that they are stale."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a service decides."""

    bundle_id: str
    """``<domain>/<service>``."""
    folder: Path
    """Where the spool and the last good bundle are kept; processes of one service may share it."""
    trust: TrustRoots
    """``companyos_sdk.bundle.TrustRoots``: who may sign bundles."""
    stage: Stage = "prod"
    obligations: Obligations = STANDARD
    on_full: OnFull = "deny"
    """What happens when the log takes no record: deny at once, or wait for room and deny only after ``block_s``."""
    block_s: float = 30.0
    max_stale_s: float | None = MAX_STALE_S
    when_stale: WhenStale = "say"
    """Whether a stale bundle still decides, and says so, or everything is denied."""
    interval_s: float = INTERVAL_S
    max_spool_bytes: int = MAX_BYTES


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How everything is, for a health page."""

    bundle: BundleState
    spool: SpoolState
    delivery: DeliveryState


class Client:
    """Decides for one service. Shared between threads and tasks; goes on in a child after a fork."""

    def __init__(self, endpoint: Endpoint, settings: Settings, *, clock: Clock | None = None) -> None:
        """Take the newest bundle from the platform, else the last good one from disk, else deny until there is one.

        Raises UncoveredObligations when the bundle demands what this service cannot do, ValueError, and OSError
        when the folder cannot be used.
        """
        clock = clock or Clock()
        self._settings, self._clock = settings, clock
        self.spool: Final = Spool(settings.folder / "spool", max_bytes=settings.max_spool_bytes)
        self.freshness: Final = Freshness(settings.max_stale_s, clock)
        self._refresher = Refresher(
            endpoint,
            settings.bundle_id,
            settings.stage,
            loader(settings.trust, settings.bundle_id, settings.stage, self._made, clock),
            without_bundle(self.spool, BundleIdentity(id=settings.bundle_id, stage=settings.stage), clock=clock),
            self.freshness,
            folder=settings.folder / "bundles",
            interval_s=settings.interval_s,
            clock=clock,
        )
        self._delivery = Delivery(self.spool, endpoint)
        self._enforcer = Enforcer(self.spool, settings.obligations, clock=clock)
        self.with_obligations = self._enforcer.with_obligations
        try:
            self._first_bundle()
        except BaseException:
            self.spool.close()
            raise
        self.spool.on_begin.append(self._start)
        self._start()

    def authorize(
        self,
        subject: dict[str, Any],
        action: str,
        resource: dict[str, Any],
        environment: dict[str, Any],
        context: dict[str, Any] | None = None,
    ) -> Decision:
        """Whether the subject may do this to the resource here and now. Raises TypeError for a wrong type."""
        return self._refresher.decider.authorize(subject, action, resource, environment, context)

    @property
    def decider(self) -> Decider:
        """What decides at the moment."""
        return self._refresher.decider

    @property
    def enforcer(self) -> Enforcer:
        """What fulfils obligations."""
        return self._enforcer

    def refresh(self) -> str:
        """Ask the platform for a newer bundle now: changed, unchanged, unreachable or refused."""
        return self._refresher.refresh()

    def health(self) -> Health:
        """How everything is now."""
        return Health(bundle=self._refresher.state(), spool=self.spool.status(), delivery=self._delivery.state())

    def close(self) -> bool:
        """Stop; whether every record is on the disk. What is not delivered yet is delivered after the next start."""
        self._refresher.stop()
        self._delivery.stop()
        return self.spool.close()

    def _start(self) -> None:
        self._refresher.start()
        self._delivery.start()

    def _first_bundle(self) -> None:
        faults: list[Exception | None] = []
        try:
            self._refresher.open_cached()
        except UncoveredObligations as fault:
            faults.append(fault)  # the platform may have one by now that this service can do
        self._refresher.refresh()
        faults.append(self._refresher.error)
        uncovered = [fault for fault in faults if isinstance(fault, UncoveredObligations)]
        if uncovered and not self._refresher.state().version:
            raise uncovered[0]

    def _made(self, bundle: Bundle) -> Decider:
        settings, about = self._settings, bundle.metadata
        return Decider(
            bundle.program,
            BundleIdentity(
                id=about.bundle_id,
                version=about.version,
                stage=about.stage,
                digest=bundle.digest,
                data_digest=bundle.data_digest,
            ),
            self.spool,
            obligations=settings.obligations,
            emits=about.obligations,
            on_full=settings.on_full,
            block_s=settings.block_s,
            freshness=self.freshness,
            when_stale=settings.when_stale,
            clock=self._clock,
        )


class _Nothing:
    """The policy where there is none."""

    input_paths: tuple[tuple[str, ...], ...] = ((),)

    def observe(self, input: Value) -> tuple[Value, tuple[Any, ...]]:
        """A denial, whatever the input."""
        return {"decision": "deny", "reason": NO_BUNDLE, "obligations": []}, (input,)


def without_bundle(recorder: Recorder, bundle: BundleIdentity, *, clock: Clock | None = None) -> Decider:
    """A decider that denies everything with the reason ``policy.none`` and records that."""
    return Decider(_Nothing(), bundle, recorder, clock=clock)

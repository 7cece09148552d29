"""The decision point: one request in, one recorded decision out.

It decides with the SDK's own ``Decider``, so that a service which decides for itself gets the same answers. What the
platform knows of a subject wins over what is sent: stored attributes replace sent ones, and one that has expired is as
if it were not there. No active bundle means no access.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from companyos.core.clock import Clock
from companyos.core.errors import CompanyOSError
from companyos.identity.attribute import Attributes
from companyos.policy.active import ActiveBundle, ActiveBundles
from companyos.policy.model import PLATFORM
from companyos.policy.negotiating import Always, Negotiated, Supports
from companyos_sdk.policy.clock import Clock as DeciderClock
from companyos_sdk.policy.clock import Freshness
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import NO_BUNDLE, BundleIdentity, Decision
from companyos_sdk.policy.record import Recorder

SUSPENDED: Final = "subject.suspended"
"""The subject is known here, and is not active."""

_NEGOTIATED_KEPT: Final = 128

_log = logging.getLogger(__name__)


class Member(Protocol):
    """What the point needs to know of a subject."""

    @property
    def active(self) -> bool:
        """Whether it may ask at all."""
        ...


class Directory(Protocol):
    """One moment of all subjects (``identity.directory``)."""

    def find(self, named: str) -> Member | None:
        """Return the subject of this id, or of ``user:<name>``."""
        ...

    def attributes_of(self, named: str, workspace: str | None, now: datetime) -> Attributes:
        """Return the attributes that hold, and the names of those that have expired."""
        ...

    def roles_of(self, named: str, workspace: str | None, now: datetime) -> frozenset[str]:
        """Return the roles that count now."""
        ...


class Directories(Protocol):
    """What keeps the present directory."""

    @property
    def present(self) -> Directory:
        """The directory of the last refresh."""
        ...

    def refresh(self) -> Directory:
        """Return the directory as the database is now. Raises Unavailable."""
        ...


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """How the bundle is chosen that decides."""

    stage: str = "prod"
    bundle: str = ""
    """The bundle that decides when a request names none; empty for the only one besides the platform's own."""
    max_stale_s: float = 60.0
    """How long decisions may go on after the last look at the database before they say that they are stale."""


class _State:
    """Which decider answers, at one moment; it never changes."""

    __slots__ = ("by_id", "default", "nobody", "revision")

    def __init__(self, revision: str, by_id: Mapping[str, Decider], default: Decider, nobody: Decider) -> None:
        self.revision = revision
        self.by_id = by_id
        self.default = default
        self.nobody = nobody


class DecisionPoint:
    """Decides for whoever asks over HTTP; safe between threads."""

    def __init__(
        self,
        bundles: ActiveBundles,
        directories: Directories,
        recorder: Recorder,
        clock: Clock,
        choice: Choice | None = None,
    ) -> None:
        """Take what is active, who is who, where decisions are recorded, and what tells the time."""
        self._bundles = bundles
        self._directories = directories
        self._recorder = recorder
        self._clock = clock
        self._choice = choice or Choice()
        self._decider_clock = DeciderClock()
        self._freshness = Freshness(self._choice.max_stale_s, self._decider_clock)
        identity = BundleIdentity(stage=self._choice.stage)
        self._none = Decider(Always(NO_BUNDLE), identity, recorder)
        self._suspended = Decider(Always(SUSPENDED), identity, recorder)
        self._state = _State("", {}, self._none, self._none)
        self._negotiated: OrderedDict[tuple[Decider, frozenset[str]], Decider] = OrderedDict()
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Look at the database for other bundles and subjects; what cannot be loaded leaves the last good state.

        Raises Unavailable when the database does not answer; decisions become stale a while later.
        """
        with self._lock:
            self._directories.refresh()
            revision = self._bundles.revision()
            if revision != self._state.revision:
                self._state = self._made(revision, self._bundles.load())
                self._negotiated.clear()
            self._freshness.confirm()

    def decide(self, document: dict[str, Any], bundle: str | None = None) -> Decision:
        """Return the recorded decision about an input document; the document is changed.

        ``bundle`` is the id of the bundle that decides. Nothing is raised: whatever goes wrong is a denial.
        """
        state = self._state
        decider = state.default if bundle is None else state.by_id.get(bundle, state.nobody)
        return self._decided(document, decider)

    def decide_for(
        self, document: dict[str, Any], bundle: str | None, supported: frozenset[str], supports: Supports
    ) -> Decision:
        """Return the decision for an enforcing side that fulfils only some obligations; otherwise as ``decide``."""
        state = self._state
        decider = state.default if bundle is None else state.by_id.get(bundle, state.nobody)
        key = (decider, supported)
        with self._lock:
            made = self._negotiated.get(key)
            if made is None:
                made = self._negotiated[key] = self._decider(
                    Negotiated(decider.program, supported, supports), decider.bundle
                )
                if len(self._negotiated) > _NEGOTIATED_KEPT:
                    self._negotiated.popitem(last=False)
        return self._decided(document, made)

    def _decided(self, document: dict[str, Any], decider: Decider) -> Decision:
        subject = document["subject"]
        directory = self._directories.present
        named = subject["id"]
        member = directory.find(named)
        if member is None and subject["type"] in ("user", "service"):
            named = f"{subject['type']}:{named}"
            member = directory.find(named)
        if member is None:
            return decider.decide(document)
        if not member.active:
            return self._suspended.decide(document)
        now = self._clock.now()
        known = directory.attributes_of(named, None, now)
        attributes = {**subject.get("attributes", {}), **known.values}
        for name in known.stale:
            attributes.pop(name, None)
        roles = sorted(directory.roles_of(named, None, now))
        document["subject"] = {**subject, "attributes": attributes, "roles": roles}
        return decider.decide(document, known.stale)

    def _made(self, revision: str, bundles: Mapping[str, ActiveBundle]) -> _State:
        """Return the state with these bundles; one that cannot decide keeps the decider that it had."""
        before = self._state.by_id
        by_id: dict[str, Decider] = {}
        for name, bundle in bundles.items():
            known = before.get(name)
            if known is not None and known.bundle == bundle.identity:
                by_id[name] = known
                continue
            try:
                by_id[name] = self._decider(bundle.program, bundle.identity)
            except (CompanyOSError, ValueError, TypeError):
                _log.exception("bundle cannot decide", extra={"bundle": name, "version": bundle.identity.version})
                if known is not None:
                    by_id[name] = known
        return _State(revision, by_id, self._default(by_id), self._none)

    def _default(self, by_id: Mapping[str, Decider]) -> Decider:
        if self._choice.bundle:
            return by_id.get(self._choice.bundle, self._none)
        others = [decider for name, decider in by_id.items() if name != PLATFORM]
        return others[0] if len(others) == 1 else self._none

    def _decider(self, program: Any, identity: BundleIdentity) -> Decider:  # noqa: ANN401 - a Program or one around it
        return Decider(program, identity, self._recorder, freshness=self._freshness, clock=self._decider_clock)

"""Which policy decides about the platform itself at this moment, in this process.

The active bundle ``companyos/platform`` does, and the policy that ships where there is none. One that is active and
cannot be loaded denies everything, because a looser policy in its place would open what it closes; ``companyos policy
rollback --local`` is the way back.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final, Protocol

from companyos.core.errors import CompanyOSError
from companyos.policy.enforcing import shipped_decider
from companyos.policy.model import PLATFORM
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.decision import BundleIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from companyos.policy.active import ActiveBundle
    from companyos_sdk.policy.record import Recorder

LOOK_S: Final = 0.5
"""How old the answer to "is there another one" may be."""
UNLOADABLE: Final = "platform.unloadable"
"""The reason of every denial while the active policy cannot be loaded."""

_log = logging.getLogger(__name__)


class Bundles(Protocol):
    """What knows which bundles are active (``activated.Activated``)."""

    def revision(self) -> str:
        """Return another text whenever an activation has changed. Raises Unavailable."""
        ...

    def load(self) -> Mapping[str, ActiveBundle]:
        """Return the active bundles that can be loaded, by id. Raises Unavailable."""
        ...

    @property
    def absent(self) -> frozenset[str]:
        """The ids of bundles that are active and could not be loaded."""
        ...


class _Denies:
    """A program that denies."""

    input_paths: tuple[tuple[str, ...], ...] = ()

    def observe(self, input: Any) -> tuple[dict[str, Any], tuple[Any, ...]]:  # noqa: ANN401 - JSON
        """Return the denial."""
        del input
        return {"decision": "deny", "reason": UNLOADABLE, "obligations": []}, ()


class Governing:
    """The decider of the platform, looked up again every half second; safe between threads."""

    def __init__(self, bundles: Bundles, recorder: Recorder, monotonic: Callable[[], float]) -> None:
        """Take what is active, where decisions are recorded, and what measures how old the last look is."""
        self._bundles = bundles
        self._recorder = recorder
        self._monotonic = monotonic
        self._shipped = shipped_decider(recorder)
        self._decider: Decider | None = None
        self._revision: str | None = None
        self._looked = float("-inf")
        self._lock = threading.Lock()

    def decider(self) -> Decider:
        """Return the decider of this moment. Where the database does not answer, it is the last one."""
        if self._monotonic() - self._looked < LOOK_S and self._decider is not None:
            return self._decider
        with self._lock:
            if self._monotonic() - self._looked >= LOOK_S or self._decider is None:
                self._decider = self._current()
                self._looked = self._monotonic()
            return self._decider

    def _current(self) -> Decider:
        try:
            revision = self._bundles.revision()
            if revision == self._revision and self._decider is not None:
                return self._decider
            active = self._bundles.load().get(PLATFORM)
        except CompanyOSError as fault:
            _log.warning("active policy unknown", extra={"fault": str(fault)})
            return self._decider or self._shipped
        self._revision = revision
        if active is not None:
            return Decider(active.program, active.identity, self._recorder)
        if PLATFORM in self._bundles.absent:
            return Decider(_Denies(), BundleIdentity(id=PLATFORM), self._recorder)
        return self._shipped

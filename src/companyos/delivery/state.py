"""What the machine remembers of a release between two looks, and what it answers. Values only.

A state goes through JSON between any two looks, for the controller may be killed and started again; so everything that
a decision rests on is in here, and nothing in the memory of a process.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from companyos.delivery.actions import Action
from companyos.delivery.model import Cause, Held, HoldReason, Phase, Weight
from companyos.delivery.sequential import Tests

WATCHED: Final[frozenset[Phase]] = frozenset({"canary", "held", "promoted"})
"""Phases in which both arms serve users and every trigger is armed."""
JUMP_S: Final = 5.0
"""The wall clock jumped when it and the monotonic clock differ by more between two looks."""
LASTING: Final[frozenset[HoldReason]] = frozenset({"sick_baseline", "unconfirmed", "guardrail", "alert"})
"""Reasons after which the step must be clean for its whole time once more."""
LIFTED: Final[frozenset[HoldReason]] = frozenset({"manual", "operations", "policy", "no_data"})
"""Reasons that end at once: a person ended them, or what was waited for is there."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One change of phase or step: one row of the ledger."""

    verb: str
    """``release.start | advance | hold | resume | promote | settle | rollback | rolled_back``."""
    sentence: str


class Manual(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that a person asked for."""

    actor: str
    reason: str


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Where a release stands. Seconds are monotonic and add up over the looks."""

    phase: Phase = "pending"
    since: datetime
    """When this phase or step began."""
    step: int = -1
    """Place in ``policy.steps``: -1 before the first, the last one once promoted."""
    weights: tuple[Weight, ...] = ()
    """Every interval so far, oldest first."""
    held: Held | None = None
    cause: Cause | None = None
    tests: Tests
    has_baseline: bool = True
    has_flags: bool = False
    started: bool = False
    """Whether the candidate was asked to start."""
    seen_at: datetime | None = None
    """The wall clock at the last look."""
    step_number: int = 0
    """The interval with which this step began; later ones of the same weight belong to it."""
    step_requests: int = 0
    """Requests of the candidate in this step."""
    step_stable: int = 0
    """Requests of the baseline in this step."""
    clean_s: float = 0.0
    """How long this step has lasted without a reason to hold it."""
    manual: Manual | None = None
    """The hold of a person that is still in force."""
    back_to: Phase = "canary"
    """Where a held release goes on: ``canary`` or ``promoted``."""
    repeat: bool = False
    """Whether the step must be clean for its whole time once more after this hold."""
    gone_s: float | None = None
    """How long nothing has held a held release any more; None while something does."""
    reason_s: float = 0.0
    """How long the reason of the hold has been this one."""
    unready_s: float | None = None
    """How long the candidate has not been ready; None while it is, or is being prepared."""
    jumped_s: float | None = None
    """How long ago the clock jumped; None when it did not lately."""
    failing: int = 0
    """Smoke checks of the candidate that failed in a row up to now."""
    failing_baseline: int = 0
    last_failure: str = ""
    """One sentence about the newest failed check of the candidate."""

    @property
    def ratio(self) -> float:
        """The share of the traffic that the candidate is assigned."""
        return self.weights[-1].canary_ratio if self.weights else 0.0

    @property
    def share(self) -> float | None:
        """The share of this step's requests that the candidate got, None without any."""
        total = self.step_requests + self.step_stable
        return self.step_requests / total if total else None

    @property
    def number(self) -> int:
        """The newest interval, 0 before the first."""
        return self.weights[-1].number if self.weights else 0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one look decided."""

    state: State
    actions: tuple[Action, ...] = ()
    """To be done in this order; there may be some without a move."""
    move: Move | None = None
    answer: str = ""
    """What came of the commands of this look, in one sentence; empty without any."""

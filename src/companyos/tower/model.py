"""The values of the Control Tower: what one projected row holds, and how a state looks. No I/O."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from companyos.tower.moving import ReleaseMark

if TYPE_CHECKING:
    from collections.abc import Mapping


class State(StrEnum):
    """What the Tower says of a service, worst first."""

    DOWN = "down"
    BURNING = "burning"
    HELD = "held"
    CANARY = "canary"
    STALE = "stale"
    OK = "ok"

    @property
    def rank(self) -> int:
        """Return 0 for the worst state and 5 for the best, for sorting."""
        return _RANKS[self]


_RANKS: Final = MappingProxyType({state: rank for rank, state in enumerate(State)})


class Look(msgspec.Struct, frozen=True):
    """How a state is shown; the glyph says the same as the colour."""

    label: str
    glyph: str
    meaning: str
    """One clause for the legend."""


LOOKS: Final[Mapping[State, Look]] = MappingProxyType(
    {
        State.DOWN: Look("Down", "✕", "a sev1 incident is open"),
        State.BURNING: Look("Burning", "!", "an incident is open"),
        State.HELD: Look("Held", "‖", "a release waits, or a hold stops all of them"),
        State.CANARY: Look("Canary", "▲", "a new version runs beside the stable one"),
        State.STALE: Look("Stale", "?", "nothing recent is known"),
        State.OK: Look("OK", "✓", "seen running recently, nothing against it"),
    }
)

NO_OWNER: Final = "No owner"

CRITICAL: Final = "sev1"
"""The severity of an incident that makes its service count as down."""


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What was last seen running in one arm of one environment."""

    environment: str
    arm: str
    """``stable`` or ``canary``."""
    version: str
    since: datetime
    observed_at: datetime
    """When the source last said so."""
    source: str


class HoldMark(msgspec.Struct, frozen=True, kw_only=True):
    """A hold that stops releases of the service."""

    id: str
    reason: str
    source: str
    since: datetime
    until: datetime | None = None
    """When it ends by itself; None means that a person lifts it."""


class IncidentMark(msgspec.Struct, frozen=True, kw_only=True):
    """An incident of the service that is still open."""

    id: str
    title: str
    severity: str
    """``sev1`` to ``sev4``."""
    mitigated: bool = False
    """Whether its effect is over although people still work on it."""
    opened_at: datetime

    @property
    def critical(self) -> bool:
        """Whether the service counts as down: the worst severity, and nothing has eased it."""
        return self.severity == CRITICAL and not self.mitigated


class TowerRow(msgspec.Struct, frozen=True, kw_only=True):
    """All that the landing page needs of one service; one row of ``tower_services``.

    The state is not among it: it depends on the hour as well (a hold ends, an observation ages), so that
    ``condition.judge`` decides it from this row and a given ``now``, for the list and the service page alike.
    """

    name: str
    domain: str | None = None
    owner: str | None = None
    oncall: str | None = None
    tier: str | None = None
    regions: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    """Names of services that it needs."""
    environment: str | None = None
    """The environment that is judged; None while nothing was seen running."""
    arms: tuple[Arm, ...] = ()
    """What runs in that environment."""
    holds: tuple[HoldMark, ...] = ()
    incidents: tuple[IncidentMark, ...] = ()
    deployed_at: datetime | None = None
    """When the newest of the arms began to run."""
    observed_at: datetime | None = None
    """Age of the oldest observation that the state rests on; None while there is none."""
    recorded_at: datetime | None = None
    """When the catalog was last told something about the service."""
    sources: tuple[str, ...] = ()
    """Who said all this, sorted."""
    revision: int = 0
    """Size of the ledger when this row was projected."""


class Removed(msgspec.Struct, frozen=True):
    """A service that is no longer in the catalog; it stays as a mark, so that every reader learns of it."""

    name: str
    revision: int


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a service at one moment."""

    state: State
    label: str
    """The word on the badge; within a state it may be more exact (``No data`` is a kind of stale)."""
    why: str
    """One sentence for a person."""
    since: datetime | None = None
    """Since when it is so, or None when that is not known."""
    holds: int = 0
    incidents: int = 0
    until: datetime | None = None
    """When this verdict lapses by time alone; None when only a change can end it."""
    lapses_to_stale: bool = False
    """Whether it then lapses because an observation is too old."""

    @property
    def glyph(self) -> str:
        """Return the sign that says the same as the colour."""
        return LOOKS[self.state].glyph


class Card(msgspec.Struct, frozen=True):
    """A service and the verdict on it."""

    row: TowerRow
    condition: Condition
    release: ReleaseMark | None = None
    """Its release in flight."""

    @property
    def name(self) -> str:
        """Return the name of the service."""
        return self.row.name

    @property
    def state(self) -> State:
        """Return its state."""
        return self.condition.state

    @property
    def version(self) -> str:
        """Return what tells this card from an earlier one of the same service, short and safe in an attribute."""
        return f"{self.row.revision}-{self.condition.state}-{self.condition.holds}"

"""A release as pages show it: its state in a word and a sign, its ladder, and what must be said beside it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

import msgspec

from companyos.delivery.model import FINAL, Phase
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.view import StepView, Summary
from companyos.tower import measures
from companyos.tower.measures import Measure

UNWATCHED_AFTER: Final = timedelta(seconds=10)
"""A release in flight that the controller has not looked at for longer is shown as stale."""

Stood: TypeAlias = Literal["done", "current", "held", "next", "unreached", "left"]

RUNGS: Final[Mapping[Stood, tuple[str, str]]] = MappingProxyType(
    {
        "done": ("✓", "passed"),
        "current": ("▶", "now"),
        "held": ("‖", "held here"),
        "next": ("", "to come"),
        "unreached": ("", "not reached"),
        "left": ("✕", "went back here"),
    }
)
_DEFAULTS: Final[Mapping[str, Any]] = msgspec.to_builtins(ReleasePolicy())


class PhaseLook(msgspec.Struct, frozen=True):
    """How a phase is shown; the tone is one of the colours of states."""

    tone: str
    glyph: str
    label: str


PHASES: Final[Mapping[Phase, PhaseLook]] = MappingProxyType(
    {
        "pending": PhaseLook("canary", "…", "Starting"),
        "canary": PhaseLook("canary", "▲", "Canary"),
        "held": PhaseLook("held", "‖", "Held"),
        "promoted": PhaseLook("ok", "✓", "Promoted, baking"),
        "steady": PhaseLook("ok", "✓", "Promoted"),
        "rollback_pending": PhaseLook("burning", "↩", "Rolling back"),
        "rolled_back": PhaseLook("down", "✕", "Rolled back"),
    }
)
STALE: Final = PhaseLook("stale", "?", "Stale")


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the ladder."""

    percent: str
    """``10 %``."""
    stood: Stood
    glyph: str
    word: str
    measures: tuple[Measure, ...]
    entered_at: datetime | None
    left_at: datetime | None

    @property
    def lasted(self) -> str | None:
        """Return how long the release stood here, or None while it does or before it has."""
        if self.entered_at is None or self.left_at is None:
            return None
        return measures.duration((self.left_at - self.entered_at).total_seconds())


class ReleaseCard(msgspec.Struct, frozen=True, kw_only=True):
    """A release with all that its card says."""

    release: Summary
    look: PhaseLook
    rungs: tuple[Rung, ...]
    weight: str
    phase: str
    """The phase in a word, also of a release that is stale."""
    why: str | None
    """The reason of a hold or of a rollback, unless the verdict says it already."""
    forecast: str | None
    """What a held release waits for, unless the verdict says it already."""
    unwatched_since: datetime | None
    """Since when no controller has looked, for one in flight where that is too long; None otherwise."""
    exceptions: str | None
    """In what its rules differ from the product's, as one phrase; None when they do not."""

    @property
    def id(self) -> str:
        """Return the id of the release."""
        return self.release.id

    @property
    def failed(self) -> str:
        """Return what the candidate has served, and what of it failed."""
        totals = self.release.totals
        return f"{totals.canary_requests:,} requests, {totals.canary_errors:,} failed"


def card(release: Summary, now: datetime) -> ReleaseCard:
    """Return the card of a release at a moment."""
    unwatched = unwatched_since(release, now)
    return ReleaseCard(
        release=release,
        look=PHASES[release.state] if unwatched is None else STALE,
        rungs=tuple(_rung(step, release.state) for step in release.steps),
        weight=measures.percent(release.weight_ratio),
        phase=PHASES[release.state].label,
        why=_why(release),
        forecast=_forecast(release),
        unwatched_since=unwatched,
        exceptions=exceptions(release.policy_changes),
    )


def in_flight(release: Summary) -> bool:
    """Whether the controller still watches the release."""
    return release.state not in FINAL


def unwatched_since(release: Summary, now: datetime) -> datetime | None:
    """Return since when nobody has looked at a release in flight, or None where that is not long ago."""
    seen = release.observed_at or release.created_at
    return seen if in_flight(release) and now - seen > UNWATCHED_AFTER else None


def exceptions(changes: Mapping[str, Any]) -> str | None:
    """Return in what the rules of a release differ from the product's, as one phrase, or None."""
    return measures.enumerated(measures.exceptions(changes, _DEFAULTS)) if changes else None


def worst_first(shown: ReleaseCard) -> tuple[int, str]:
    """Return the sort key of releases in flight: what nobody watches or needs a person comes first, then the oldest."""
    order = ("stale", "burning", "held", "canary", "ok", "down")
    return (order.index(shown.look.tone), shown.release.id)


def _why(release: Summary) -> str | None:
    sentence = release.held.sentence if release.held else release.cause.sentence if release.cause else ""
    return sentence if sentence.casefold() not in release.verdict.casefold() else None


def _forecast(release: Summary) -> str | None:
    expected = measures.forecast(release.held.forecast) if release.held is not None else None
    said = f"{release.verdict} {release.held.sentence if release.held else ''}"
    return None if "more requests" in said else expected


def stood_on(step: StepView, phase: Phase) -> Stood:
    """Return where a release in this phase stands on a step."""
    if step.state == "current":
        return "held" if phase == "held" else "current"
    if step.state == "next":
        return "unreached" if phase in {"rollback_pending", "rolled_back"} else "next"
    return step.state


def _rung(step: StepView, phase: Phase) -> Rung:
    stood = stood_on(step, phase)
    glyph, word = RUNGS[stood]
    return Rung(
        percent=f"{step.percent:g} %",
        stood=stood,
        glyph=glyph,
        word=word,
        measures=tuple(measures.measure(indicator) for indicator in step.indicators),
        entered_at=step.entered_at,
        left_at=step.left_at,
    )

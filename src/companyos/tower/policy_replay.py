"""What a promotion would change, as a page says it: the replay, what stands against it, what is signed off. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from companyos.core.errors import InvalidInput
from companyos.policy import sentences
from companyos.policy.blocking import MIN_COVERAGE, MIN_REPLAYABLE
from companyos.policy.differences import Flip, Kind
from companyos.policy.model import Block, Checked, Promotion, Stage
from companyos.policy.replay import ReplayReport
from companyos.tower.policy_stages import decision_url

MAX_SIGNED: Final = 100
"""How many differences the form offers to sign off; more of them are signed off with the command line."""

SIGNED_OFF: Final = frozenset({"replay.allowed", "replay.obligation", "replay.nothing", "replay.share"})
"""The reasons that end with a sign-off in the form; every other one is mended elsewhere."""

_TAIL: Final = 12
_WITHOUT: Final = frozenset({"replay.nothing", "replay.share"})
_KINDS: Final[Mapping[Kind, str]] = MappingProxyType(
    {
        "deny_to_allow": "denied so far, would be allowed",
        "obligation_lost": "would lose an obligation",
        "allow_to_deny": "allowed so far, would be denied",
        "obligation_gained": "would gain an obligation",
    }
)


class Example(msgspec.Struct, frozen=True):
    """A recorded decision that would come out otherwise."""

    audit_id: str
    url: str

    @property
    def short(self) -> str:
        """Return the end of the id: the ends of ids differ, their beginnings are the time."""
        return f"…{self.audit_id[-_TAIL:]}"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All differences of one name."""

    name: str
    count: int
    says: str
    before: str
    after: str
    examples: tuple[Example, ...]
    opens: bool
    """Whether it opens something, so that somebody has to sign it off."""
    offered: bool = False
    """Whether the form can sign it off."""
    signed: bool = False
    """Whether it was signed off in the form that was sent, for no fewer than there are."""

    @property
    def value(self) -> str:
        """Return what its checkbox sends."""
        return f"{self.name}={self.count}"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A replay report."""

    says: str
    total: int
    replayable: int
    share: str
    percent: float
    """The same as a number, for the bar."""
    enough: bool
    needed: str
    differences: tuple[Difference, ...]
    """Those that open something first."""
    lacking: tuple[tuple[str, int], ...]
    truncated: bool

    @property
    def unsigned(self) -> int:
        """Return how many differences open something and are not signed off."""
        return sum(one.opens and not one.signed for one in self.differences)


class Tests(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests of a version say."""

    passed: int
    failed: int
    coverage: str
    percent: float
    needed: str
    fine: bool
    failures: tuple[str, ...]


class Typed(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has put into the form of a promotion."""

    stage: str = ""
    version: str = ""
    reason: str = ""
    acknowledged: dict[str, int] = {}
    without_replay: bool = False


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of the promotion of a version to a stage."""

    version: str
    stage: Stage
    says: str
    tone: str
    label: str
    glyph: str
    tests: Tests | None = None
    replay: Replayed | None = None
    blocks: tuple[Block, ...] = ()
    """What has to be mended first."""
    to_sign: tuple[Block, ...] = ()
    """What has to be signed off, beside the differences."""
    asks_without: bool = False
    """Whether it takes the sign-off that the replay says nothing, or little."""
    too_many: bool = False
    """Whether there is more to sign off than the form takes."""
    typed: Typed = Typed()
    fault: str | None = None
    """Why the form was not taken up, or why nothing can be said."""
    form: bool = False
    """Whether the form is shown."""


def preview(told: Promotion, *, may: bool, typed: Typed | None = None, fault: str | None = None) -> Preview:
    """Return what a dry run, or a promotion that was refused, says; ``may`` is whether the reader may promote."""
    replay = told.replay
    opening = [flip for flip in replay.flips if flip.dangerous] if replay is not None else []
    nameable = [flip for flip in opening if flip.nameable]
    offered = len(nameable) == len(opening) <= MAX_SIGNED
    hard = tuple(block for block in told.blocks if block.code not in SIGNED_OFF)
    asks_without = any(block.code in _WITHOUT for block in told.blocks) or (typed is not None and typed.without_replay)
    tone, label, glyph = _look(told, hard)
    return Preview(
        version=told.version,
        stage=told.stage,
        says=_says(told, hard),
        tone=tone,
        label=label,
        glyph=glyph,
        tests=tests_of(told.tests),
        replay=replayed(replay, typed, offered=may and offered) if replay is not None else None,
        blocks=hard,
        to_sign=tuple(block for block in told.blocks if block.code in _WITHOUT),
        asks_without=asks_without,
        too_many=bool(opening) and not offered,
        typed=typed or Typed(),
        fault=fault,
        form=may and told.outcome in ("possible", "blocked") and (offered or not opening) and (not hard or bool(typed)),
    )


def refusal_of(told: Promotion) -> str:
    """Return why a form was not taken up, for a promotion that something stands against."""
    hard = any(block.code not in SIGNED_OFF for block in told.blocks)
    said = told.sentence.removesuffix(_replay_sentence(told))
    return said if hard else f"{said} What is left to sign off is not ticked below."


def no_preview(version: str, stage: Stage, why: str, *, fault: str | None = None) -> Preview:
    """Return what is shown where a dry run could not be made; ``fault`` is why a form was not taken up."""
    return Preview(version=version, stage=stage, says=why, tone="down", label="Not known", glyph="✕", fault=fault)


def replayed(report: ReplayReport, typed: Typed | None = None, *, offered: bool = False) -> Replayed:
    """Return a replay report as it is shown; with ``offered`` what opens something can be signed off."""
    signed = typed.acknowledged if typed is not None else {}
    return Replayed(
        says=sentences.replayed(report),
        total=report.total,
        replayable=report.replayable,
        share=sentences.percent(report.replayable_ratio),
        percent=round(report.replayable_ratio * 100, 1),
        enough=report.outcome == "replayed" and report.replayable_ratio >= MIN_REPLAYABLE,
        needed=sentences.percent(MIN_REPLAYABLE),
        differences=tuple(_difference(flip, signed, offered=offered) for flip in report.flips),
        lacking=tuple(report.lacking.items()),
        truncated=report.truncated,
    )


def tests_of(checked: Checked | None) -> Tests | None:
    """Return what the tests of a version say; None where the platform has run none."""
    if checked is None:
        return None
    needed = max(MIN_COVERAGE, checked.coverage_wanted)
    return Tests(
        passed=checked.passed,
        failed=checked.failed,
        coverage=sentences.percent(checked.coverage_ratio),
        percent=round(checked.coverage_ratio * 100, 1),
        needed=sentences.percent(needed),
        fine=checked.passed > 0 and not checked.failed and checked.coverage_ratio >= needed,
        failures=checked.failures,
    )


def acknowledged(values: Iterable[str]) -> dict[str, int]:
    """Return what the checkboxes of a form sign off: names with counts, or raise InvalidInput."""
    found: dict[str, int] = {}
    for value in values:
        name, _, count = value.rpartition("=")
        if not name or not (count.isascii() and count.isdigit() and len(count) < 9):  # noqa: PLR2004 - up to a million records
            raise InvalidInput(
                f"{value[:100]!r} names no difference with its count.",
                next_step="Load the page anew and tick what you sign off.",
                field="acknowledged",
            )
        found[name] = int(count)
    return found


def _difference(flip: Flip, signed: Mapping[str, int], *, offered: bool) -> Difference:
    return Difference(
        name=flip.name,
        count=flip.count,
        says=_KINDS[flip.kind],
        before=flip.before,
        after=flip.after,
        examples=tuple(Example(one, decision_url(one)) for one in flip.examples),
        opens=flip.dangerous,
        offered=offered and flip.dangerous and flip.nameable,
        signed=signed.get(flip.name, -1) >= flip.count,
    )


def _look(told: Promotion, hard: tuple[Block, ...]) -> tuple[str, str, str]:
    if told.outcome != "blocked":
        return "ok", "Possible" if told.outcome == "possible" else "Active", "✓"
    return ("down", "Blocked", "✕") if hard else ("burning", "To sign off", "!")


def _says(told: Promotion, hard: tuple[Block, ...]) -> str:
    """Return the sentence about the promotion; what the replay says stands further down."""
    if told.outcome == "blocked" and not hard:
        return f"{told.bundle_id}@{told.version} can go to {told.stage} once somebody signs off what it changes."
    return told.sentence.removesuffix(_replay_sentence(told))


def _replay_sentence(told: Promotion) -> str:
    return f" {sentences.replayed(told.replay)}" if told.replay is not None else ""

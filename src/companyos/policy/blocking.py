"""What stands in the way of a promotion. Pure: every reason comes from the facts, and all of them are named at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from companyos.policy import sentences
from companyos.policy.differences import Flip
from companyos.policy.model import STAGES, Activation, Block, Checked, Published, Stage
from companyos.policy.replay import ReplayReport

MIN_COVERAGE: Final = 0.8
"""The share of rows that tests have to reach (playbook: coverage ≥ 80 %)."""

MIN_REPLAYABLE: Final = 0.95
"""Below this share of replayable decisions a replay says too little."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that a promotion is decided on."""

    published: Published
    stage: Stage
    """Where it shall go."""
    found_digest: str
    """The content digest of the bytes that would be activated, computed now."""
    before: Activation | None
    """What is active in the stage before; None for dev too, which has none before it."""
    active: Activation | None
    """What is active where it shall go."""
    newer: bool
    """Whether its version is above the active one; true where nothing is active."""
    replay: ReplayReport | None
    """None where nothing is replayed: in dev."""
    approved: bool = False
    """Whether somebody other than the author has approved it."""
    signed_off_by_other: bool = False
    """Whether the caller, who signs off what is named here, is a person other than the author."""
    acknowledged: Mapping[str, int] = {}
    without_replay: bool = False
    lockout: str | None = None
    """Why it would lock the last admins out; None when it does not."""


def stage_before(stage: Stage) -> Stage | None:
    """Return the stage that a bundle has to be active in first, None for the first stage."""
    place = STAGES.index(stage)
    return STAGES[place - 1] if place else None


def blocks(facts: Facts) -> tuple[Block, ...]:
    """Return every reason why this promotion must not happen now, in the order in which they are mended."""
    return tuple(_blocks(facts))


def _blocks(facts: Facts) -> Iterator[Block]:
    published, stage = facts.published, facts.stage
    before = stage_before(stage)
    if before is not None and (facts.before is None or facts.before.version != published.version):
        yield sentences.not_before(published, before, stage, facts.before)
    elif facts.before is not None and facts.before.content_digest != facts.found_digest:
        yield sentences.digest_changed(published, facts.found_digest, facts.before.content_digest)
    if facts.found_digest != published.content_digest:
        yield sentences.digest_changed(published, facts.found_digest, published.content_digest)
    if not facts.newer and facts.active is not None:
        yield sentences.not_newer(published, facts.active)
    if facts.lockout is not None:
        yield sentences.lockout(facts.lockout)
    if before is not None:
        yield from _tests(published, published.tests)
    if facts.replay is not None:
        yield from _replay(facts, facts.replay)
    if stage == "prod" and not facts.approved:
        yield sentences.not_approved(published)


def _tests(published: Published, checked: Checked | None) -> Iterator[Block]:
    if checked is None or published.attestation is None:
        yield sentences.not_tested(published)
    elif checked.failed or not checked.passed:
        yield sentences.tests_failed(published, checked)
    elif checked.coverage_ratio < (least := max(MIN_COVERAGE, checked.coverage_wanted)):
        yield sentences.not_covered(published, checked, least)


def _replay(facts: Facts, replay: ReplayReport) -> Iterator[Block]:
    """Yield what the replay says against it; a sign-off of the author does not count in prod."""
    counts = facts.stage != "prod" or facts.signed_off_by_other
    if (facts.acknowledged or facts.without_replay) and not counts:
        yield sentences.own_sign_off(facts.published)
    without = facts.without_replay and counts
    if replay.outcome == "nothing":
        if not without:
            yield sentences.nothing_to_replay(facts.published, facts.stage)
        return
    if replay.replayable_ratio < MIN_REPLAYABLE and not without:
        yield sentences.little_to_replay(replay, MIN_REPLAYABLE)
    accepted = facts.acknowledged if counts else {}
    yield from (sentences.flip(one) for one in replay.flips if one.dangerous and not _accepts(accepted, one))


def _accepts(acknowledged: Mapping[str, int], found: Flip) -> bool:
    """Tell whether somebody has named this difference, and no fewer of it than there are."""
    return found.nameable and found.count <= acknowledged.get(found.name, -1)

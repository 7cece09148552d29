"""What a promotion says to people: one sentence for each reason to block it, and for its outcome. Pure."""

from __future__ import annotations

from typing import Final

from companyos.policy.differences import Flip
from companyos.policy.model import Activation, Block, Checked, Outcome, Published, Stage
from companyos.policy.replay import ReplayReport

KEEP_A_WAY_BACK: Final = "Let an admin keep policy.publish, policy.promote and policy.rollback."


def not_before(published: Published, before: Stage, stage: Stage, active: Activation | None) -> Block:
    """Say that the version is not active in the stage before."""
    there = f"active there is {active.version}" if active is not None else "nothing is active there"
    return Block(
        code="stage.skipped",
        sentence=f"{published.name} is not active in {before}, which comes before {stage}: {there}.",
        next_step=f"companyos policy promote {published.name} --to {before}",
    )


def digest_changed(published: Published, found: str, expected: str) -> Block:
    """Say that the content is not what it was."""
    return Block(
        code="digest.changed",
        sentence=f"The content of {published.name} has the digest {found}, and what was tested has {expected}.",
        next_step="Look who changed the stored bytes: companyos ledger verify",
    )


def not_newer(published: Published, active: Activation) -> Block:
    """Say that the version is not above the active one."""
    return Block(
        code="version.not_higher",
        sentence=f"{published.version} is not above {active.version}, which is active in {active.stage}.",
        next_step="Publish a higher version; only `companyos policy rollback` goes back.",
    )


def lockout(sentence: str) -> Block:
    """Say that nobody could change the policy again."""
    return Block(
        code="platform.lockout",
        sentence=sentence,
        next_step=KEEP_A_WAY_BACK,
    )


def not_tested(published: Published) -> Block:
    """Say that the platform has not run the tests."""
    return Block(
        code="tests.missing",
        sentence=f"The platform has not run the tests of {published.name}.",
        next_step="Publish a version whose tests are sent along, to a platform with companyos-sdk[compile].",
    )


def tests_failed(published: Published, checked: Checked) -> Block:
    """Say which tests fail."""
    what = f"{checked.failed} of {checked.passed + checked.failed} tests" if checked.failed else "none of no tests"
    first = f": {checked.failures[0].rstrip('.')}" if checked.failures else ""
    return Block(
        code="tests.failed",
        sentence=f"Of {published.name} {what} fail{first}." if checked.failed else f"{published.name} has no tests.",
        next_step="Mend that and publish a higher version.",
    )


def not_covered(published: Published, checked: Checked, least: float) -> Block:
    """Say how much the tests leave out."""
    return Block(
        code="tests.coverage",
        sentence=f"The tests of {published.name} reach {percent(checked.coverage_ratio)} of its rows; "
        f"{percent(least)} are needed.",
        next_step="Add tests: companyos policy test --coverage shows the rows.",
    )


def not_approved(published: Published) -> Block:
    """Say that nobody else has approved it."""
    if published.published_by_id is None:
        return Block(
            code="approval.missing",
            sentence=f"{published.name} was published by {published.published_by}, who works on the files: nobody can "
            "be proven to be somebody else.",
            next_step="Publish a higher version with a token of its author.",
        )
    return Block(
        code="approval.missing",
        sentence=f"Nobody but its author {published.published_by} has approved {published.name} for prod.",
        next_step="A colleague who may decide approvals promotes it, or approves policy:" + published.name + ".",
    )


def own_sign_off(published: Published) -> Block:
    """Say that an author cannot sign off what their own policy opens."""
    return Block(
        code="signoff.author",
        sentence=f"What {published.name} changes in prod is signed off by a signed-in person other than its author.",
        next_step="Ask a colleague who may decide approvals to promote it.",
    )


def nothing_to_replay(published: Published, stage: Stage) -> Block:
    """Say that there is nothing that could be known."""
    return Block(
        code="replay.nothing",
        sentence=f"There is nothing to replay: {published.bundle_id} has decided nothing in {stage} so far.",
        next_step="Promote it with --without-replay when that is no surprise.",
    )


def little_to_replay(replay: ReplayReport, least: float) -> Block:
    """Say how little of the record can be decided again, and what most of it lacks."""
    path, count = next(iter(replay.lacking.items()), ("", 0))
    why = f"; {count} do not hold {path}" if path else ""
    return Block(
        code="replay.share",
        sentence=f"Only {percent(replay.replayable_ratio)} of {replay.total} recorded decisions can be replayed, "
        f"{percent(least)} are needed{why}.",
        next_step="Let the stage before record such decisions, or sign that off with --without-replay.",
    )


def flip(found: Flip) -> Block:
    """Say what would be opened, and how it is signed off."""
    example = f" (for example {found.examples[0]})" if found.examples else ""
    if found.kind == "deny_to_allow":
        what = f"{found.count} recorded denials would be allowed: {found.before} → {found.after}"
    else:
        what = f"{found.count} recorded decisions would owe less than they did"
    return Block(
        code="replay.allowed" if found.kind == "deny_to_allow" else "replay.obligation",
        sentence=f"{what}: {found.name}{example}.",
        next_step=f"Mend the policy, or sign it off with --acknowledge {found.name}={found.count}"
        if found.nameable
        else "There are too many different ones to sign them off; mend the policy.",
    )


def outcome(
    outcome: Outcome, published: Published, stage: Stage, blocks: tuple[Block, ...], replay: ReplayReport | None
) -> str:
    """Return the one sentence about a promotion."""
    seen = f" {replayed(replay)}" if replay is not None else ""
    match outcome:
        case "promoted":
            return f"{published.name} is active in {stage}.{seen}"
        case "unchanged":
            return f"{published.name} is active in {stage} already."
        case "possible":
            return f"Nothing stands in the way of {published.name} to {stage}.{seen}"
        case "blocked":
            count = "1 reason" if len(blocks) == 1 else f"{len(blocks)} reasons"
            return f"{published.name} does not go to {stage}, for {count}; the active version stays.{seen}"


def replayed(replay: ReplayReport) -> str:
    """Return the one sentence about a replay."""
    if replay.outcome == "nothing":
        return "Nothing was replayed: there is no recorded decision."
    changed = [
        f"{count} {words}"
        for count, words in (
            (replay.deny_to_allow, "would be allowed instead of denied"),
            (replay.allow_to_deny, "would be denied instead of allowed"),
            (replay.obligations_lost, "would lose an obligation"),
            (replay.obligations_gained, "would gain one"),
        )
        if count
    ]
    return (
        f"{replay.replayable} of {replay.total} recorded decisions ({percent(replay.replayable_ratio)}) were decided "
        f"again: {', '.join(changed) if changed else 'all the same'}."
    )


def percent(ratio: float) -> str:
    """Return a share as people read it, never rounded up: 94.99 % is not 95 %."""
    tenths = int(ratio * 1000 + 1e-9)
    return f"{tenths // 10}.{tenths % 10} %" if tenths % 10 else f"{tenths // 10} %"

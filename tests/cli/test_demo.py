"""What is said of the story, and how it is judged; nothing runs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from companyos.cli.story import outcome, telling
from companyos.cli.story.cast import CAST, HANDLER, TEMPLATE, Fate, changed, next_version
from companyos.cli.story.load import final
from companyos.core.errors import Conflict
from companyos.delivery.load import Summary
from companyos.delivery.model import Baseline, Cause, Phase, Totals, Trigger
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.policy import changed as changes_of
from companyos.delivery.view import Detail, StepView, Transition
from companyos.goldenpath.archives import load_template
from companyos.goldenpath.rendering import render
from companyos.goldenpath.template import complete

AT = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SECOND = Summary(t=30.0, sent=21_000, ok=20_990, failed=7, skipped=3, p50_ms=2.0, p95_ms=9.0, p99_ms=20.0)
SENT = outcome.Sent(rates={"orders": 200.0, "documents": 400.0, "payments": 100.0}, total=SECOND)
LEDGER = {"ok": True, "size": 94}


def release(service: str, state: Phase, *, reached: int, trigger: Trigger | None = None) -> Detail:
    """A release that has reached so many of the four steps."""
    percents = (1.0, 10.0, 50.0, 100.0)
    return Detail(
        id=f"id-of-{service}",
        service=service,
        version="1.1.0",
        name=f"{service}@1.1.0",
        environment="production",
        digest="sha256:" + "0" * 64,
        commit="0" * 40,
        state=state,
        phase="promoted" if state == "steady" else "rolled_back",
        baseline=Baseline(release_id="before", version="1.0.0", digest="sha256:" + "1" * 64),
        weight_ratio=1.0 if state == "steady" else 0.0,
        verdict="It is so.",
        cause=None if trigger is None else Cause(trigger=trigger, sentence="It was worse."),
        steps=tuple(
            StepView(percent=percent, state="next", entered_at=AT if place < reached else None)
            for place, percent in enumerate(percents)
        ),
        totals=Totals(canary_requests=54, canary_errors=2, first_error_at=AT if trigger == "error_rate" else None),
        since=AT,
        created_at=AT,
        created_by="somebody",
        ended_at=AT + timedelta(seconds=28),
        policy_changes=changes_of(outcome.POLICY),
        policy={},
        policy_digest="sha256:" + "2" * 64,
        seconds_to_rollback=None if trigger is None else 2.5,
    )


def whole() -> dict[Fate, Detail | None]:
    """The releases as they end when everything happens."""
    return {
        "promoted": release("orders", "steady", reached=4),
        "rolled_back": release("documents", "rolled_back", reached=1, trigger="error_rate"),
        "slow": release("payments", "rolled_back", reached=2, trigger="latency"),
    }


def judged(found: dict[Fate, Detail | None], **given: Any) -> dict[str, Any]:
    """The document about them."""
    return outcome.document(found, **{"sent": SENT, "ledger": LEDGER, "seconds": 38.04, **given})


def test_document_of_a_story_that_happened() -> None:
    """It names the releases, seconds, failed requests and triggers, the load, and what was shortened."""
    document = judged(whole())
    assert document["not_happened"] == []
    assert document["promoted"]["release"] == "orders@1.1.0"
    assert document["promoted"]["climbed_percent"] == [1, 10, 50, 100]
    back = document["rolled_back"]
    assert (back["seconds_to_rollback"], back["failed_requests"], back["trigger"]) == (2.5, 2, "error_rate")
    assert (document["slow"]["trigger"], document["slow"]["reached_percent"]) == ("latency", 10)
    assert document["ledger_verified"] is True
    assert document["seconds_total"] == 38.0
    assert document["holds_shortened"] == {
        "hold_s": {"usual": 600, "here": outcome.POLICY.hold_s},
        "bake_s": {"usual": 600, "here": outcome.POLICY.bake_s},
    }
    assert document["load"]["asked_per_s"] == SENT.rates
    assert (document["load"]["sent_per_s"], document["load"]["skipped"]) == (700.0, 3)


@pytest.mark.parametrize(
    ("fate", "wrong", "said"),
    [
        ("promoted", None, "There is no release that should be promoted."),
        ("promoted", release("orders", "held", reached=2), "orders@1.1.0 should be steady and is held."),
        ("promoted", release("orders", "promoted", reached=4), "should be steady and is promoted"),
        ("promoted", release("orders", "steady", reached=2), "should climb every step and climbed [1.0, 10.0]"),
        ("rolled_back", release("documents", "steady", reached=4), "should be rolled back and is steady"),
        (
            "rolled_back",
            release("documents", "rolled_back", reached=1, trigger="crash_loop"),
            "should come back for its error rate and did for crash loop",
        ),
        (
            "slow",
            release("payments", "rolled_back", reached=1, trigger="error_rate"),
            "should come back for its latency",
        ),
        ("slow", release("payments", "rolled_back", reached=1), "did for no reason"),
    ],
)
def test_other_ends_are_named(fate: Fate, wrong: Detail | None, said: str) -> None:
    """What ends otherwise than the story has it stands under not_happened, and nothing else does."""
    (sentence,) = judged({**whole(), fate: wrong})["not_happened"]
    assert said in sentence


def test_only_holds_may_be_shortened() -> None:
    """A release that ran with another threshold was no proof of anything."""
    found = whole()
    assert found["slow"] is not None
    easier = replace(found["slow"], policy_changes={"hold_s": 4.0, "false_rollback_ratio": 0.5})
    (sentence,) = judged({**found, "slow": easier})["not_happened"]
    assert "false_rollback_ratio" in sentence
    assert set(changes_of(outcome.POLICY)) == outcome.SHORTENED


def test_ledger_and_load_must_have_been_seen() -> None:
    """A ledger that is not verified, and a load of which nothing is known, are not passed over."""
    assert judged(whole(), ledger=None)["ledger_verified"] is False
    assert judged(whole(), ledger={"ok": False, "size": 9})["not_happened"] == ["The ledger was not verified."]
    unknown = judged(whole(), sent=outcome.Sent(rates=SENT.rates, total=None))
    assert unknown["load"] is None
    assert unknown["not_happened"] == ["The load generator did not say what it sent."]


def told(*, count: int) -> Detail:
    """A release with so many transitions."""
    changes = [
        Transition(
            number=number,
            at=AT,
            verb="release.advance",
            phase="canary",
            percent=10.0,
            sentence=f"Step {number}.",
            entry_id="e",
        )
        for number in range(1, count + 1)
    ]
    return replace(release("orders", "canary", reached=2), transitions=tuple(changes))


@given(st.lists(st.integers(0, 20), max_size=8).map(sorted))
def test_everything_is_told_once(counts: list[int]) -> None:
    """However the looks fall, every change is told, in order and once."""
    teller = telling.Teller()
    lines = [line for count in counts for line in teller.news(told(count=count))]
    assert [line.rpartition("Step ")[2] for line in lines] == [f"{n}." for n in range(1, max(counts, default=0) + 1)]


def test_rollback_says_seconds_and_price() -> None:
    """A rollback is told with its seconds from the first failed request, or the first one when none failed."""
    found = whole()
    assert found["rolled_back"] is not None
    assert found["slow"] is not None
    assert telling.back(found["rolled_back"]) == (
        "Came back by itself 2.5 s after its first failed request: 2 of 54 requests failed."
    )
    assert "after its first request:" in telling.back(found["slow"])


def test_the_ending_says_what_there_was_and_what_not() -> None:
    """The last lines name each release, the load, the ledger, the shortened holds, and what did not happen."""
    text = "\n".join(telling.ending(judged(whole())))
    for part in (
        "1 → 10 → 50 → 100 %",
        "trigger error_rate",
        "trigger latency",
        "200 requests/s to orders",
        "94 records",
    ):
        assert part in text
    assert "hold_s 600 → 4" in text
    assert "Did not happen" not in text
    lacking = "\n".join(telling.ending(judged({}, ledger=None, sent=outcome.Sent(rates={}, total=None))))
    assert "NOT verified" in lacking
    assert lacking.count("Did not happen: ") == 5


def test_changes_fit_the_template_and_are_made_once() -> None:
    """Each change applies to the service as the template makes it, gives Python, and is not made again."""
    template = load_template(TEMPLATE)
    for part in CAST:
        answers = complete(template.definition, part.service, part.answers, today=AT.date())
        made = render(template, answers)[HANDLER][0].decode()
        after = changed(part, made)
        compile(after, HANDLER, "exec")
        assert after != made
        assert changed(part, after) == after


def test_a_handler_of_somebody_else_is_left_alone() -> None:
    """What is not the text of the template is refused with a sentence."""
    with pytest.raises(Conflict, match="is not as the story left it"):
        changed(CAST[0], "def read(): ...\n")


@given(st.sets(st.integers(0, 5000)))
def test_versions_grow(rounds: set[int]) -> None:
    """The next version is above all that there are, whatever else is tagged."""
    tags = [f"v1.{number}.0" for number in rounds] + ["v2.0.0", "v1.x.0", "stable", "v1.7.1"]
    assert int(next_version(tags).split(".")[1]) == max(rounds, default=-1) + 1


def test_only_the_last_summary_counts() -> None:
    """The summary of the whole run is found among seconds and lines of other kinds."""
    second = '{"t":1,"sent":5,"ok":5,"failed":0,"skipped":0,"p50_ms":1,"p95_ms":2,"p99_ms":3,"final":false}'
    lines = [second, "Traceback"]
    assert final(lines) is None
    summary = final([*lines, lines[0].replace("false", "true").replace('"sent":5', '"sent":9'), "later"])
    assert summary is not None
    assert summary.sent == 9


def test_the_policy_is_the_products_own_but_for_its_holds() -> None:
    """Nothing that judges a release differs from the defaults, and the steps grow as they do there."""
    assert replace(outcome.POLICY, hold_s=600.0, bake_s=600.0) == ReleasePolicy()
    assert all(low < high for low, high in pairwise(outcome.POLICY.steps))

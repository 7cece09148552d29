from __future__ import annotations

from typing import Any

import msgspec
import pytest

from companyos.delivery import printing
from companyos.delivery.model import Baseline, Cause, FlagChange, Forecast, Held, Indicator, Totals
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.view import Diagnostics, Difference, FailedRequest, RollbackPlan
from tests.delivery.scripted import AT, DIGEST, ERRORS, release, transition


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (42, "42 s"), (119, "119 s"), (360, "6 min"), (9000, "2.5 h")],
)
def test_a_duration_has_the_unit_of_a_person(seconds: float, words: str) -> None:
    """Seconds, minutes, hours."""
    assert printing.duration(seconds) == words


@pytest.mark.parametrize(
    ("ratio", "words"), [(0.0, "0 %"), (0.01, "1 %"), (0.0231, "2.31 %"), (0.5, "50 %"), (1.0, "100 %")]
)
def test_a_ratio_is_shown_in_percent(ratio: float, words: str) -> None:
    """Without digits that say nothing."""
    assert printing.percent(ratio) == words


def test_a_forecast_says_what_is_missing_and_how_long_that_takes() -> None:
    """Without traffic there is no time, and it says so."""
    assert printing.forecast(Forecast(requests=1200, seconds=360)) == "about 1,200 more requests, 6 min at this rate"
    assert printing.forecast(Forecast(requests=20)) == "about 20 more requests, and none come"
    assert printing.forecast(Forecast()) is None
    assert printing.forecast(None) is None


def test_the_ladder_says_where_the_release_stands() -> None:
    """In words, not by colour alone."""
    assert printing.ladder(release(rung=1).steps) == "1 % done → 10 % now → 50 % → 100 %"
    assert printing.ladder(release("rolled_back", rung=0).steps) == "1 % left here → 10 % → 50 % → 100 %"
    assert printing.ladder(()) == "no steps"


def judged(**values: Any) -> str:
    """Return the line of an error rate with other values."""
    return printing.indicators([msgspec.structs.replace(ERRORS, **values)])[1]


def test_an_indicator_shows_value_limit_baseline_and_evidence() -> None:
    """Numbers have units; no data is neither kept nor broken."""
    header, line = printing.indicators([ERRORS])
    assert header.split() == ["INDICATOR", "VALUE", "LIMIT", "BASELINE", "SAMPLES", "EVIDENCE", "JUDGED", "FORECAST"]
    assert line.split("  ")[0] == "error rate"
    for part in ("2.31 %", "1 %", "0.1 %", "1,234", "413 of 400", "worse, proven"):
        assert part in line
    assert "over the limit, unproven" in judged(rejected=False)
    assert "worse, within the limit" in judged(breached=False)
    assert "kept" in judged(breached=False, rejected=False)
    assert "no data" in judged(value=None, breached=False, rejected=False)
    assert printing.indicators([]) == ["Nothing is measured yet."]


@pytest.mark.parametrize(
    ("indicator", "parts"),
    [
        (Indicator(name="latency_p95", value=120.4, threshold=300, baseline=80.0), ["120 ms", "300 ms", "80 ms"]),
        (Indicator(name="synthetic", value=3, threshold=2), ["smoke checks failed in a row  3", " 2 "]),
        (Indicator(name="saturation", value=0.41, threshold=0.7), ["41 %", "70 %"]),
        (Indicator(name="sample_ratio", value=0.098, threshold=0.1), ["share of the traffic", "9.8 %"]),
    ],
)
def test_each_indicator_has_its_unit(indicator: Indicator, parts: list[str]) -> None:
    """Milliseconds, failures, shares."""
    line = printing.indicators([indicator])[1]
    assert all(part in line for part in parts), line


def test_why_a_release_is_held_or_went_back() -> None:
    """The sentence, and a forecast that the sentence does not have yet."""
    held = Held(reason="no_data", sentence="Too little traffic to judge.", forecast=Forecast(requests=1200, seconds=60))
    assert printing.reasons(release("held", held=held)) == [
        "Held: Too little traffic to judge.",
        "Needs about 1,200 more requests, 60 s at this rate.",
    ]
    told = msgspec.structs.replace(held, sentence="Needs about 1,200 more requests, 60 s at this rate.")
    assert len(printing.reasons(release("held", held=told))) == 1
    cause = Cause(trigger="error_rate", sentence="2.3 % of the requests failed.")
    assert printing.reasons(release("rolled_back", cause=cause)) == ["Cause: 2.3 % of the requests failed."]
    assert printing.reasons(release()) == []


def diagnostics() -> Any:
    """Return what a rollback captured, as the API gives it."""
    failed = FailedRequest(
        at=AT, status=0, duration_ms=12.3, method="GET", path="/pay", trace_id="abc123", arm="canary"
    )
    return msgspec.to_builtins(
        Diagnostics(
            captured_at=AT,
            failed_requests=(failed, *[msgspec.structs.replace(failed, status=503)] * 14),
            log_tail=("boom", "gone"),
            process={"restarts": 2, "exit": None},
            counters={"canary": {"5xx": 15}},
        )
    )


def test_all_of_a_release_is_shown() -> None:
    """Ladder, indicators, history, plan, changes, diagnostics; long lists are cut and counted."""
    shown = release(
        "rolled_back",
        rules=ReleasePolicy(hold_s=5),
        transitions=(transition(1, "canary", 1.0, "Started."), transition(2, "rolled_back", 0.0, "Went back.")),
        plan=RollbackPlan(
            previous=Baseline(release_id="x", version="1.0", digest=DIGEST),
            flags=(FlagChange(key="new-cart"),),
            previous_starts=True,
            proof="It runs.",
        ),
        changelog={"files": [f"src/{number}.py" for number in range(25)], "dependencies": {"added": ["a"]}, "none": []},
        diagnostics=diagnostics(),
        totals=Totals(canary_requests=1500, canary_errors=16),
        seconds_to_rollback=0.71,
        incident_id="incident-1",
    )
    text = "\n".join(printing.show(shown))
    for part in (
        "shop@1.1 in production: rolled back, 0 % of the traffic",
        "1,500 requests, 16 failed",
        "hold_s 5",
        "rolled back in  0.7 s",
        "incident-1",
        "10 % left here",
        "2026-01-02 03:04:05Z  canary               1 %  Started.",
        "Back to 1.0, sha256:aaaa",
        "The flag new-cart is set back from on.",
        "It runs.",
        "files: 25\n    src/0.py",
        "and 15 more",
        "added: 1",
        "no answer  12 ms  GET /pay  canary  trace abc123",
        "and 5 more",
        "boom",
        "5xx: 15",
        "restarts: 2",
    ):
        assert part in text, part
    assert "None" not in text
    assert "none" not in text


def test_diagnostics_of_an_unknown_shape_are_shown_as_they_are() -> None:
    """A newer platform may have captured more."""
    assert printing.diagnostics({"captured_at": "yesterday", "what": [1, 2]}) == [
        "captured at: yesterday",
        "what: 2",
        "  1",
        "  2",
    ]


def test_a_release_without_a_past_is_shown() -> None:
    """The first release has no baseline and nothing to go back to."""
    shown = release("pending", rung=0, baseline=None, indicators=(), observed_at=None)
    text = "\n".join(printing.show(shown))
    assert "baseline   none" in text
    assert "looked at  not yet" in text
    assert "Nothing is measured yet." in text
    assert printing.plan(RollbackPlan(previous=None, proof="It is the first.")) == [
        "There is nothing to go back to.",
        "It is the first.",
    ]


def test_the_board_shows_a_verdict_once() -> None:
    """A held release whose verdict is the reason of the hold says it once, and the newest history only."""
    sentence = "Too little traffic to judge."
    history = tuple(transition(number, "canary", 1.0, f"Change {number}.") for number in range(9))
    held = Held(reason="no_data", sentence=sentence)
    board = printing.board(release("held", verdict=sentence, held=held, transitions=history), history=2)
    assert [line for line in board if sentence in line] == [sentence]
    assert [line.rpartition("  ")[2] for line in board if "Change" in line] == ["Change 7.", "Change 8."]


def test_a_replay_is_summed_up() -> None:
    """How many would have ended differently."""
    difference = Difference(
        release_id="x",
        name="shop@1",
        recorded="rolled_back",
        recorded_at=AT,
        replayed="steady",
        replayed_at=AT,
        changed=True,
        sentence="It would have been promoted.",
    )
    same = msgspec.structs.replace(difference, changed=False)
    assert printing.replayed([difference, same]) == "1 of 2 releases would have ended differently."
    assert printing.replayed([]) == "There is no recorded release to decide again."
    assert printing.difference_row(difference)[:3] == ("shop@1", "rolled back", "steady")


def test_cells_keep_a_table_in_shape() -> None:
    """What comes from another machine cannot break a line or move the cursor."""
    lines = printing.table(("A", "B"), [("x\ny\x1b[2J", None), ("z", "w")])
    assert lines == ["A            B", r"x\ny\x1b[2J  -", "z            w"]

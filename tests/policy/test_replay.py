from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.policy.blocking import MIN_REPLAYABLE
from companyos.policy.differences import MAX_NAMES, Flips, compare
from companyos.policy.replay import Candidate, RecordedDecision, candidate, replay
from companyos.policy.sentences import percent, replayed
from companyos_sdk.policy import decision as reasons
from companyos_sdk.policy.decision import Obligation, Verdict
from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import UNDEFINED
from tests.policy.bundles import ALLOW, deny
from tests.policy.people import record

MFA = Obligation("require_mfa", "require_mfa", {})


def masking(*fields: str, **more: Any) -> Obligation:
    """The obligation to mask these fields."""
    return Obligation("mask", "mask_fields", {"fields": list(fields), **more})


def answers(allowed: bool, *owed: Obligation, reason: str = "r", paths: Any = ((),)) -> Candidate:
    """A candidate that gives the same answer to everything."""
    return Candidate(paths, lambda _input: (allowed, reason, owed, None))


def echo(*paths: tuple[str, ...]) -> tuple[Candidate, list[Any]]:
    """A candidate that allows everything, and the inputs that it was asked about."""
    seen: list[Any] = []

    def decide(input: Any) -> Verdict:
        seen.append(input)
        return True, "r", (), None

    return Candidate(paths, decide), seen


def decided(allowed: bool, *owed: Obligation, reason: str = "was", audit_id: str = "a") -> RecordedDecision:
    """A recorded decision on the whole of an empty input."""
    return RecordedDecision(audit_id, "read", allowed, reason, owed, ((),), ({},))


def test_nothing_recorded_is_an_outcome_of_its_own() -> None:
    """No record is neither the same nor different, and its share is nothing and not everything."""
    report = replay([], answers(allowed=True))
    assert (report.outcome, report.total, report.replayable_ratio) == ("nothing", 0, 0.0)
    assert replayed(report) == "Nothing was replayed: there is no recorded decision."


def test_a_denial_that_would_be_allowed_is_a_flip_with_a_name_and_an_example() -> None:
    """It is named by the action and by the reason that no longer denies."""
    report = replay([decided(False, reason="residency.eu", audit_id="x")], answers(True, reason="default.allow"))
    assert (report.deny_to_allow, report.same, report.replayable) == (1, 0, 1)
    (flip,) = report.flips
    assert flip.name == "deny_to_allow:read:residency.eu"
    assert (flip.dangerous, flip.count, flip.examples) == (True, 1, ("x",))
    assert (flip.before, flip.after) == ("residency.eu", "default.allow")


def test_an_allowance_that_would_be_denied_is_named_by_what_denies() -> None:
    """It is shown and opens nothing; what was owed then is owed no more, and nothing is lost."""
    report = replay([decided(True, MFA)], answers(False, reason="dlp.clearance"))
    (flip,) = report.flips
    assert (flip.name, flip.dangerous) == ("allow_to_deny:read:dlp.clearance", False)
    assert (report.allow_to_deny, report.obligations_lost) == (1, 0)


@pytest.mark.parametrize(
    ("was", "would", "lost", "gained"),
    [
        ((MFA,), (), 1, 0),
        ((), (MFA,), 0, 1),
        ((MFA,), (MFA,), 0, 0),
        ((masking("iban", "name"),), (masking("iban"),), 1, 0),
        ((masking("iban"),), (masking("name", "iban"),), 0, 1),
        ((masking("iban", "name"),), (masking("name", "iban"),), 0, 0),
        ((masking("iban", keep=True),), (masking("iban", keep=1),), 1, 0),
        ((masking("iban", with_="*"),), (masking("iban"),), 1, 0),
        ((MFA, masking("a")), (masking("a"), MFA), 0, 0),
        ((Obligation("x", "log_event", {}),), (Obligation("x", "mask_fields", {}),), 1, 0),
    ],
)
def test_an_obligation_that_is_gone_or_asks_for_less_is_lost(
    was: tuple[Obligation, ...], would: tuple[Obligation, ...], lost: int, gained: int
) -> None:
    """More fields to mask is more, fewer is less, and true is not one."""
    report = replay([decided(True, *was)], answers(True, *would))
    assert (report.obligations_lost, report.obligations_gained) == (lost, gained)
    assert report.same == (0 if lost or gained else 1)


def test_an_obligation_of_a_denial_counts_too() -> None:
    """A denial that is no longer logged has lost something, and an opened one that owes nothing has lost all."""
    assert replay([decided(False, MFA)], answers(False)).obligations_lost == 1
    report = replay([decided(False, MFA)], answers(True))
    assert (report.deny_to_allow, report.obligations_lost) == (1, 1)


def test_a_record_that_lacks_what_the_candidate_reads_is_counted_and_not_guessed() -> None:
    """It is named with the first path that is missing, and the candidate is not asked."""
    reads, seen = echo(("action",), ("resource", "region"))
    known = record("read", ALLOW, paths=(("action",), ("resource", "region")), values=("read", "eu"))
    lacking = record("read", ALLOW, paths=(("action",), ("resource", "type")), values=("read", "doc"))
    report = replay([known, lacking, lacking], reads)
    assert (report.total, report.replayable, len(seen)) == (3, 1, 1)
    assert report.lacking == {"resource.region": 2}
    assert report.replayable_ratio == pytest.approx(1 / 3)
    assert report.replayable_ratio < MIN_REPLAYABLE


def test_the_input_is_made_again_with_what_was_absent_left_absent() -> None:
    """Paths are put together, one below another is part of it, and a missing value makes no key."""
    reads, seen = echo(("subject", "attributes", "clearance"), ("resource", "region"), ("environment", "ip"))
    paths = (("subject",), ("subject", "attributes", "clearance"), ("resource", "region"), ("environment", "ip"))
    subject = {"id": "user:ann", "attributes": {"clearance": 3}}
    replay([record("read", ALLOW, paths=paths, values=(subject, 3, UNDEFINED, None))], reads)
    assert seen == [{"subject": subject, "environment": {"ip": None}}]


def test_replaying_changes_no_record() -> None:
    """The values of a record are shared and stay what they were."""
    paths = (("a", "b"), ("a", "c"), ("a",))
    values = ({"x": [1]}, 2, {"b": {"x": [1]}, "c": 2})
    kept = copy.deepcopy(values)
    reads, seen = echo(("a", "b"), ("a", "c"))
    replay([record("read", ALLOW, paths=paths, values=values)] * 2, reads)
    assert values == kept
    assert seen[0] == {"a": {"b": {"x": [1]}, "c": 2}}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=12,
    ),
    st.lists(st.lists(st.text(max_size=3), max_size=3).map(tuple), max_size=5),
    st.data(),
)
def test_whatever_the_candidate_can_read_it_reads_as_it_was(
    input: Any, recorded: list[tuple[str, ...]], data: st.DataObject
) -> None:
    """For every path below a recorded one, the input that is made again has what the real one has."""

    def at(value: Any, path: tuple[str, ...]) -> Any:
        for part in path:
            value = value.get(part, UNDEFINED) if isinstance(value, dict) else UNDEFINED
        return value

    known = tuple(recorded)
    wanted = tuple((*path, *data.draw(st.lists(st.text(max_size=3), max_size=2))) for path in known)
    reads, seen = echo(*wanted)
    replay([record("read", ALLOW, paths=known, values=tuple(at(input, path) for path in known))], reads)
    for path in wanted:
        assert at(seen[0], path) == at(input, path)


@pytest.mark.parametrize("reason", [reasons.STALE, reasons.NO_BUNDLE, reasons.UNLOGGED])
def test_a_denial_that_no_policy_decided_says_nothing(reason: str) -> None:
    """Without a bundle, or with one that is too old, everything is denied: that is no flip."""
    assert replay([decided(False, reason=reason)], answers(True)).outcome == "nothing"


@pytest.mark.parametrize("reason", [reasons.BAD_INPUT, reasons.LIMIT])
def test_a_request_that_could_not_be_recorded_is_not_replayable(reason: str) -> None:
    """Its record holds no values, so that nothing is known of it."""
    report = replay([decided(False, reason=reason)], answers(True))
    assert (report.total, report.replayable, report.deny_to_allow) == (1, 0, 0)


def test_more_records_than_the_limit_are_left_out_and_it_says_so() -> None:
    """A replay is bounded, and does not pretend to have seen everything."""
    stream = iter([decided(True)] * 5)
    report = replay(stream, answers(True), limit=3)
    assert (report.total, report.truncated) == (3, True)
    assert not replay([decided(True)] * 3, answers(True), limit=3).truncated


def test_names_are_bounded_and_what_is_beyond_cannot_be_signed_off() -> None:
    """Actions come from outside; the report stays small, and the rest has one name that nobody can acknowledge."""
    flips = Flips()
    for number in range(MAX_NAMES + 7):
        flips.add("deny_to_allow", f"action-{number}", "r", "r", "s", str(number))
    found = flips.all()
    assert len(found) == MAX_NAMES + 1
    (rest,) = [flip for flip in found if not flip.nameable]
    assert (rest.name, rest.count, rest.dangerous, len(rest.examples)) == ("deny_to_allow:other", 7, True, 5)


def test_names_hold_nothing_that_a_shell_or_a_terminal_stumbles_over() -> None:
    """An action out of a hostile request makes a short printable name, one that is not taken for another kind."""
    flips = Flips()
    flips.add("deny_to_allow", "a:b\x1b[31m " + "x" * 500, "other", "r", "s", "1")
    (flip,) = flips.all()
    assert flip.name.isprintable()
    assert flip.name.count(":") == 2
    assert len(flip.name) < 250
    assert flip.nameable


@given(st.booleans(), st.booleans(), *[st.lists(st.sampled_from([MFA, masking("a"), masking("a", "b")]))] * 2)
def test_compare_finds_nothing_exactly_where_nothing_differs(
    was: bool, now: bool, owed: list[Obligation], owes: list[Obligation]
) -> None:
    """A decision differs from itself in nothing, and never loses and gains the same obligation."""
    assert compare(was, owed, was, owed) == []
    found = compare(was, owed, now, owes)
    assert (("deny_to_allow", "") in found) is (not was and now)
    assert len({what for kind, what in found if kind.startswith("obligation")}) == len(
        [1 for kind, _ in found if kind.startswith("obligation")]
    )


class Failing:
    """A program that cannot decide."""

    input_paths = ((),)

    def __init__(self, fault: Exception | None, value: Any = None) -> None:
        self.fault = fault
        self.value = value

    def observe(self, input: Any) -> tuple[Any, tuple[Any, ...]]:
        """Raise, or give the value."""
        if self.fault is not None:
            raise self.fault
        return self.value, (input,)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (Failing(LimitExceeded("too much")), reasons.LIMIT),
        (Failing(RecursionError()), reasons.LIMIT),
        (Failing(ValueError("odd")), reasons.FAILED),
        (Failing(None, UNDEFINED), reasons.UNDEFINED_RESULT),
        (Failing(None, {"decision": "maybe"}), reasons.INVALID_RESULT),
    ],
)
def test_a_candidate_that_cannot_decide_denies(program: Failing, reason: str) -> None:
    """As it would in a service; an allowance turns into a denial with the reason."""
    report = replay([decided(True)], candidate(program))
    assert report.allow_to_deny == 1
    assert report.flips[0].after == reason


def test_a_candidate_decides_as_a_service_would() -> None:
    """The answer of the program is normalised in the one place that decisions are."""
    program = Failing(None, {**ALLOW, "obligations": [{"id": "mask", "fields": ["iban"]}]})
    report = replay([decided(True, Obligation("mask", "mask", {"fields": ["iban"]}))], candidate(program))
    assert report.same == 1
    assert replay([record("read", deny("x"))], candidate(Failing(None, deny("x")))).same == 1


def test_shares_are_never_rounded_up() -> None:
    """94.99 % is not 95 %, and 99.99 % not all."""
    assert [percent(share) for share in (0.9499, 0.95, 0.9999, 1.0, 0.0)] == [
        "94.9 %",
        "95 %",
        "99.9 %",
        "100 %",
        "0 %",
    ]

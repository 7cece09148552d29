from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from companyos_sdk.policy.clock import Freshness
from companyos_sdk.policy.decider import Decider, WhenStale
from companyos_sdk.policy.decision import Obligation
from companyos_sdk.policy.obligations import STANDARD, UncoveredObligations
from companyos_sdk.policy.record import MAX_RECORD_BYTES, LogFull, MemoryRecorder, dotted, undotted
from companyos_sdk.rego.errors import ConflictError, LimitExceeded
from companyos_sdk.rego.values import UNDEFINED
from tests.sdk.policy.fakes import ALLOW, BUNDLE, REQUEST, Hands, Policy

MASK = {"decision": "allow", "reason": "dlp", "obligations": [{"id": "mask_fields", "fields": ["iban"]}]}


def asked(decider: Decider, **changes: Any) -> Any:
    """The decision about the usual request with some changes."""
    return decider.authorize(**{**REQUEST, **changes})


def test_a_decision_has_a_record_with_all_that_it_was() -> None:
    """Every key of the record, and a path that the request lacks is left out, not null."""
    log = MemoryRecorder()
    hands = Hands()
    decision = asked(Decider(Policy(MASK), BUNDLE, log, clock=hands.clock()))
    assert (decision.allow, decision.reason, decision.stale) == (True, "dlp", False)
    assert decision.obligations == (Obligation("mask_fields", "mask_fields", {"fields": ["iban"]}),)
    assert log.decoded() == [
        {
            "audit_id": decision.audit_id,
            "at": "2026-09-21T14:13:20.000Z",
            "bundle": {"id": BUNDLE.id, "version": "1.4.0", "stage": "prod", "digest": BUNDLE.digest},
            "data_digest": BUNDLE.data_digest,
            "subject": {"id": "u1", "type": "user"},
            "action": "read",
            "resource": {"id": "doc-1", "type": "document"},
            "inputs": {"action": "read", "subject.id": "u1"},
            "decision": "allow",
            "reason": "dlp",
            "obligations": [{"id": "mask_fields", "type": "mask_fields", "properties": {"fields": ["iban"]}}],
            "latency_us": 0.0,
        }
    ]


def test_a_value_that_is_null_is_recorded_as_null() -> None:
    """Null and missing differ for a policy, so they differ in the record."""
    log = MemoryRecorder()
    asked(Decider(Policy(ALLOW), BUNDLE, log), context={"approval_ticket": None})
    assert log.decoded()[0]["inputs"]["context.approval_ticket"] is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (UNDEFINED, "policy.undefined"),
        ({"decision": "yes"}, "policy.invalid"),
        (ConflictError("two answers"), "policy.error"),
        (LimitExceeded("too many steps"), "policy.limit"),
        (RecursionError(), "policy.limit"),
        (MemoryError(), "policy.limit"),
        (KeyError("a fault of the engine"), "policy.error"),
    ],
)
def test_a_fault_of_the_policy_is_a_recorded_denial(answer: Any, reason: str) -> None:
    """It denies, says why, and the record has what the policy would have read."""
    log = MemoryRecorder()
    decision = asked(Decider(Policy(answer), BUNDLE, log))
    assert (decision.allow, decision.reason, decision.obligations) == (False, reason, ())
    assert decision.error
    record = log.decoded()[0]
    assert (record["audit_id"], record["reason"], record["error"]) == (decision.audit_id, reason, decision.error)
    assert record["inputs"] == {"action": "read", "subject.id": "u1"}


@pytest.mark.parametrize(
    ("name", "value"), [("subject", None), ("subject", "u1"), ("action", 1), ("resource", []), ("environment", None)]
)
def test_a_wrong_type_of_an_argument_is_an_error_of_the_program(name: str, value: Any) -> None:
    """It names the argument, and nothing is decided."""
    log = MemoryRecorder()
    decider = Decider(Policy(ALLOW), BUNDLE, log)
    with pytest.raises(TypeError, match=name):
        asked(decider, **{name: value})
    with pytest.raises(TypeError, match="context"):
        asked(decider, context=[])
    with pytest.raises(TypeError, match="input"):
        decider.decide([])  # type: ignore[arg-type] # this is what is tested
    assert log.lines == []


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "a" * 401},
        {"action": "read\n"},
        {"subject": {"id": "\ud800"}},
        {"subject": {"id": object()}},
        {"context": {"approval_ticket": object()}},
        {"context": {"approval_ticket": {(1, 2): 3}}},
        {"subject": {"id": "u1", "type": "user"}, "context": {"approval_ticket": "\udfff"}},
    ],
    ids=repr,
)
def test_a_request_that_cannot_be_written_down_is_denied(changes: Any) -> None:
    """Nobody could explain such a decision later; the denial itself is recorded."""
    log = MemoryRecorder()
    decision = asked(Decider(Policy(ALLOW), BUNDLE, log), **changes)
    assert (decision.allow, decision.reason) == (False, "policy.input")
    record = log.decoded()[0]
    assert (record["decision"], record["reason"], record["inputs"]) == ("deny", "policy.input", {})


def test_a_request_that_nests_without_end_is_denied() -> None:
    """The record cannot hold it."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    log = MemoryRecorder()
    decision = asked(Decider(Policy(ALLOW), BUNDLE, log), context={"approval_ticket": deep})
    assert (decision.allow, len(log.lines)) == (False, 1)


def test_a_record_beyond_its_limit_is_a_denial() -> None:
    """What the policy reads is bounded."""
    log = MemoryRecorder()
    decider = Decider(Policy(ALLOW), BUNDLE, log)
    assert asked(decider, context={"approval_ticket": "x" * (MAX_RECORD_BYTES - 1000)}).allow
    decision = asked(decider, context={"approval_ticket": "x" * MAX_RECORD_BYTES})
    assert (decision.allow, decision.reason) == (False, "policy.limit")
    assert len(log.lines[1]) < 2000


def test_no_record_no_access() -> None:
    """A full log denies, and says what the policy had said."""
    log = MemoryRecorder(limit=1)
    decider = Decider(Policy(ALLOW), BUNDLE, log)
    assert asked(decider).allow
    decision = asked(decider)
    assert (decision.allow, decision.reason, decision.policy_reason) == (False, "policy.unlogged", "role.bound")
    assert "could not be recorded" in (decision.error or "")


def test_a_log_that_breaks_denies_too(caplog: pytest.LogCaptureFixture) -> None:
    """Any error of the recorder means that there is no record."""

    class Broken:
        def record(self, line: bytes) -> None:  # noqa: ARG002 - a recorder takes a line
            raise OSError("gone")

    decision = asked(Decider(Policy(ALLOW), BUNDLE, Broken(), on_full="block"))
    assert (decision.allow, decision.reason) == (False, "policy.unlogged")
    assert "failed" in caplog.text


def test_a_blocking_decider_waits_for_room() -> None:
    """It decides as soon as the log takes the record, and denies when that takes too long."""
    log = MemoryRecorder(limit=0)
    tried = threading.Event()

    class Watched:
        def record(self, line: bytes) -> None:
            try:
                log.record(line)
            except LogFull:
                tried.set()
                raise

    waiting = Decider(Policy(ALLOW), BUNDLE, Watched(), on_full="block", block_s=60)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(asked(waiting)))
    thread.start()
    assert tried.wait(10)
    log.limit = 1
    thread.join(10)
    assert found[0].allow
    late = Decider(Policy(ALLOW), BUNDLE, MemoryRecorder(limit=0), on_full="block", block_s=0.01)
    assert asked(late).reason == "policy.unlogged"


def test_a_stale_bundle_says_so_and_denies_where_it_should() -> None:
    """By either clock; a confirmation makes it fresh again."""
    ways: list[tuple[WhenStale, bool, str]] = [("say", True, "stale:role.bound"), ("deny", False, "policy.stale")]
    for when, allow, reason in ways:
        hands, log = Hands(), MemoryRecorder()
        fresh = Freshness(60, hands.clock())
        decider = Decider(Policy(ALLOW), BUNDLE, log, clock=hands.clock(), freshness=fresh, when_stale=when)
        hands.pass_s(60)
        assert not asked(decider).stale
        hands.pass_s(1)
        decision = asked(decider)
        assert (decision.allow, decision.stale, decision.reason) == (allow, True, reason)
        assert decision.policy_reason == "role.bound"
        assert log.decoded()[-1]["stale"] is True
        fresh.confirm()
        assert asked(decider).reason == "role.bound"
        hands.monotonic += 61 * 10**9
        assert asked(decider).stale
        fresh.confirm()
        hands.wall += 61 * 10**9
        assert asked(decider).stale


def test_a_denial_that_read_an_expired_attribute_says_so() -> None:
    """Only a denial, only an attribute that the policy reads, and the policy's reason is kept."""
    log = MemoryRecorder()
    paths = (("subject", "attributes", "clearance"),)
    denying = Decider(Policy({"decision": "deny", "reason": "dlp", "obligations": []}, paths), BUNDLE, log)
    decision = denying.decide(REQUEST, ["clearance", "team"])
    assert (decision.reason, decision.policy_reason) == ("attribute.stale", "dlp")
    assert decision.stale_attributes == ("clearance",)
    assert log.decoded()[0]["stale_attributes"] == ["clearance"]
    assert denying.decide(REQUEST, ["team"]).reason == "dlp"
    assert Decider(Policy(ALLOW, paths), BUNDLE, log).decide(REQUEST, ["clearance"]).reason == "role.bound"
    whole = Decider(Policy({"decision": "deny", "reason": "dlp", "obligations": []}, (("subject",),)), BUNDLE, log)
    assert whole.decide(REQUEST, ["team"]).reason == "attribute.stale"


def test_obligations_without_a_handler_are_refused_at_the_start() -> None:
    """The error names the types."""
    with pytest.raises(UncoveredObligations, match=r"notarize, watermark, and no") as caught:
        Decider(
            Policy(ALLOW),
            BUNDLE,
            MemoryRecorder(),
            obligations=STANDARD,
            emits=("watermark", "mask_fields", "notarize"),
        )
    assert caught.value.types == ("notarize", "watermark")
    Decider(Policy(ALLOW), BUNDLE, MemoryRecorder(), obligations=STANDARD, emits=("mask_fields", "log_event"))
    Decider(Policy(ALLOW), BUNDLE, MemoryRecorder(), emits=("watermark",))


def test_sixteen_threads_get_their_own_answers() -> None:
    """Each answer belongs to its question, and each audit id is given once."""

    def echo(input: Any) -> Any:
        return {"decision": "allow", "reason": input["subject"]["id"], "obligations": [{"id": input["subject"]["id"]}]}

    log = MemoryRecorder()
    decider = Decider(Policy(echo), BUNDLE, log)
    wrong: list[Any] = []

    def work(number: int) -> None:
        for turn in range(2000):
            name = f"u{number}-{turn}"
            decision = asked(decider, subject={"id": name, "type": "user"})
            if decision.reason != name or decision.obligations[0].id != name:
                wrong.append(decision)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = log.decoded()
    assert wrong == []
    assert len({record["audit_id"] for record in records}) == 32_000
    assert all(record["reason"] == record["subject"]["id"] == record["inputs"]["subject.id"] for record in records)


def test_dotted_paths_can_be_taken_apart() -> None:
    """Also where a name has a dot in it."""
    for path in ((), ("a",), ("a", "b"), ("a.b", "c"), ("a\\", ".b", "c\\.d")):
        assert undotted(dotted(path)) == path
    assert dotted(("subject", "attributes", "clearance")) == "subject.attributes.clearance"


def test_records_are_one_line() -> None:
    """A line feed in a value is written as an escape."""
    log = MemoryRecorder()
    asked(Decider(Policy(ALLOW), BUNDLE, log), context={"approval_ticket": "a\nb"})
    assert b"\n" not in log.lines[0]
    assert msgspec.json.decode(log.lines[0])["inputs"]["context.approval_ticket"] == "a\nb"

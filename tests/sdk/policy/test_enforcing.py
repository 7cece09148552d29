from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from companyos_sdk.policy.decision import Decision, Obligation
from companyos_sdk.policy.enforcing import AccessDenied, Enforcer, ObligationUnfulfilled
from companyos_sdk.policy.obligations import STANDARD, Facts, Unmet
from companyos_sdk.policy.record import MemoryRecorder
from tests.sdk.policy.fakes import BUNDLE, Hands, allowed

MASK = Obligation("mask_fields", "mask_fields", {"policy": "dlp", "fields": ["iban"]})
MFA = Obligation("require_mfa", "require_mfa", {"policy": "stepup.mfa"})
APPROVAL = Obligation("require_approval", "require_approval", {"policy": "export", "kind": "export"})
LOG = Obligation("log_event", "log_event", {"event": "export", "ticket": "CHG-1"})
STRONG: Facts = {"amr": ["pwd", "mfa"]}
DOCUMENT = {"iban": "DE1", "name": "n"}


class Handler:
    """What the service does once it may; counts its calls."""

    def __init__(self, result: Any = None) -> None:
        self.calls = 0
        self.result = DOCUMENT if result is None else result

    def __call__(self) -> Any:
        """Do it."""
        self.calls += 1
        return self.result


Way = Callable[[Enforcer, Handler, Decision, Facts | None], Any]


def directly(enforcer: Enforcer, handler: Handler, decision: Decision, facts: Facts | None = None) -> Any:
    """Enforce with a plain function."""
    return enforcer.with_obligations(handler, decision, facts)


def awaited(enforcer: Enforcer, handler: Handler, decision: Decision, facts: Facts | None = None) -> Any:
    """Enforce with a coroutine function."""

    async def called() -> Any:
        return handler()

    async def run() -> Any:
        return await enforcer.with_obligations(called, decision, facts)

    return asyncio.run(run())


def half_awaited(enforcer: Enforcer, handler: Handler, decision: Decision, facts: Facts | None = None) -> Any:
    """Enforce with a plain function that gives an awaitable."""

    async def called() -> Any:
        return handler()

    def plain() -> Any:
        return called()

    async def run() -> Any:
        return await enforcer.with_obligations(plain, decision, facts)

    return asyncio.run(run())


@pytest.fixture(params=[directly, awaited, half_awaited])
def way(request: pytest.FixtureRequest) -> Way:
    """Each way to call with_obligations."""
    found: Way = request.param
    return found


def outcomes(log: MemoryRecorder) -> list[tuple[str, bool, dict[str, str]]]:
    """Phase, whether granted, and outcome by obligation, for each receipt."""
    return [
        (one["phase"], one["granted"], {each["id"]: each["outcome"] for each in one["outcomes"]})
        for one in log.decoded()
    ]


def test_without_obligations_the_result_is_the_handlers_own(way: Way) -> None:
    """Nothing is done and nothing recorded."""
    log = MemoryRecorder()
    assert way(Enforcer(log), Handler(), allowed(), None) is DOCUMENT
    assert log.lines == []


def test_a_denial_never_calls_the_handler(way: Way) -> None:
    """It says the reason and the audit id."""
    handler = Handler()
    with pytest.raises(AccessDenied, match=r"role\.bound \(audit id 01a22096") as caught:
        way(Enforcer(MemoryRecorder()), handler, allowed(allow=False), None)
    assert not isinstance(caught.value, ObligationUnfulfilled)
    assert handler.calls == 0


def test_all_is_done_in_its_order_and_receipted(way: Way) -> None:
    """MFA and the event come before the handler, masking after it, and the caller's object stays as it is."""
    log = MemoryRecorder()
    handler = Handler({"iban": "DE1", "name": "n"})
    hands = Hands()
    result = way(Enforcer(log, clock=hands.clock()), handler, allowed(MASK, MFA, LOG), STRONG)
    assert result == {"iban": "***", "name": "n"}
    assert handler.result == {"iban": "DE1", "name": "n"}
    assert outcomes(log) == [
        ("before", True, {"require_mfa": "done", "log_event": "done"}),
        ("after", True, {"mask_fields": "done"}),
    ]
    first = log.decoded()[0]
    assert first["kind"] == "fulfilment"
    assert (first["audit_id"], first["bundle"]["digest"]) == (allowed().audit_id, BUNDLE.digest)
    assert first["at"] == "2026-09-21T14:13:20.000Z"
    assert first["outcomes"][1]["properties"] == {"event": "export", "ticket": "CHG-1"}


def test_an_unmet_condition_says_what_to_do_and_the_others_are_still_done(way: Way) -> None:
    """The event is logged although the second factor is missing."""
    log, handler = MemoryRecorder(), Handler()
    with pytest.raises(ObligationUnfulfilled, match="second factor") as caught:
        way(Enforcer(log), handler, allowed(MFA, LOG, MASK), None)
    assert handler.calls == 0
    assert caught.value.needs[0].challenge == {"error": "insufficient_user_authentication"}
    assert outcomes(log) == [("before", False, {"require_mfa": "unmet", "log_event": "done", "mask_fields": "skipped"})]


@pytest.mark.parametrize(
    ("obligation", "outcome"),
    [
        (Obligation("watermark", "watermark", {}), "unknown"),
        (Obligation("m", "mask_fields", {}), "malformed"),
        (Obligation("m", "mask_fields", {"fields": []}), "malformed"),
        (Obligation("m", "mask_fields", {"fields": "iban"}), "malformed"),
        (Obligation("m", "mask_fields", {"fields": ["a..b"]}), "malformed"),
        (Obligation("m", "mask_fields", {"field": ["iban"]}), "malformed"),
        (Obligation("l", "log_event", {}), "malformed"),
        (Obligation("a", "require_mfa", {"max_age_s": 0}), "malformed"),
        (Obligation("a", "require_mfa", {"acr_values": "urn:mfa"}), "malformed"),
    ],
)
def test_what_is_not_understood_is_a_denial_while_the_known_ones_run(
    way: Way, obligation: Obligation, outcome: str
) -> None:
    """The four triggers of the obligations profile: unknown and malformed ones here."""
    log, handler = MemoryRecorder(), Handler()
    with pytest.raises(ObligationUnfulfilled, match=f"{obligation.type} is {outcome}"):
        way(Enforcer(log), handler, allowed(obligation, LOG), STRONG)
    assert handler.calls == 0
    (receipt,) = outcomes(log)
    assert receipt[:2] == ("before", False)
    assert (receipt[2]["log_event"], receipt[2][obligation.id]) == ("done", outcome)


def test_obligations_of_a_denial_are_done_too(way: Way) -> None:
    """A denied export is logged, and the subject hears what it lacks."""
    log = MemoryRecorder()
    with pytest.raises(AccessDenied, match="approval") as caught:
        way(Enforcer(log), Handler(), allowed(APPROVAL, LOG, MASK, allow=False), None)
    assert caught.value.needs[0].challenge == {"approval": "export"}
    assert outcomes(log) == [
        ("before", False, {"require_approval": "unmet", "log_event": "done", "mask_fields": "skipped"})
    ]


def test_a_result_that_cannot_be_masked_is_kept_back(way: Way) -> None:
    """Whatever the shape of the result, nothing of it is handed out unmasked."""
    log, handler = MemoryRecorder(), Handler("iban DE1")
    with pytest.raises(ObligationUnfulfilled, match="mask_fields is failed"):
        way(Enforcer(log), handler, allowed(MASK), None)
    assert handler.calls == 1
    assert outcomes(log) == [("after", False, {"mask_fields": "failed"})]


def test_without_a_receipt_there_is_no_access(way: Way) -> None:
    """A full log stops the handler; one that is full afterwards keeps the result back."""
    handler = Handler()
    with pytest.raises(ObligationUnfulfilled, match=r"receipt is failed"):
        way(Enforcer(MemoryRecorder(limit=0)), handler, allowed(LOG), None)
    assert handler.calls == 0
    with pytest.raises(ObligationUnfulfilled, match=r"receipt is failed"):
        way(Enforcer(MemoryRecorder(limit=1)), handler, allowed(LOG, MASK), None)
    assert handler.calls == 1


def test_handlers_of_the_service_take_part() -> None:
    """A new type with its own schema, before and after, and another handler for a known one."""

    class Stamp(msgspec.Struct):
        text: str

    def stamped(wanted: Stamp, result: dict[str, Any]) -> dict[str, Any]:
        return {**result, "stamp": wanted.text}

    def asked(_wanted: Any, facts: Facts) -> Unmet | None:
        return None if facts.get("fingerprint") else Unmet("Touch the key.")

    known = STANDARD.with_handler("stamp", Stamp, stamped, when="after").with_handler(
        "require_mfa", msgspec.defstruct("Any", []), asked, when="before"
    )
    enforcer = Enforcer(MemoryRecorder(), known)
    decision = allowed(MFA, Obligation("s", "stamp", {"text": "T"}), MASK)
    assert directly(enforcer, Handler(), decision, {"fingerprint": True}) == {
        "iban": "***",
        "name": "n",
        "stamp": "T",
    }
    with pytest.raises(ObligationUnfulfilled, match="Touch the key"):
        enforcer.with_obligations(Handler(), decision, STRONG)
    assert "stamp" not in STANDARD.types


@pytest.mark.parametrize("answer", [True, False, "yes"])
def test_a_handler_that_answers_something_else_has_done_nothing(answer: Any) -> None:
    """Truth is not the contract: None or Unmet."""
    known = STANDARD.with_handler("require_mfa", msgspec.defstruct("Any", []), lambda *_: answer, when="before")
    with pytest.raises(ObligationUnfulfilled, match="is failed"):
        Enforcer(MemoryRecorder(), known).with_obligations(Handler(), allowed(MFA))


def test_a_handler_that_raises_has_failed_without_telling_secrets(way: Way) -> None:
    """Its message may hold what must not be shown."""

    def broken(*_: Any) -> None:
        raise RuntimeError("password hunter2")

    known = STANDARD.with_handler("require_mfa", msgspec.defstruct("Any", []), broken, when="before")
    log = MemoryRecorder()
    with pytest.raises(ObligationUnfulfilled, match="is failed"):
        way(Enforcer(log, known), Handler(), allowed(MFA, LOG), None)
    assert b"hunter2" not in log.lines[0]
    assert outcomes(log) == [("before", False, {"require_mfa": "failed", "log_event": "done"})]


def test_asynchronous_handlers_run_where_they_can() -> None:
    """In asynchronous code they are awaited; in other code they count as failed, never as done."""

    async def asked(_wanted: Any, _facts: Facts) -> None:
        await asyncio.sleep(0)

    known = STANDARD.with_handler("require_mfa", msgspec.defstruct("Any", []), asked, when="before")
    assert awaited(Enforcer(MemoryRecorder(), known), Handler(), allowed(MFA)) is DOCUMENT
    with pytest.raises(ObligationUnfulfilled, match="is failed"):
        directly(Enforcer(MemoryRecorder(), known), Handler(), allowed(MFA))


def test_an_error_of_the_handler_is_its_own(way: Way) -> None:
    """It is neither swallowed nor made into a denial."""

    class Failing(Handler):
        def __call__(self) -> Any:
            raise LookupError("no such document")

    with pytest.raises(LookupError, match="no such document"):
        way(Enforcer(MemoryRecorder()), Failing(), allowed(MASK), None)


@pytest.mark.parametrize(
    ("properties", "facts", "met"),
    [
        ({}, {}, False),
        ({}, {"amr": "mfa"}, False),
        ({}, {"amr": ["mfa"]}, True),
        ({"acr_values": ["urn:3"]}, {"acr": "urn:3"}, True),
        ({"acr_values": ["urn:3"]}, {"acr": "urn:2", "amr": ["mfa"]}, False),
        ({"max_age_s": 60}, {"amr": ["mfa"]}, False),
        ({"max_age_s": 60}, {"amr": ["mfa"], "auth_time": 100, "now": 160}, True),
        ({"max_age_s": 60}, {"amr": ["mfa"], "auth_time": 100, "now": 161}, False),
        ({"max_age_s": 60}, {"amr": ["mfa"], "auth_time": 200, "now": 160}, False),
        ({"max_age_s": 60}, {"amr": ["mfa"], "auth_time": True, "now": 1}, False),
    ],
)
def test_mfa_is_judged_by_verified_facts(properties: dict[str, Any], facts: Facts, met: bool) -> None:
    """Unsure means no."""
    decision = allowed(Obligation("m", "require_mfa", properties))
    if met:
        assert directly(Enforcer(MemoryRecorder()), Handler(), decision, facts) is DOCUMENT
    else:
        with pytest.raises(ObligationUnfulfilled, match="Sign in again"):
            Enforcer(MemoryRecorder()).with_obligations(Handler(), decision, facts)


def test_an_approval_is_of_its_kind() -> None:
    """Another approval does not count."""
    enforcer = Enforcer(MemoryRecorder())
    assert directly(enforcer, Handler(), allowed(APPROVAL), {"approvals": {"export"}}) is DOCUMENT
    with pytest.raises(ObligationUnfulfilled, match="approval"):
        enforcer.with_obligations(Handler(), allowed(APPROVAL), {"approvals": ["delete"]})
    with pytest.raises(ObligationUnfulfilled, match="approval"):
        enforcer.with_obligations(Handler(), allowed(APPROVAL), {"approvals": "export"})


@pytest.mark.parametrize("change", [{"type": ""}, {"schema": dict}, {"handle": None}, {"when": "later"}])
def test_a_handler_must_be_one(change: dict[str, Any]) -> None:
    """Mistakes show where they are made."""
    given = {"type": "x", "schema": msgspec.defstruct("Any", []), "handle": print, "when": "after", **change}
    with pytest.raises((TypeError, ValueError), match="obligation"):
        STANDARD.with_handler(given["type"], given["schema"], given["handle"], when=given["when"])

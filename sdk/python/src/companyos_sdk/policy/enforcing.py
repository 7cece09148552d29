"""Enforcing a decision: what must be done first, the access itself, what must be done to its result.

An obligation that is unknown, malformed, unmet or failed makes the decision a denial, while the others are still
fulfilled (OpenID AuthZEN, Obligations Profile 1.0). What became of each is recorded before the result is handed out.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from types import MappingProxyType
from typing import Any, Final, TypeVar, overload

import msgspec

from companyos_sdk.policy.clock import Clock
from companyos_sdk.policy.decision import Decision, Obligation
from companyos_sdk.policy.ids import stamp
from companyos_sdk.policy.masking import CannotMask
from companyos_sdk.policy.obligations import STANDARD, Facts, Kind, Obligations, Unmet
from companyos_sdk.policy.record import Outcome, Recorder, receipt
from companyos_sdk.rego.values import Value

_T = TypeVar("_T")
_NO_FACTS: Final[Facts] = MappingProxyType({})
_MAX_DETAIL: Final = 300


class AccessDenied(Exception):
    """The access is not granted. ``str()`` is one sentence with the reason and the audit id."""

    def __init__(self, decision: Decision, outcomes: tuple[Outcome, ...] = (), needs: tuple[Unmet, ...] = ()) -> None:
        self.decision: Final = decision
        self.outcomes: Final = outcomes
        """What became of the obligations."""
        self.needs: Final = needs
        """What the subject can do about it."""
        todo = " ".join(need.what for need in needs)
        super().__init__(f"Denied: {self.why()} (audit id {decision.audit_id}).{' ' + todo if todo else ''}")

    def why(self) -> str:
        """The reason."""
        return self.decision.reason


class ObligationUnfulfilled(AccessDenied):
    """The policy allows the access under conditions that are not met."""

    def why(self) -> str:
        """The obligations that stand in the way."""
        return ", ".join(f"obligation.{one.type} is {one.outcome}" for one in self.outcomes if _blocks(one))


class Enforcer:
    """Fulfils the obligations of decisions for one service. Immutable, shared between threads and tasks."""

    def __init__(self, recorder: Recorder, obligations: Obligations = STANDARD, *, clock: Clock | None = None) -> None:
        """Fulfil with these handlers; receipts go to the log that has the decisions."""
        self.obligations: Final = obligations
        self._recorder = recorder
        self._clock = clock or Clock()

    @overload
    def with_obligations(
        self, handler: Callable[[], Awaitable[_T]], decision: Decision, facts: Facts | None = None
    ) -> Awaitable[_T]: ...

    @overload
    def with_obligations(self, handler: Callable[[], _T], decision: Decision, facts: Facts | None = None) -> _T: ...

    def with_obligations(self, handler: Callable[[], Any], decision: Decision, facts: Facts | None = None) -> Value:
        """What the handler gives, masked where that is due; awaitable when the handler is a coroutine function.

        ``facts`` is what the service has verified about the request (see ``obligations.Facts``). Raises AccessDenied
        for a denial and ObligationUnfulfilled when an obligation stands in the way; the handler is called only when
        all that comes first is done, and its result is given only when all that comes after is done too.
        """
        if inspect.iscoroutinefunction(handler):
            return self._asynchronously(handler, decision, facts)
        steps = self.before(decision, facts)
        result = handler()
        if inspect.isawaitable(result):
            return self._finished(result, steps)
        return steps.after(result)

    async def _asynchronously(
        self, handler: Callable[[], Awaitable[Any]], decision: Decision, facts: Facts | None
    ) -> Value:
        steps = await self.before_async(decision, facts)
        return await steps.after_async(await handler())

    async def _finished(self, result: Awaitable[Any], steps: Enforcement) -> Value:
        return await steps.after_async(await result)

    def before(self, decision: Decision, facts: Facts | None = None) -> Enforcement:
        """Do what comes before the access, or raise AccessDenied; the answer does what comes after it."""
        steps = Enforcement(self, decision)
        for kind, properties, obligation in steps.first:
            steps.add_before(kind, obligation, _called(kind, properties, _NO_FACTS if facts is None else facts))
        return steps.granted()

    async def before_async(self, decision: Decision, facts: Facts | None = None) -> Enforcement:
        """``before`` for handlers that may be coroutine functions."""
        steps = Enforcement(self, decision)
        for kind, properties, obligation in steps.first:
            answer = await _called_async(kind, properties, _NO_FACTS if facts is None else facts)
            steps.add_before(kind, obligation, answer)
        return steps.granted()

    def record(self, decision: Decision, phase: str, outcomes: tuple[Outcome, ...], *, granted: bool) -> None:
        """Write a receipt. Raises what the recorder raises, or an error of a property that cannot be written."""
        stamped = stamp(self._clock.wall_ns())
        self._recorder.record(receipt(stamped, decision.audit_id, decision.bundle, phase, outcomes, granted=granted))


class _Broken(msgspec.Struct, frozen=True):
    """A handler that did not do its work."""

    detail: str


class Enforcement:
    """One decision on its way: what is owed before, what is owed after, and what has become of it."""

    def __init__(self, enforcer: Enforcer, decision: Decision) -> None:
        self.decision: Final = decision
        self.first: list[tuple[Kind, Any, Obligation]] = []
        """What is to be done before the access."""
        self.last: list[tuple[Kind, Any, Obligation]] = []
        """What is to be done to its result."""
        self._enforcer = enforcer
        self._outcomes: list[Outcome] = []
        self._needs: list[Unmet] = []
        for obligation in decision.obligations:
            kind = enforcer.obligations.get(obligation.type)
            if kind is None:
                self._add(obligation, "unknown", "This service has no handler for it.")
                continue
            try:
                properties = kind.properties(obligation)
            except (msgspec.ValidationError, ValueError, TypeError) as fault:
                self._add(obligation, "malformed", _short(fault))
                continue
            (self.first if kind.when == "before" else self.last).append((kind, properties, obligation))

    @property
    def masks(self) -> bool:
        """Whether the result must be changed before it is handed out."""
        return bool(self.last)

    def add_before(self, kind: Kind, obligation: Obligation, answer: Value) -> None:
        """Note what a handler said."""
        if answer is None:
            self._add(obligation, "done", None, obligation.properties if kind.logs else None)
        elif isinstance(answer, Unmet):
            self._add(obligation, "unmet", answer.what)
            self._needs.append(answer)
        else:
            self._add(obligation, "failed", answer.detail if isinstance(answer, _Broken) else _NO_ANSWER)

    def granted(self) -> Enforcement:
        """This, once what came before is done and recorded; else raises AccessDenied."""
        decision, blocked = self.decision, any(map(_blocks, self._outcomes))
        granted = decision.allow and not blocked
        if not granted:
            for _, _, obligation in self.last:
                self._add(obligation, "skipped", "There is no result.")
        if self._outcomes:
            self._recorded("before", granted=granted)
        if granted:
            self._outcomes = []
            return self
        if decision.allow:
            raise ObligationUnfulfilled(decision, tuple(self._outcomes), tuple(self._needs))
        raise AccessDenied(decision, tuple(self._outcomes), tuple(self._needs))

    def after(self, result: Value) -> Value:
        """The result as it may be handed out. Raises ObligationUnfulfilled when it may not be."""
        for kind, properties, obligation in self.last:
            result = self._changed(obligation, _called(kind, properties, result), result)
        return self._released(result)

    async def after_async(self, result: Value) -> Value:
        """``after`` for handlers that may be coroutine functions."""
        for kind, properties, obligation in self.last:
            result = self._changed(obligation, await _called_async(kind, properties, result), result)
        return self._released(result)

    def refuse(self, sentence: str) -> ObligationUnfulfilled:
        """Record that the result could not be dealt with at all; the error to answer with."""
        for _, _, obligation in self.last:
            self._add(obligation, "failed", sentence)
        self._recorded("after", granted=False)
        return ObligationUnfulfilled(self.decision, tuple(self._outcomes))

    def _changed(self, obligation: Obligation, answer: Value, result: Value) -> Value:
        if isinstance(answer, _Broken):
            self._add(obligation, "failed", answer.detail)
            return result
        self._add(obligation, "done", None)
        return answer

    def _released(self, result: Value) -> Value:
        if self.last:
            granted = not any(map(_blocks, self._outcomes))
            self._recorded("after", granted=granted)
            if not granted:
                raise ObligationUnfulfilled(self.decision, tuple(self._outcomes))
        return result

    def _recorded(self, phase: str, *, granted: bool) -> None:
        outcomes = tuple(self._outcomes)
        try:
            self._enforcer.record(self.decision, phase, outcomes, granted=granted)
        except Exception as fault:
            # Without a receipt nothing was fulfilled as far as anybody can tell later.
            failed = Outcome(id="receipt", type="receipt", outcome="failed", detail=_short(fault))
            error = ObligationUnfulfilled if self.decision.allow else AccessDenied
            raise error(self.decision, (*outcomes, failed), tuple(self._needs)) from fault

    def _add(
        self, obligation: Obligation, outcome: str, detail: str | None, properties: dict[str, Any] | None = None
    ) -> None:
        self._outcomes.append(
            Outcome(id=obligation.id, type=obligation.type, outcome=outcome, detail=detail, properties=properties)
        )


_NO_ANSWER: Final = "Its handler gave neither None nor Unmet."


def _called(kind: Kind, properties: Value, argument: Value) -> Value:
    try:
        answer = kind.handle(properties, argument)
    except Exception as fault:  # noqa: BLE001 - a handler that fails in any way has not fulfilled anything
        return _Broken(_short(fault))
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        return _Broken("Its handler is asynchronous; use with_obligations with a coroutine function.")
    return answer


async def _called_async(kind: Kind, properties: Value, argument: Value) -> Value:
    try:
        answer = kind.handle(properties, argument)
        return await answer if inspect.isawaitable(answer) else answer
    except Exception as fault:  # noqa: BLE001 - a handler that fails in any way has not fulfilled anything
        return _Broken(_short(fault))


def _blocks(outcome: Outcome) -> bool:
    return outcome.outcome not in ("done", "skipped")


def _short(fault: BaseException) -> str:
    """What went wrong, without the values that an unknown error may quote."""
    if isinstance(fault, (msgspec.ValidationError, CannotMask, ValueError)):
        return str(fault)[:_MAX_DETAIL]
    return type(fault).__name__

"""Deciding in the service's own process: a request in, a decision out, its record handed to the log.

A decider is made for one bundle and never changes. Whoever refreshes bundles puts another one in its place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import msgspec

from companyos_sdk.policy import decision as reasons
from companyos_sdk.policy.clock import Clock, Freshness
from companyos_sdk.policy.decision import (
    BundleIdentity,
    Decision,
    Verdict,
    is_label,
    known_labels,
    normalised,
)
from companyos_sdk.policy.faults import NO_ACTION, TOO_LARGE, clean, failure, read, said, wrong_type
from companyos_sdk.policy.ids import stamp
from companyos_sdk.policy.record import MAX_RECORD_BYTES, Form, Line, LogFull, Party, Recorder, encode, lines, party
from companyos_sdk.rego.values import UNDEFINED, Value

if TYPE_CHECKING:
    from companyos_sdk.policy.obligations import Obligations

OnFull: TypeAlias = Literal["deny", "block"]
WhenStale: TypeAlias = Literal["say", "deny"]
_Decided: TypeAlias = Callable[[dict[str, Any], Value, Value, Value, Collection[str]], Decision]

BLOCK_S: Final = 30.0
"""How long a blocking decider waits for room in the log before it denies."""

_FIRST_PAUSE_S: Final = 0.001
_LONGEST_PAUSE_S: Final = 0.05
_log: Final = logging.getLogger(__name__)


class Program(Protocol):
    """A compiled policy, as ``companyos_sdk.rego.load`` gives it."""

    @property
    def input_paths(self) -> tuple[tuple[str, ...], ...]:
        """The paths of the input that the policy can read."""
        ...

    def observe(self, input: Value) -> tuple[Any, tuple[Any, ...]]:
        """The decision, and what was at each of the paths."""
        ...


class Decider:
    """Decides by one program and records each decision. Immutable, shared between threads.

    A fault of the policy, the request's values or the log is a denial whose ``reason`` and ``error`` say so. Only an
    argument of a wrong type is a TypeError.
    """

    def __init__(  # noqa: PLR0913 - each says how this service decides, and most have a default
        self,
        program: Program,
        bundle: BundleIdentity,
        recorder: Recorder,
        *,
        obligations: Obligations | None = None,
        emits: Collection[str] = (),
        on_full: OnFull = "deny",
        block_s: float = BLOCK_S,
        freshness: Freshness | None = None,
        when_stale: WhenStale = "say",
        clock: Clock | None = None,
    ) -> None:
        """Decide with ``program`` for the bundle of this identity.

        ``emits`` are the types of obligations that the bundle declares; ``obligations`` are the handlers of this
        service, or None where decisions are only passed on. Raises UncoveredObligations when a type has no handler.
        """
        if on_full not in ("deny", "block") or when_stale not in ("say", "deny"):
            raise ValueError("on_full is 'deny' or 'block', when_stale is 'say' or 'deny'.")
        if obligations is not None:
            obligations.check_covers(emits)
        self.program: Final = program
        self.bundle: Final = bundle
        self.recorder: Final = recorder
        self.obligations: Final = obligations
        self.clock: Final = clock or Clock()
        self.on_full: Final = on_full
        self.when_stale: Final = when_stale
        self.freshness: Final = freshness or Freshness(None, self.clock)
        self._block_s = block_s
        self._record = recorder.record
        self._wall_ns, self._monotonic_ns = self.clock.wall_ns, self.clock.monotonic_ns
        form = Form(bundle, program.input_paths)
        self._line = lines(form, UNDEFINED)
        self._decided = self._way(form)

    def authorize(
        self,
        subject: dict[str, Any],
        action: str,
        resource: dict[str, Any],
        environment: dict[str, Any],
        context: dict[str, Any] | None = None,
    ) -> Decision:
        """Whether the subject may do this to the resource here and now. Raises TypeError for a wrong type."""
        if context is None:
            context = {}
        if (
            type(subject) is not dict
            or type(action) is not str
            or type(resource) is not dict
            or type(environment) is not dict
            or type(context) is not dict
        ):
            raise wrong_type(subject, action, resource, environment, context)
        whole = {
            "subject": subject,
            "action": action,
            "resource": resource,
            "environment": environment,
            "context": context,
        }
        return self._decided(whole, subject, action, resource, ())

    def decide(self, input: dict[str, Any], stale_attributes: Collection[str] = ()) -> Decision:
        """The decision about a whole input document.

        ``stale_attributes`` names attributes of the subject that were left out because they have expired: a denial by a
        policy that reads one of them has the reason ``attribute.stale``. Raises TypeError when ``input`` is no dict.
        """
        if type(input) is not dict:
            raise TypeError(f"input must be a dict, not {type(input).__name__}.")
        return self._decided(input, input.get("subject"), input.get("action"), input.get("resource"), stale_attributes)

    def _way(self, form: Form) -> _Decided:
        """The function that decides.

        All that each decision needs is a variable of it, because finding, calling and returning is most of the work.
        """
        observe, undefined, paths = self.program.observe, UNDEFINED, self.program.input_paths
        inputs, bundle, written, data_digest = form.inputs, self.bundle, form.bundle, form.data_digest
        wall_ns, monotonic_ns, freshness, record = self._wall_ns, self._monotonic_ns, self.freshness, self._record
        known, unset = known_labels, msgspec.UNSET

        def decided(
            input: dict[str, Any],
            subject: Value,
            action: Value,
            resource: Value,
            stale_attributes: Collection[str],
            /,
        ) -> Decision:
            started = monotonic_ns()
            if type(action) is not str or (action not in known and not is_label(action)):
                return self._unreadable(input, started, NO_ACTION)
            try:
                value, seen = observe(input)
                allowed, reason, obligations, error = normalised(value, undefined)
            except Exception as fault:  # noqa: BLE001 - whatever goes wrong while deciding is a denial
                allowed, reason, obligations, error = failure(fault)
                seen = read(input, paths)
            wall = wall_ns()
            audit_id, at = stamped = stamp(wall)
            until = freshness.until
            late = until is not None and (wall > until[0] or started > until[1])
            if late or error is not None or (stale_attributes and not allowed):
                verdict = allowed, reason, obligations, error
                return self._unusual(
                    input, started, stamped, seen, verdict, late=late, stale_attributes=stale_attributes
                )
            try:
                line = encode(
                    Line(
                        audit_id,
                        at,
                        written,
                        data_digest,
                        Party(who, who_kind)
                        if type(subject) is dict
                        and type(who := subject.get("id")) is str
                        and type(who_kind := subject.get("type")) is str
                        and who_kind in known
                        else party(subject),
                        action,
                        Party(what, what_kind)
                        if type(resource) is dict
                        and type(what := resource.get("id")) is str
                        and type(what_kind := resource.get("type")) is str
                        and what_kind in known
                        else party(resource),
                        inputs(*[unset if value is undefined else value for value in seen])
                        if undefined in seen
                        else inputs(*seen),
                        "allow" if allowed else "deny",
                        reason,
                        obligations,
                        (monotonic_ns() - started) / 1000,
                    )
                )
            except Exception as fault:  # noqa: BLE001 - a value that no record can hold, of any type
                return self._unreadable(input, started, f"The request cannot be recorded: {said(fault)}")
            if len(line) > MAX_RECORD_BYTES:
                return self._unreadable(input, started, TOO_LARGE, reasons.LIMIT)
            try:
                record(line)
            except Exception as fault:  # noqa: BLE001 - a log that fails in any way holds no record
                if not self._recorded_late(line, fault):
                    return self._unlogged(audit_id, reason, fault, late=late)
            return Decision(allowed, obligations, reason, audit_id, bundle)

        return decided

    def _unusual(
        self,
        input: dict[str, Any],
        started: int,
        stamped: tuple[str, str],
        seen: tuple[Any, ...],
        verdict: Verdict,
        *,
        late: bool,
        stale_attributes: Collection[str],
    ) -> Decision:
        """A decision with more to say than the policy's own answer."""
        allowed, reason, obligations, error = verdict
        policy_reason, gone = None, self._read_of(stale_attributes) if not allowed else ()
        if gone:
            policy_reason, reason = reason, reasons.STALE_ATTRIBUTE
        if late and self.when_stale == "deny":
            allowed, policy_reason, reason, obligations = False, policy_reason or reason, reasons.STALE, ()
            error = error or "The bundle could not be confirmed for longer than this service allows."
        elif late:
            policy_reason, reason = policy_reason or reason, reasons.STALE_PREFIX + reason
        answer = Decision(allowed, obligations, reason, stamped[0], self.bundle, late, policy_reason, error, gone)
        return self._said_and_recorded(answer, input, started, stamped[1], seen)

    def _unreadable(
        self, input: dict[str, Any], started: int, sentence: str, reason: str = reasons.BAD_INPUT
    ) -> Decision:
        """A denial because the request cannot be written down; its record holds what can."""
        wall = self._wall_ns()
        audit_id, at = stamp(wall)
        until = self.freshness.until
        late = until is not None and (wall > until[0] or started > until[1])
        answer = Decision(
            allow=False,
            obligations=(),
            reason=reason,
            audit_id=audit_id,
            bundle=self.bundle,
            stale=late,
            error=sentence,
        )
        shown: dict[str, Any] = {"action": clean(input.get("action")) or ""}
        for name in ("subject", "resource"):
            party = input.get(name)
            if type(party) is dict:
                shown[name] = {key: clean(party.get(key)) for key in ("id", "type")}
        return self._said_and_recorded(answer, shown, started, at, ())

    def _said_and_recorded(
        self, answer: Decision, input: dict[str, Any], started: int, at: str, seen: tuple[Any, ...]
    ) -> Decision:
        """The answer once it is recorded, or a denial when it cannot be."""
        try:
            line = self._line(
                answer.audit_id,
                at,
                input,
                seen,
                "allow" if answer.allow else "deny",
                answer.reason,
                answer.obligations,
                (self._monotonic_ns() - started) / 1000,
                answer.stale,
                answer.error,
                answer.policy_reason,
                answer.stale_attributes,
            )
        except Exception as fault:  # noqa: BLE001 - a value that no record can hold, of any type
            return self._unreadable(input, started, f"The request cannot be recorded: {said(fault)}")
        if len(line) > MAX_RECORD_BYTES:
            return self._unreadable(input, started, TOO_LARGE, reasons.LIMIT)
        try:
            self._record(line)
        except Exception as fault:  # noqa: BLE001 - a log that fails in any way holds no record
            if not self._recorded_late(line, fault):
                return self._unlogged(answer.audit_id, answer.policy_reason or answer.reason, fault, late=answer.stale)
        return answer

    def _read_of(self, attributes: Iterable[str]) -> tuple[str, ...]:
        """Those of the attributes that the policy can read."""
        prefix = ("subject", "attributes")
        read = self.program.input_paths
        found = []
        for name in attributes:
            path = (*prefix, name)
            if any(path[: len(known)] == known or known[: len(path)] == path for known in read):
                found.append(name)
        return tuple(sorted(found))

    def _recorded_late(self, line: bytes, fault: Exception) -> bool:
        """Whether the record got into a full log by waiting, where this decider is set to wait."""
        if self.on_full != "block" or not isinstance(fault, LogFull):
            return False
        end = time.monotonic() + self._block_s
        pause = _FIRST_PAUSE_S
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 2, _LONGEST_PAUSE_S)
            try:
                self._record(line)
            except LogFull:
                continue
            except Exception:  # noqa: BLE001 - as above
                _log.exception("The decision log failed")
                return False
            return True
        return False

    def _unlogged(self, audit_id: str, reason: str, fault: Exception, *, late: bool) -> Decision:
        """A denial because the decision has no record."""
        if not isinstance(fault, LogFull):
            _log.error("The decision log failed", exc_info=fault)
        sentence = f"The decision could not be recorded: {said(fault)}"
        return Decision(
            allow=False,
            obligations=(),
            reason=reasons.UNLOGGED,
            audit_id=audit_id,
            bundle=self.bundle,
            stale=late,
            policy_reason=reason,
            error=sentence,
        )

"""A policy that is ready to decide."""

from __future__ import annotations

import threading
from typing import Any

from companyos_sdk.rego import runtime
from companyos_sdk.rego.codegen.build import Built, build
from companyos_sdk.rego.codegen.options import FAST, TRACED, Options
from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.limits import MAX_STEPS
from companyos_sdk.rego.plan import Plan
from companyos_sdk.rego.trace import Trace, Tracer, coverable
from companyos_sdk.rego.values import UNDEFINED, UNLIMITED, WORK, Value, copied, json_within


class Program:
    """One entry point of a policy over fixed data. Immutable, and safe to share between threads.

    An input is decoded JSON (None, bool, int, float, str, list, dict with keys of type str), or UNDEFINED for none.
    What decides raises EvaluationError: ConflictError where rules contradict each other, LimitExceeded for too much
    work, BuiltinError in strict mode, and EvaluationError itself where the policy meets something that is no JSON.
    """

    def __init__(self, plan: Plan, data: Value, entry: str, *, strict: bool = False, options: Options = FAST) -> None:
        self._plan, self._data, self._entry, self._strict = plan, copied(data), entry, strict
        built = build(plan, self._data, entry, options, strict=strict)
        self._run, self._memory, self._source = built.run, [runtime.UNSET] * built.size, built.source
        self.input_paths: tuple[tuple[str, ...], ...] = built.paths
        """Everything that the policy can read of an input, in the order in which ``observe`` gives it."""
        self._lock = threading.Lock()
        self._twin: tuple[Tracer, Built] | None = None

    def evaluate(self, input: Value) -> Value:
        """What the entry point says about this input, as plain JSON that shares nothing, or UNDEFINED."""
        WORK.purse = purse = [MAX_STEPS]
        try:
            found = self._run(input, self._data, self._memory.copy(), purse)[0]
            return found if found is UNDEFINED else json_within(found["result"], purse)
        except (RecursionError, MemoryError):
            raise _too_deep() from None
        finally:
            purse[0] = UNLIMITED

    def observe(self, input: Value) -> tuple[Value, tuple[Any, ...]]:
        """What ``evaluate`` gives, and what is at each of ``input_paths``: parts of the input itself, or UNDEFINED."""
        WORK.purse = purse = [MAX_STEPS]
        try:
            found, seen = self._run(input, self._data, self._memory.copy(), purse)
            return found if found is UNDEFINED else json_within(found["result"], purse), seen
        except (RecursionError, MemoryError):
            raise _too_deep() from None
        finally:
            purse[0] = UNLIMITED

    def explain(self, input: Value) -> Trace:
        """What ``evaluate`` gives, with the rules that said something and the first expression that failed.

        The traced code is made at the first call and runs for one thread at a time; it is several times slower.
        """
        with self._lock:
            if self._twin is None:
                tracer = Tracer(self._plan)
                twin = build(self._plan, self._data, self._entry, TRACED, strict=self._strict, trace=tracer)
                self._twin = tracer, twin
            tracer, built = self._twin
            tracer.begin()
            WORK.purse = purse = [MAX_STEPS]
            try:
                found, _ = built.run(input, self._data, self._memory.copy(), purse)
                value = UNDEFINED if found is UNDEFINED else json_within(found["result"], purse)
            except (RecursionError, MemoryError):
                raise _too_deep() from None
            finally:
                purse[0] = UNLIMITED
            return tracer.trace(value, built.places)

    @property
    def coverable(self) -> frozenset[tuple[str, int]]:
        """File and row of every expression of the policy; ``Trace.visited`` has those that were evaluated."""
        return coverable(self._plan)


def _too_deep() -> LimitExceeded:
    return LimitExceeded("A decision may not nest this deeply or need this much memory.")

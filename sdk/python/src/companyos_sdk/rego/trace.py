"""What a decision did: which rules said something, where, and the first expression that failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from companyos_sdk.rego import flow, ir
from companyos_sdk.rego.plan import Plan
from companyos_sdk.rego.values import UNDEFINED, Value


class Location(Struct, frozen=True):
    """A place in a policy."""

    rule: str
    """The rule or function around it: ``data.companyos.dlp.deny``."""
    file: str
    row: int
    """Counted from one."""


class Trace(Struct, frozen=True):
    """What one evaluation did; everything in it can be written as JSON."""

    value: Any
    """What ``evaluate`` gives, or None where that is UNDEFINED; see ``defined``."""
    defined: bool
    fired: tuple[Location, ...]
    """The bodies of rules that gave something, in the order in which they did."""
    failed: Location | None
    """The first expression that failed in a rule that then said nothing, outside of `not`."""
    failures: tuple[Location, ...]
    """The first expression that failed in each such rule."""
    visited: tuple[tuple[str, int], ...]
    """File and row of every expression that was evaluated."""


class Tracer:
    """Collects what the traced twin of a program reports, one evaluation at a time."""

    def __init__(self, plan: Plan) -> None:
        self._rules = [".".join(("data", *one.path[1:])) for one in plan.functions.values()]
        self.begin()

    def begin(self) -> None:
        """Forget the evaluation before."""
        self._visited: dict[int, None] = {}
        self._fired: dict[tuple[int, int], None] = {}
        self._failures: list[tuple[int, int]] = []
        self._calls: list[tuple[int, int, list[int]]] = []
        self._negations = 0

    def trace(self, value: Value, places: tuple[ir.Place, ...]) -> Trace:
        """What was collected, with the places that the numbers stand for."""
        failures = tuple(dict.fromkeys(self._location(rule, places[place]) for rule, place in self._failures))
        return Trace(
            value=None if value is UNDEFINED else value,
            defined=value is not UNDEFINED,
            fired=tuple(dict.fromkeys(self._location(rule, places[place]) for rule, place in self._fired)),
            failed=failures[0] if failures else None,
            failures=failures,
            visited=tuple(dict.fromkeys((places[one].file, places[one].row) for one in self._visited)),
        )

    def _location(self, rule: int, place: ir.Place) -> Location:
        return Location(self._rules[rule], place.file, place.row)

    # --- what generated code calls ------------------------------------------------------------------------------------

    def enter(self, rule: int) -> None:
        """A rule or function begins."""
        self._calls.append((rule, self._negations, []))

    def gave(self, rule: int, value: Value) -> Value:
        """It ends with a value, which is handed through."""
        _, negations, failed = self._calls.pop()
        self._negations = negations
        if (value is UNDEFINED or value is False) and failed and not negations:
            self._failures.append((rule, failed[0]))
        return value

    def visit(self, place: int) -> None:
        """An expression is evaluated."""
        self._visited[place] = None

    def failed(self, place: int | None) -> None:
        """It was undefined or false."""
        if self._calls and place is not None:
            _, negations, failed = self._calls[-1]
            if negations == self._negations:
                failed.append(place)

    def fired(self, rule: int, place: int) -> None:
        """A body of a rule gave something."""
        self._fired[rule, place] = None

    def negate(self, change: int) -> None:
        """A `not` begins (1) or ends (-1)."""
        self._negations += change


def coverable(plan: Plan) -> frozenset[tuple[str, int]]:
    """File and row of every expression of a plan."""
    found: Iterable[ir.Statement] = (
        one for function in plan.functions.values() for one in flow.statements(function.blocks)
    )
    return frozenset((one.place.file, one.place.row) for one in found if one.place is not None and _counts(one))


def _counts(one: ir.Statement) -> bool:
    return type(one) not in {ir.Reset, ir.Blocks, ir.Defined, ir.Return}

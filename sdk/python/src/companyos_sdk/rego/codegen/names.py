"""What generated code refers to: built-ins and constants, each under a name of ours."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from companyos_sdk.rego import ir
from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.checks import Facts
from companyos_sdk.rego.plan import Plan


class Names:
    """The globals of one program. No text of a plan gets into code, except as a string literal in ASCII."""

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.functions: dict[str, ir.Function] = plan.functions
        self.free = facts.free
        self.numbers = {name: number for number, name in enumerate(plan.functions)}
        self.values: dict[str, Any] = {}
        self._builtins: dict[str, str] = {}
        self._constants: dict[int, str] = {}

    @cached_property
    def rules(self) -> frozenset[tuple[str, ...]]:
        """The places of the document at which a rule lies."""
        return frozenset(one.path[1:] for one in self.functions.values() if one.is_rule)

    @cached_property
    def ruled(self) -> frozenset[tuple[str, ...]]:
        """The same places, and those above them."""
        return frozenset(path[:length] for path in self.rules for length in range(len(path) + 1))

    def builtin(self, name: str) -> str:
        """The variable of a built-in function."""
        known = self._builtins.get(name)
        if known is None:
            known = self._builtins[name] = f"b{len(self.values)}"
            self.values[known] = TABLE[name].function
        return known

    def constant(self, value: Any) -> str:  # noqa: ANN401 - any value of Rego
        """How a value is written."""
        kind = type(value)
        if value is None or kind is bool or kind is float:
            return repr(value)
        if kind is int:
            return repr(value) if -(1 << 63) < value < 1 << 63 else self.object(value)
        if kind is str:
            return ascii(value)
        return self.object(value)

    def object(self, value: Any) -> str:  # noqa: ANN401 - any object that generated code needs
        """The variable of an object."""
        known = self._constants.get(id(value))
        if known is None:
            known = self._constants[id(value)] = f"k{len(self.values)}"
            self.values[known] = value  # which also keeps its id from being used again
        return known

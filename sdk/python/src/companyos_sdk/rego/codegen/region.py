"""What is written where: which rules are inlined into which Python function, and which paths each one loads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from companyos_sdk.rego import flow, ir
from companyos_sdk.rego.checks import Facts
from companyos_sdk.rego.codegen.known import Usage
from companyos_sdk.rego.codegen.options import Options
from companyos_sdk.rego.plan import Plan
from companyos_sdk.rego.values import UNDEFINED, Value

SMALL: Final = 60
"""Statements of a rule that is inlined in several places, or of a function."""
LARGE: Final = 400
"""Statements of a rule that is inlined in the only place that calls it."""
FULL: Final = 3_000
"""Statements of one Python function."""
DEEP: Final = 8
"""Levels of inlined functions."""


class Outcome(Struct, frozen=True):
    """What can be said about the value of a rule."""

    total: bool = False
    """Whether it always has one."""
    only: Value = UNDEFINED
    """The only value it can have."""
    kind: str = ""


class Layout:
    """The decisions for one program."""

    def __init__(self, plan: Plan, entry: str, facts: Facts, options: Options, folded: dict[str, Value]) -> None:
        self.plan, self.facts, self.options, self.folded = plan, facts, options, folded
        self.numbers = {name: number for number, name in enumerate(plan.functions)}
        self.sizes = {one.name: sum(1 for _ in flow.statements(one.blocks)) for one in facts.order}
        self._usages: dict[str, Usage] = {}
        self._outcomes: dict[str, Outcome] = {}
        self.homes = self._homes(entry) if options.inline and options.track else {}
        """For each function that is inlined, the one into whose Python function it is written (``""``: the entry)."""

    def usage(self, function: ir.Function) -> Usage:
        """How a function uses its locals."""
        found = self._usages.get(function.name)
        if found is None:
            given = (*function.parameters, *self.facts.free[function.name])
            found = self._usages[function.name] = Usage(function.blocks, given)
        return found

    def outcome(self, function: ir.Function) -> Outcome:
        """What can be said about the value of a rule."""
        found = self._outcomes.get(function.name)
        if found is None:
            found = self._outcomes[function.name] = (
                _outcome(function, self.usage(function)) if self.options.fuse else Outcome()
            )
        return found

    def _homes(self, entry: str) -> dict[str, str]:
        """Callers come before callees here, so that each knows where its callers are written."""
        homes: dict[str, str] = {}
        sites: dict[str, list[str]] = {}
        totals: dict[str, int] = {}
        depths: dict[str, int] = {"": 0}
        banned: set[str] = set()
        self._sites("", self.plan.entries[entry], sites, banned)
        totals[""] = 0
        for function in reversed(self.facts.order):
            name = function.name
            if name not in sites and name not in banned:
                continue  # nothing that is written calls it
            callers = sites.get(name, [])
            where = {homes.get(caller, caller) for caller in callers}
            home = next(iter(where)) if len(where) == 1 else None
            size = self.sizes[name]
            several = len(callers) > 1 or not function.is_rule
            deep = max((depths.get(caller, 0) for caller in callers), default=0) + 1
            if (
                home is not None
                and name not in banned
                and name not in self.folded
                and not self.facts.free[name]
                and size <= (SMALL if several else LARGE)
                and totals[home] + size * len(callers) <= FULL
                and deep <= DEEP
                and (home == "" or self.plan.functions[home].is_rule or not function.is_rule)
                and can_be_inlined(function)
            ):
                homes[name] = home
                totals[home] += size * len(callers)
                depths[name] = deep
            else:
                totals[name] = size
                depths[name] = 0
            if name not in self.folded:
                self._sites(name, function.blocks, sites, banned)
        return homes

    def _sites(self, caller: str, blocks: Iterable[ir.Block], sites: dict[str, list[str]], banned: set[str]) -> None:
        for block in blocks:
            for one in block.statements:
                if type(one) is ir.Call and one.function in self.plan.functions:
                    sites.setdefault(one.function, []).append(caller)
                elif type(one) is ir.With:
                    for each in flow.statements((one.block,)):
                        if type(each) is ir.Call and each.function in self.plan.functions:
                            banned.add(each.function)
                elif type(one) is ir.CallDynamic:
                    banned.update(each for each, made in self.plan.functions.items() if made.is_rule)
                if type(one) is not ir.With:
                    self._sites(caller, flow.inner(one), sites, banned)


def can_be_inlined(function: ir.Function) -> bool:
    """Whether the only way out of a function is its end, where it gives its result."""
    if not function.blocks:
        return False
    last = function.blocks[-1].statements
    ends = [type(one) for one in last] == [ir.Defined, ir.Return]
    own = [one for one in flow.statements(function.blocks[:-1]) if type(one) in {ir.Return, ir.Break, ir.Result}]
    return (
        ends
        and not own
        and last[0].source == last[1].source == function.result  # type: ignore[union-attr] # their types are above
        and function.result not in function.parameters
    )


def _outcome(function: ir.Function, usage: Usage) -> Outcome:
    if not can_be_inlined(function):
        return Outcome()
    for one in function.blocks[0].statements:
        if type(one) is ir.Make and one.target == function.result:
            return Outcome(total=True, kind={"array": "list", "object": "dict", "set": "Set"}[one.kind])
    once = usage.once.get(function.result)
    writes = usage.writes.get(function.result, 0) - (once.count if once else 0)
    resets = sum(
        1 for one in flow.statements(function.blocks) if type(one) is ir.Reset and one.target == function.result
    )
    if once is None or writes != resets or len(once.sources) != 1 or None in once.sources:
        return Outcome()
    (source,) = once.sources
    return Outcome(only=source.value if type(source) is ir.Constant else UNDEFINED)


class Region:
    """One Python function while it is written."""

    def __init__(self, layout: Layout, home: str, places: dict[ir.Place, int]) -> None:
        self.layout, self.home = layout, home
        self.folded = layout.folded
        self.computed: set[str] = set()
        """The variables of the rules that are written here."""
        self.paths: dict[tuple[str, ...], str] = {(): "I"}
        self.used: set[tuple[str, ...]] = set()
        """The paths whose value is used, and not only looked into."""
        self.needed: dict[tuple[str, bool], str] = {}
        """The functions that are called from here, by name and whether they see the data of the program."""
        self.place = "None"
        """The number of the expression that is written, where the program is traced."""
        self.head = 0
        """The number of the place where the body of a rule that is written begins."""
        self._places = places

    def inlined(self, function: ir.Function) -> bool:
        """Whether a function is written into this one."""
        return self.layout.homes.get(function.name) == self.home

    def code(self, function: ir.Function, *, same_data: bool) -> str:
        """The Python function of a function of the plan."""
        prefix = "f" if same_data else "g"
        return self.needed.setdefault((function.name, same_data), f"{prefix}{self.layout.numbers[function.name]}")

    def tree(self, *, behind_data: bool) -> str:
        """The variable of the rules by their paths, all of which may be called."""
        for function in self.layout.plan.functions.values():
            if function.is_rule and not self.layout.facts.free[function.name]:
                self.code(function, same_data=False)
        return "TREE" if behind_data else "TREES"

    def usage(self, function: ir.Function) -> Usage:
        """How a function uses its locals."""
        return self.layout.usage(function)

    def outcome(self, function: ir.Function) -> Outcome:
        """What can be said about the value of a rule."""
        return self.layout.outcome(function)

    def path(self, path: tuple[str, ...]) -> str:
        """The variable with what is at a path of the input, loaded when the function begins."""
        self.used.add(path)
        return self._load(path)

    def _load(self, path: tuple[str, ...]) -> str:
        name = self.paths.get(path)
        if name is None:
            self._load(path[:-1])
            name = self.paths[path] = f"i{len(self.paths)}"
        return name

    def loads(self, also: Iterable[tuple[str, ...]] = ()) -> list[tuple[int, str]]:
        """The lines that load all paths, with their depth behind the first."""
        for path in also:
            self._load(path)
        below: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for path in self.paths:
            if path:
                below.setdefault(path[:-1], []).append(path)
        lines: list[tuple[int, str]] = []
        for parent, paths in sorted(below.items(), key=lambda item: len(item[0])):
            source = self.paths[parent]
            lines.append((0, f"if {source}.__class__ is dict:"))
            for path in paths:
                key = ascii(path[-1])
                lines.append((1, f"{self.paths[path]} = {source}[{key}] if {key} in {source} else U"))
            lines.append((0, "else:"))
            for path in paths:
                key = ascii(path[-1])
                lines.append((1, f"{self.paths[path]} = step({source}, {key})"))
        checked = [self.paths[path] for path in sorted(self.used, key=lambda path: (len(path), path))]
        if checked:
            tests = " and ".join(f"({one}.__class__ is str or {one}.__class__ in PLAIN)" for one in checked)
            lines.append((0, f"if not ({tests}): examine(({', '.join(checked)},))"))
        return lines

    def body(self, place: ir.Place | None) -> None:
        """A body of a rule begins."""
        if place is not None:
            self.head = self._places.setdefault(place, len(self._places))

    def number(self, place: ir.Place) -> int:
        """The number of a place in the source, which becomes the current one."""
        number = self._places.setdefault(place, len(self._places))
        self.place = str(number)
        return number

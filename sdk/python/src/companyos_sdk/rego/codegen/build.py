"""A plan to one Python module in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from companyos_sdk.rego import checks, flow, ir, runtime, values
from companyos_sdk.rego.checks import Facts, check
from companyos_sdk.rego.codegen import calls, loops, statements
from companyos_sdk.rego.codegen.emitter import Emitter, Scope
from companyos_sdk.rego.codegen.known import Fixed, Path, Usage, Variable
from companyos_sdk.rego.codegen.names import Names
from companyos_sdk.rego.codegen.options import PLAIN, Options
from companyos_sdk.rego.codegen.region import Layout, Region
from companyos_sdk.rego.errors import BuiltinError, PlanError, RegoError
from companyos_sdk.rego.limits import MAX_STEPS
from companyos_sdk.rego.plan import Plan
from companyos_sdk.rego.values import UNDEFINED, Value

_WRITERS: Final = (statements, calls, loops)
"""Importing these fills ``EMIT``."""
FOLD_STEPS: Final = MAX_STEPS // 10
"""How much work at build time a rule may be that does not depend on the input."""


class Built(Struct, frozen=True):
    """Executable code."""

    run: Callable[..., tuple[Value, tuple[Any, ...]]]
    """``run(input, data, memory, purse)`` gives the answer (an object with ``result``) and what is at the paths."""
    paths: tuple[tuple[str, ...], ...]
    size: int
    """How many rules a memory holds."""
    places: tuple[ir.Place, ...]
    """What the numbers of a traced program stand for."""
    source: str


def build(
    plan: Plan,
    data: Value,
    entry: str,
    options: Options,
    *,
    strict: bool = False,
    trace: Any = None,  # noqa: ANN401 - whatever the traced twin reports to
) -> Built:
    """Code for one entry point. Raises CompileError or PlanError for a plan that none can be made of."""
    if entry not in plan.entries:
        raise PlanError(f"The plan has no entry point {entry!r}.")
    facts = check(plan)
    folded = _folded(plan, data, entry, facts, strict=strict) if options.rules else {}
    layout = Layout(plan, entry, facts, options, folded)
    module = _Module(plan, data, facts, layout, options, strict=strict)
    main = module.entry(entry)
    module.rest()
    paths = _shortest(path for region in module.regions for path in region.used) if options.paths else ((),)
    module.finish_entry(main, paths)
    space = module.run(trace)
    return Built(space["run"], paths, len(plan.functions), tuple(module.places), module.source)


class _Module:
    """The functions of one Python module, written one after the other."""

    def __init__(
        self, plan: Plan, data: Value, facts: Facts, layout: Layout, options: Options, *, strict: bool
    ) -> None:
        self.plan, self.data, self.facts, self.layout = plan, data, facts, layout
        self.options, self.strict = options, strict
        self.names = Names(plan, facts)
        self.places: dict[ir.Place, int] = {}
        self.regions: list[Region] = []
        self.lines: list[tuple[int, str]] = []
        self._open: list[tuple[str, bool]] = []
        self._written: set[tuple[str, bool]] = set()
        self.source = ""

    def entry(self, entry: str) -> Emitter:
        """Write the entry point, but for its beginning."""
        blocks = self.plan.entries[entry]
        emitter = self._emitter("", same_data=True)
        emitter.scope = self._scope(None, Usage(blocks, (ir.INPUT, ir.DATA)), same_data=True)
        emitter.writer.outside = "return U, seen"
        emitter.writer.depth = 1
        emitter.body(blocks)
        emitter.writer.lines.append((1, "return U, seen"))
        self._open += emitter.region.needed
        return emitter

    def finish_entry(self, emitter: Emitter, paths: tuple[tuple[str, ...], ...]) -> None:
        """Write the beginning of the entry point, which loads what is at all paths."""
        region = emitter.region
        head = region.loads(paths)
        seen = "".join(f"{region.paths[path]}, " for path in paths)
        self._add("def run(I, D, M, S):", [*head, (0, f"seen = ({seen})")], emitter)

    def need(self, names: list[str]) -> None:
        """Write these functions and what they call."""
        self._open += [(name, True) for name in names]
        self.rest()

    def rest(self) -> None:
        """Write every function that something written calls."""
        while self._open:
            needed = self._open.pop()
            if needed in self._written:
                continue
            self._written.add(needed)
            name, same_data = needed
            function = self.plan.functions[name]
            emitter = self._emitter(name, same_data=same_data)
            emitter.scope = self._scope(function, self.layout.usage(function), same_data=same_data)
            emitter.world = emitter.other(same_data=same_data)
            emitter.writer.depth = 1
            if self.options.trace:
                emitter.writer.line(f"T.enter({self.layout.numbers[name]})")
                start = checks.start(function)
                emitter.region.body(start or ir.Place("", 0, 0))
            emitter.body(function.blocks)
            emitter.writer.lines.append((1, f"return {emitter.gives('U')}"))
            self._open += emitter.region.needed
            own = "".join(f", v{one}" for one in (*self.facts.free[name], *function.parameters[2:]))
            code = emitter.region.code(function, same_data=same_data)
            self._add(f"def {code}(I, D, M, S{own}):", emitter.region.loads(), emitter)

    def _emitter(self, home: str, *, same_data: bool) -> Emitter:
        region = Region(self.layout, home if same_data else f"{home} elsewhere", self.places)
        self.regions.append(region)
        return Emitter(self.names, region, self.options, strict=self.strict)

    def _scope(self, function: ir.Function | None, usage: Usage, *, same_data: bool) -> Scope:
        scope = Scope(function, usage, "v")
        if self.options.track:
            scope.env[ir.INPUT] = Path(()) if self.options.paths else Variable("I", maybe=True)
            scope.env[ir.DATA] = (
                Fixed(self.data, document=True) if same_data and self.options.data else Variable("D", document=True)
            )
            for one in () if function is None else function.parameters[2:]:
                scope.env[one] = Variable(f"v{one}")
        return scope

    def _add(self, header: str, head: list[tuple[int, str]], emitter: Emitter) -> None:
        self.lines.append((0, header))
        self.lines += [(depth + 1, text) for depth, text in head]
        computed = sorted(emitter.region.computed)
        if computed:
            self.lines.append((1, f"{' = '.join(computed)} = Z"))
        self.lines += emitter.writer.lines

    def run(self, trace: Any) -> dict[str, Any]:  # noqa: ANN401 - see build
        """Execute the module; gives its variables."""
        self.source = "\n".join(["\t" * depth + text for depth, text in self.lines]) + "\n"
        space: dict[str, Any] = dict(_SPACE) | {"T": trace}
        try:
            exec(compile(self.source, "<policy>", "exec"), space)  # noqa: S102 - all of it is of our own making
        except (SyntaxError, RecursionError, MemoryError) as fault:
            raise PlanError(f"The plan is too large or too deep for Python: {fault}.") from None
        space.update(self.names.values)
        trees: runtime.Tree = {}
        for function in self.plan.functions.values():
            if function.is_rule and (code := space.get(f"g{self.layout.numbers[function.name]}")) is not None:
                _enter(trees, function.path, (self.layout.numbers[function.name], code))
        tree = trees.get("g0", {})
        space["TREES"], space["TREE"] = trees, tree
        return space


def _enter(tree: Any, path: tuple[str, ...], rule: runtime.Rule) -> None:  # noqa: ANN401 - a tree, while it grows
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if isinstance(tree, tuple):
            return  # a rule inside of a rule, which no dynamic path leads to
    if path and not isinstance(tree.get(path[-1]), dict):
        tree[path[-1]] = rule


def _shortest(paths: Any) -> tuple[tuple[str, ...], ...]:  # noqa: ANN401 - any iterable of paths
    """The paths that no other one contains, in order."""
    found: list[tuple[str, ...]] = []
    for path in sorted(set(paths)):
        if not found or path[: len(found[-1])] != found[-1]:
            found.append(path)
    return tuple(found)


def _folded(plan: Plan, data: Value, entry: str, facts: Facts, *, strict: bool) -> dict[str, Value]:
    """The values of the rules that do not depend on the input, except those that something else goes wrong in."""
    depends: set[str] = set()
    for function in facts.order:
        if facts.free[function.name] or any(
            _reads_input(plan, one, depends) for one in flow.statements(function.blocks)
        ):
            depends.add(function.name)
    wanted = {
        one.function
        for blocks in [plan.entries[entry], *(plan.functions[name].blocks for name in depends)]
        for one in flow.statements(blocks)
        if type(one) is ir.Call and one.function in plan.functions
    }
    rules = [plan.functions[name] for name in wanted - depends if plan.functions[name].is_rule]
    if not rules:
        return {}
    layout = Layout(plan, entry, facts, PLAIN, {})
    module = _Module(plan, data, facts, layout, PLAIN, strict=strict)
    module.need([one.name for one in rules])
    space = module.run(None)
    memory, found = [runtime.UNSET] * len(plan.functions), {}
    for rule in rules:
        values.WORK.purse = purse = [FOLD_STEPS]
        try:
            code = space[f"f{layout.numbers[rule.name]}"]
            found[rule.name] = code(UNDEFINED, data, memory, purse)
        except (RegoError, RecursionError, MemoryError):
            continue  # it goes wrong again when it is asked for, and only then
        finally:
            purse[0] = values.UNLIMITED
    return found


def _reads_input(plan: Plan, one: ir.Statement, depends: set[str]) -> bool:
    if type(one) is ir.Call and one.function in plan.functions:
        return one.function in depends or ir.Local(ir.INPUT) in one.arguments[1:]
    return type(one) in {ir.With, ir.CallDynamic} or ir.INPUT in flow.read(one)


_SPACE: Final[dict[str, Any]] = {
    "U": UNDEFINED,
    "Z": runtime.UNSET,
    "Set": values.Set,
    "BuiltinError": BuiltinError,
    "equal": values.equal,
    "key": values.key,
} | {
    name: getattr(runtime, name)
    for name in (
        *("PLAIN", "SIZED", "conflict", "dot", "dot_document", "examine", "insert_once", "items", "known", "look_up"),
        *("merge", "pairs", "put", "spend", "step", "united"),
    )
}
"""The names that generated code may use, beside its own."""

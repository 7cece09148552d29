"""Functions of a plan to Python: what all statements share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from companyos_sdk.rego import ir
from companyos_sdk.rego.codegen.known import Fixed, Known, Path, Usage, Variable
from companyos_sdk.rego.codegen.names import Names
from companyos_sdk.rego.codegen.options import Options
from companyos_sdk.rego.codegen.region import Region
from companyos_sdk.rego.codegen.writer import Writer
from companyos_sdk.rego.values import UNDEFINED, Value

MAX_LOOPS: Final = 14
"""Loops inside each other in one Python function, which may have twenty."""


@dataclass(frozen=True)
class World:
    """Which input, data and memory the calls of a piece of code get."""

    input: str = "I"
    data: str = "D"
    memory: str = "M"
    same_input: bool = True
    """Whether the input is that of the whole function, so that its paths are loaded already."""
    same_data: bool = True
    """Whether the data is that of the program, so that it can be looked up at build time."""


@dataclass
class Scope:
    """One function of the plan while it is written."""

    function: ir.Function | None
    usage: Usage
    prefix: str
    env: dict[int, Known] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    """Variables that are not called after their local."""
    rooted: set[int] = field(default_factory=lambda: {ir.DATA})
    """Locals that hold a part of the data, where nothing is tracked."""
    literals: dict[int, Literal] = field(default_factory=dict)


@dataclass
class Literal:
    """An array, object or set that is collected until its last part is there."""

    kind: str
    parts: list[tuple[ir.Operand | None, ir.Operand]]
    missing: int


class Emitter:
    """Writes statements; ``region`` decides what is inlined and which paths are loaded."""

    def __init__(self, names: Names, region: Region, options: Options, *, strict: bool) -> None:
        self.names, self.region, self.options, self.strict = names, region, options, strict
        self.writer = Writer()
        self.world = World()
        self.scope = Scope(None, Usage((), ()), "v")
        self.kinds: dict[str, str] = {}
        self.bound: set[str] = set()
        """The variables that the current Python function has assigned so far."""
        self._certain: set[str] = set()
        self._trail: list[str] = []

    # --- what is certain ----------------------------------------------------------------------------------------------

    def certain(self, fact: str) -> bool:
        """Whether something holds from here to the end of the block."""
        return fact in self._certain

    def note(self, fact: str) -> None:
        """Something holds from here to the end of the block."""
        if fact not in self._certain:
            self._certain.add(fact)
            self._trail.append(fact)

    @contextmanager
    def nested(self) -> Iterator[None]:
        """What is noted inside does not hold behind it."""
        mark = len(self._trail)
        yield
        self._certain.difference_update(self._trail[mark:])
        del self._trail[mark:]

    # --- blocks -------------------------------------------------------------------------------------------------------

    def block(self, block: ir.Block, then: Callable[[], None] | None = None) -> None:
        """Write a block; ``then`` writes what follows when nothing was undefined."""
        mark = self.writer.open()
        with self.nested():
            if self.statements(block) and then is not None:
                then()
        self.writer.resume(self.writer.close(mark))

    def statements(self, block: ir.Block) -> bool:
        """Write the statements of a block; false when one is undefined for certain, and the rest left out."""
        for at, one in enumerate(block.statements):
            if self.options.trace:
                self._visit(one)
            if self._deep(one):
                self._apart(one, block, at)
            elif EMIT[type(one)](self, one, block, at) is False:
                self.writer.line(self.writer.leave())
                return False
        return True

    def _visit(self, one: ir.Statement) -> None:
        if type(one) is ir.Blocks and not self.writer.frames[1:]:
            self.region.body(one.place)
        if type(one) in _SILENT or one.place is None:
            return
        number = self.region.number(one.place)
        line = (self.writer.depth, f"T.visit({number})")
        if self.writer.lines[-1] != line:
            self.writer.lines.append(line)

    def fired(self, local: int, place: ir.Place | None) -> None:
        """A statement gives the function something, if this local is its result; a default has a place of its own."""
        function = self.scope.function
        if self.options.trace and function is not None and local == function.result:
            if place is not None:
                self.region.body(place)
            self.writer.line(f"T.fired({self.names.numbers[function.name]}, {self.region.head})")

    def gives(self, value: str) -> str:
        """What the function returns for a value."""
        if self.options.trace and self.scope.function is not None:
            return f"T.gave({self.names.numbers[self.scope.function.name]}, {value})"
        return value

    def _deep(self, one: ir.Statement) -> bool:
        return type(one) in _LOOPS and len(self.writer.frames) >= MAX_LOOPS

    def _apart(self, one: ir.Statement, block: ir.Block, at: int) -> None:
        """Write a statement as a function inside this one, because Python nests only so many loops."""
        writer = self.writer
        name, header = writer.name("s"), len(writer.lines)
        frames, outside = writer.frames, writer.outside
        writer.frames, writer.outside = [], "return False"
        before, self.bound = self.bound, set()
        writer.depth += 1
        EMIT[type(one)](self, one, block, at)
        writer.line("return True")
        writer.depth -= 1
        own = {one for one in self.bound if one in before or one[0] == "r"}
        self.bound = before
        writer.frames, writer.outside = frames, outside
        start = [(writer.depth, f"def {name}():")]
        if own:
            start.append((writer.depth + 1, f"nonlocal {', '.join(sorted(own))}"))
        writer.lines[header:header] = start
        writer.line(f"if not {name}(): {writer.leave()}")

    def fail_if(self, condition: str) -> None:
        """End the block where a condition holds."""
        if self.options.trace:
            self.writer.line(f"if {condition}:")
            self.writer.line(f"\tT.failed({self.region.place})")
            self.writer.line(f"\t{self.writer.leave()}")
        else:
            self.writer.line(f"if {condition}: {self.writer.leave()}")

    # --- locals -------------------------------------------------------------------------------------------------------

    def known(self, operand: ir.Operand) -> Known | None:
        """What is known about an operand."""
        return Fixed(operand.value) if isinstance(operand, ir.Constant) else self.scope.env.get(operand.index)

    def fixed(self, operand: ir.Operand) -> Value:
        """The value of an operand that is known at build time, else UNDEFINED."""
        known = self.known(operand)
        return known.value if type(known) is Fixed else UNDEFINED

    def value(self, operand: ir.Operand) -> str:
        """How an operand is read."""
        known = self.known(operand)
        if known is None:
            return self.variable(operand.index)  # type: ignore[union-attr] # a constant is known
        return self.text(known)

    def text(self, known: Known) -> str:
        """How something known is written."""
        if type(known) is Fixed:
            return self.names.constant(known.value)
        return self.region.path(known.path) if type(known) is Path else known.name  # type: ignore[union-attr] # a variable

    def variable(self, local: int) -> str:
        """The variable of a local that is not tracked."""
        name = self.scope.names.get(local)
        if name is not None:
            return name
        if local == ir.INPUT:
            return self.world.input
        if local == ir.DATA:
            return self.world.data
        return f"{self.scope.prefix}{local}"

    def define(self, local: int, known: Known) -> None:
        """A local holds something known: nothing is written if it is tracked."""
        if local in self.scope.usage.single and self.options.track:
            self.scope.env[local] = known
        else:
            self.assign(self.variable(local), self.text(known))

    def store(self, local: int, expression: str, *, kind: str = "", maybe: bool = False, document: bool = False) -> str:
        """Write an expression into the variable of a local; gives the variable."""
        name = self.variable(local)
        self.assign(name, expression)
        self.settle(local, kind=kind, maybe=maybe, document=document)
        return name

    def settle(self, local: int, *, kind: str = "", maybe: bool = False, document: bool = False) -> None:
        """The variable of a local has got its value."""
        name = self.variable(local)
        if local in self.scope.usage.single and self.options.track:
            self.scope.env[local] = Variable(name, maybe, document)
            if kind:
                self.kinds[name] = kind

    def assign(self, name: str, expression: str) -> None:
        """Write an assignment."""
        self.bound.add(name)
        self.writer.line(f"{name} = {expression}")

    def kind(self, operand: ir.Operand) -> str:
        """The type of an operand: `str`, `bool`, `int`, `list`, `dict` or `Set` where it is known, else empty."""
        known = self.known(operand)
        if type(known) is Fixed:
            return type(known.value).__name__
        return self.kinds.get(known.name, "") if type(known) is Variable else ""

    def require(self, *operands: ir.Operand) -> bool:
        """End the block where one of these holds nothing; false when that is certain."""
        for operand in operands:
            known = self.known(operand)
            if type(known) is Fixed:
                if known.value is UNDEFINED:
                    return False
            elif type(known) is not Variable or known.maybe:
                name = self.value(operand)
                if not self.certain(name):
                    self.fail_if(f"{name} is U")
                    if known is not None:
                        self.note(name)
        return True

    # --- whole functions ----------------------------------------------------------------------------------------------

    def body(self, blocks: tuple[ir.Block, ...]) -> None:
        """Write the blocks of a function whose scope is set."""
        given = self.scope.usage.given
        written = self.scope.usage.writes if not self.options.track else self.scope.usage.loose
        begun = {one.target for one in blocks[0].statements if type(one) is ir.Reset} if blocks else set()
        loose = [self.variable(one) for one in sorted(written) if one not in given and one not in begun]
        for start in range(0, len(loose), 50):
            self.bound.update(loose[start : start + 50])
            self.writer.line(" = ".join(loose[start : start + 50]) + " = U")
        for block in blocks:
            self.block(block)

    @contextmanager
    def inside(self, scope: Scope, world: World) -> Iterator[None]:
        """Write another function in the place of this one."""
        before = self.scope, self.world
        self.scope, self.world = scope, world
        yield
        self.scope, self.world = before

    def other(self, **changes: Any) -> World:  # noqa: ANN401 - fields of World
        """The world with something exchanged."""
        return replace(self.world, **changes)


EMIT: Final[dict[type, Callable[[Emitter, Any, ir.Block, int], bool | None]]] = {}
"""The writer of each type of statement; it gives false where the statement is undefined for certain."""
_SILENT = frozenset({ir.Reset, ir.Blocks, ir.Defined, ir.Return})
_LOOPS = frozenset({ir.Blocks, ir.Scan, ir.Not, ir.With})

"""What the compiler knows about a local while it writes a function."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct

from companyos_sdk.rego import flow, ir
from companyos_sdk.rego.values import Value


class Fixed(Struct, frozen=True):
    """A value that is known at build time."""

    value: Value
    document: bool = False
    """Whether it is a part of the data, in which 2 finds "2"."""


class Path(Struct, frozen=True):
    """What is at a path of the input, which may be nothing."""

    path: tuple[str, ...]


class Variable(Struct, frozen=True):
    """What a variable holds that does not change any more; it is there unless ``maybe``."""

    name: str
    maybe: bool = False
    document: bool = False


Known: TypeAlias = Fixed | Path | Variable


class Usage:
    """How the locals of one function are used."""

    def __init__(self, blocks: tuple[ir.Block, ...], given: Iterable[int]) -> None:
        self.writes: dict[int, int] = {}
        self.reads: dict[int, int] = {}
        self.changes: dict[int, int] = {}
        """How many statements put something into the array, object or set in a local."""
        self.given = frozenset(given)
        for one in flow.statements(blocks):
            for local in flow.written(one):
                self.writes[local] = self.writes.get(local, 0) + 1
            for local in flow.read(one):
                self.reads[local] = self.reads.get(local, 0) + 1
            if (changed := filled(one)) is not None:
                self.changes[changed] = self.changes.get(changed, 0) + 1
            if type(one) is ir.With and one.target not in self.given:
                self.writes[one.target] = self.writes.get(one.target, 0) + 1
        self._strays: set[int] = set()
        for block in blocks:
            self._visit(block, set(self.given))
        self.single = frozenset(self.writes) - self._strays - self.given
        """Locals that are read only behind the one statement before that writes them, in the same or an inner block."""
        self.loose = frozenset(self.writes) - self.single - self.given
        """All other locals."""
        self.once = once_sources(blocks)
        """What is assigned once to each local, and whether only one statement does so, outside of loops."""

    def _visit(self, block: ir.Block, visible: set[int]) -> None:
        strays = self._strays
        for one in block.statements:
            strays.update([local for local in flow.read(one) if local not in visible])
            kind, written = type(one), flow.written(one)
            if kind is ir.Reset:
                strays.update([local for local in written if local in visible])
                continue
            if (type(one) is ir.Assign and one.once) or (type(one) is ir.Scan and one.key == one.value):
                strays.update(written)
            strays.update([local for local in written if local in visible])
            if kind is ir.Scan:
                self._visit(one.block, visible.union(written))  # type: ignore[union-attr] # it is a scan
                continue
            if type(one) is ir.With:
                strays.add(one.target)
            for inner in flow.inner(one):
                self._visit(inner, set(visible))
            visible.update(written)


def filled(one: ir.Statement) -> int | None:
    """The local into whose value a statement puts something, if it does."""
    if type(one) is ir.Append:
        return one.array
    if type(one) is ir.Insert:
        return one.object
    return one.set if type(one) is ir.Add else None


class Once(Struct):
    """The statements that assign once to one local."""

    sources: set[ir.Operand | None]
    """Their operands; None stands for a local."""
    count: int = 0
    looped: bool = False

    @property
    def agree(self) -> bool:
        """Whether no two of them can give different values."""
        return (self.count == 1 and not self.looped) or (len(self.sources) == 1 and None not in self.sources)


def once_sources(blocks: tuple[ir.Block, ...]) -> dict[int, Once]:
    """The single assignments of these blocks, by target."""
    found: dict[int, Once] = {}

    def visit(block: ir.Block, *, looped: bool) -> None:
        for one in block.statements:
            if type(one) is ir.Assign and one.once:
                entry = found.setdefault(one.target, Once(set()))
                entry.sources.add(one.source if type(one.source) is ir.Constant else None)
                entry.count += 1
                entry.looped = entry.looped or looped
            for inner in flow.inner(one):
                visit(inner, looped=looped or type(one) is ir.Scan)

    for block in blocks:
        visit(block, looped=False)
    return found

"""What statements read, write and contain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from companyos_sdk.rego import ir


def inner(one: ir.Statement) -> tuple[ir.Block, ...]:
    """The blocks in a statement."""
    if type(one) is ir.Blocks:
        return one.blocks
    if type(one) is ir.Scan or type(one) is ir.Not or type(one) is ir.With:
        return (one.block,)
    return ()


def statements(blocks: Iterable[ir.Block]) -> Iterator[ir.Statement]:
    """Every statement of these blocks, with those of the blocks in it, in the order in which they are written."""
    for block in blocks:
        for one in block.statements:
            yield one
            if type(one) in _NESTING:
                yield from statements(inner(one))


def written(one: ir.Statement) -> tuple[int, ...]:
    """The locals that a statement gives a value, or takes it from; a `with` gives it back."""
    kind = type(one)
    if kind in _TARGETS:
        return (one.target,)  # type: ignore[union-attr] # the table says which have one
    if type(one) is ir.Scan:
        return (one.key, one.value)
    return ()


def read(one: ir.Statement) -> tuple[int, ...]:
    """The locals that a statement itself reads or changes the value of, without the blocks in it."""
    reads = _READS.get(type(one))
    return () if reads is None else reads(one)


def called(one: ir.Statement) -> str | None:
    """The name that a statement calls, if it does."""
    return one.function if type(one) is ir.Call else None


def _locals(*operands: ir.Operand) -> tuple[int, ...]:
    return tuple([one.index for one in operands if type(one) is ir.Local])


_NESTING = frozenset({ir.Blocks, ir.Scan, ir.Not, ir.With})
_TARGETS = frozenset({ir.Assign, ir.Literal, ir.Make, ir.Call, ir.CallDynamic, ir.Dot, ir.Length, ir.Merge, ir.Reset})
_READS: dict[type, Callable[[Any], tuple[int, ...]]] = {
    ir.Append: lambda one: (one.array, *_locals(one.value)),
    ir.Assign: lambda one: ((one.target,) if one.once else ()) + _locals(one.source),
    ir.Call: lambda one: _locals(*one.arguments),
    ir.CallDynamic: lambda one: _locals(*one.path, *one.arguments),
    ir.Dot: lambda one: _locals(one.source, one.key),
    ir.Compare: lambda one: _locals(one.left, one.right),
    ir.Is: lambda one: _locals(one.source),
    ir.Defined: lambda one: (one.source,),
    ir.Length: lambda one: _locals(one.source),
    ir.Insert: lambda one: (one.object, *_locals(one.key, one.value)),
    ir.Merge: lambda one: (one.first, one.second),
    ir.Result: lambda one: (one.source,),
    ir.Return: lambda one: (one.source,),
    ir.Scan: lambda one: _locals(one.source),
    ir.Add: lambda one: (one.set, *_locals(one.value)),
    ir.With: lambda one: _locals(one.value),
}

"""How statements with blocks are written."""

from __future__ import annotations

from typing import Final

from companyos_sdk.rego import flow, ir
from companyos_sdk.rego.codegen.emitter import Emitter
from companyos_sdk.rego.codegen.known import Fixed, Variable
from companyos_sdk.rego.codegen.statements import emits
from companyos_sdk.rego.errors import PlanError
from companyos_sdk.rego.values import UNDEFINED, Set, Value, in_order

_SMALL: Final = 16
"""Turns of a loop over constants that need not be counted, unless it is in another loop."""


@emits(ir.Blocks)
def _blocks(emitter: Emitter, one: ir.Blocks, _block: ir.Block, _at: int) -> None:
    for block in one.blocks:
        emitter.block(block)


@emits(ir.Not)
def _negate(emitter: Emitter, one: ir.Not, _block: ir.Block, _at: int) -> None:
    flag = emitter.writer.name("n")
    emitter.assign(flag, "True")
    if emitter.options.trace:
        emitter.writer.line("T.negate(1)")
    emitter.block(one.block, lambda: emitter.assign(flag, "False"))
    if emitter.options.trace:
        emitter.writer.line("T.negate(-1)")
    emitter.fail_if(f"not {flag}")


@emits(ir.Scan)
def _scan(emitter: Emitter, one: ir.Scan, block: ir.Block, at: int) -> bool | None:
    writer, usage = emitter.writer, emitter.scope.usage
    if not emitter.require(one.source):
        return False
    whole = emitter.options.track and one.key in usage.single and not usage.reads.get(one.key)
    last = at + 1 == len(block.statements)
    source = _source(emitter, one, values_only=whole)
    name, value = emitter.variable(one.key), emitter.variable(one.value)
    emitter.bound.add(value)
    if not whole:
        emitter.bound.add(name)
    if source is None:
        source = _looped(emitter, one, values_only=whole, last=last)
    writer.line(f"for {value} in {source}:" if whole else f"for {name}, {value} in {source}:")
    mark = writer.open(scan=True)
    with emitter.nested():
        document = _document(emitter, one.source)
        emitter.settle(one.value, document=document)
        if not whole:
            emitter.settle(one.key)
        emitter.statements(one.block)
    writer.resume(writer.close(mark))
    return None


def _looped(emitter: Emitter, one: ir.Scan, *, values_only: bool, last: bool) -> str:
    """What a loop goes through; ends the block for what is no collection, unless nothing follows the loop anyway."""
    text = emitter.value(one.source)
    way = f"{'items' if values_only else 'pairs'}(S, {text})"
    if emitter.options.fuse:
        filled = {"Set": f"{text}.index", "list": text, "dict": text}.get(emitter.kind(one.source))
        if filled is not None:
            return f"{way} if {filled} else ()"
        if last:
            return f"{way} or ()"
    found = emitter.writer.name("p")
    emitter.writer.line(f"{found} = {way}")
    emitter.fail_if(f"{found} is None")
    return found


def _document(emitter: Emitter, source: ir.Operand) -> bool:
    known = emitter.known(source)
    return (type(known) is Fixed or type(known) is Variable) and known.document


def _source(emitter: Emitter, one: ir.Scan, *, values_only: bool) -> str | None:
    """What a loop over constants goes through, or None for a loop over something else."""
    found = emitter.fixed(one.source)
    if found is UNDEFINED or not values_only or type(found) not in {list, dict, Set}:
        return None
    values: list[Value] = list(found)
    if type(found) is dict:
        values = [found[name] for name in in_order(found)] if all(type(name) is str for name in found) else []
        if len(values) != len(found):
            return None
    if (
        len(values) > _SMALL
        or any(frame.scan for frame in emitter.writer.frames)
        or emitter.writer.outside != "return U"
    ):
        emitter.writer.line(f"spend(S, {len(values)})")
    return emitter.names.object(values)


@emits(ir.With)
def _exchange(emitter: Emitter, one: ir.With, _block: ir.Block, _at: int) -> bool | None:
    writer, world = emitter.writer, emitter.world
    if not emitter.require(one.value):
        return False
    emitter.writer.line("spend(S, 1)")
    flag, memory, value = writer.name("n"), writer.name("m"), emitter.value(one.value)
    emitter.assign(flag, "True")
    emitter.assign(memory, f"[Z] * {len(emitter.names.functions)}")
    before = {local: emitter.scope.env[local] for local in (ir.INPUT, ir.DATA) if local in emitter.scope.env}
    restore = ""
    if one.target in {ir.INPUT, ir.DATA}:
        is_input = one.target == ir.INPUT
        made = writer.name("w")
        path = "".join(f"{emitter.names.constant(part)}, " for part in one.path)
        emitter.assign(made, f"put({world.input if is_input else world.data}, ({path}), {value})")
        changes = {"input": made, "same_input": False} if is_input else {"data": made, "same_data": False}
        emitter.scope.env[one.target] = Variable(made, maybe=not one.path, document=not is_input)
        other = emitter.other(memory=memory, **changes)
    else:
        made, variable = writer.name("w"), emitter.variable(one.target)
        emitter.assign(made, variable)
        emitter.assign(variable, value)
        restore = f"{variable} = {made}"
        other = emitter.other(memory=memory)
    with emitter.inside(emitter.scope, other):
        emitter.block(one.block, lambda: emitter.assign(flag, "False"))
    for target in (ir.INPUT, ir.DATA):
        emitter.scope.env.pop(target, None)
    emitter.scope.env.update(before)
    if restore:
        writer.line(restore)
    emitter.fail_if(flag)
    if any(type(each) is ir.Return for each in flow.statements((one.block,))):
        raise PlanError("A plan returns from inside a `with`.")
    return None

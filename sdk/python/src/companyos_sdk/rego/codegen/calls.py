"""How calls are written: of rules, of functions, of what is built in, and of what a path names."""

from __future__ import annotations

from typing import Final

from companyos_sdk.rego import ir
from companyos_sdk.rego.codegen.emitter import Emitter, Scope
from companyos_sdk.rego.codegen.known import Fixed, Variable
from companyos_sdk.rego.codegen.statements import emits, tests, write_dot
from companyos_sdk.rego.runtime import dot_document
from companyos_sdk.rego.values import UNDEFINED, Set, Value

SURE: Final = frozenset({"equal", "neq", "lt", "lte", "gt", "gte", "internal.member_2", "internal.member_3"})
"""Built-ins that give true or false for whatever they get."""
_ORDERS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


@emits(ir.Call)
def _call(emitter: Emitter, one: ir.Call, block: ir.Block, at: int) -> bool | None:
    function = emitter.names.functions.get(one.function)
    if function is None:
        return _builtin(emitter, one, block, at)
    if not emitter.require(*one.arguments[2:]):
        return False
    if function.is_rule:
        return _rule(emitter, one, function)
    return _function(emitter, one, function)


def _rule(emitter: Emitter, one: ir.Call, function: ir.Function) -> bool | None:
    world, writer, number = emitter.world, emitter.writer, emitter.names.numbers[function.name]
    outside = world.same_input and world.same_data
    if world.same_data and function.name in emitter.region.folded:
        value = emitter.region.folded[function.name]
        emitter.define(one.target, Fixed(value))
        return None if value is not UNDEFINED else False
    if outside and emitter.region.inlined(function):
        name, fact = f"r{number}", f"rule {number}"
        emitter.region.computed.add(name)
        if not emitter.certain(fact):
            writer.line(f"if {name} is Z:")
            writer.depth += 1
            _inline(emitter, function, {function.result: name}, {})
            writer.depth -= 1
            emitter.note(fact)
        emitter.define(one.target, Variable(name, maybe=True))
    else:
        name = emitter.store(one.target, f"{world.memory}[{number}]", maybe=True)
        code = emitter.region.code(function, same_data=world.same_data)
        given = "".join(f", {emitter.variable(each)}" for each in emitter.names.free[function.name])
        call = f"{code}({world.input}, {world.data}, {world.memory}, S{given})"
        writer.line(f"if {name} is Z: {name} = {world.memory}[{number}] = {call}")
    outcome = emitter.region.outcome(function)
    if not outcome.total and not emitter.certain(name):
        emitter.fail_if(f"{name} is U")
        emitter.note(name)
    if emitter.options.track and one.target in emitter.scope.usage.single:
        emitter.scope.env[one.target] = Variable(name) if outcome.only is UNDEFINED else Fixed(outcome.only)
        if outcome.kind:
            emitter.kinds[name] = outcome.kind
    return None


def _inline(emitter: Emitter, function: ir.Function, names: dict[int, str], arguments: dict[int, ir.Operand]) -> None:
    """Write the blocks of a function here; its result is in the variable of its local ``result``."""
    usage = emitter.region.usage(function)
    scope = Scope(function, usage, emitter.writer.name("v") + "_", names=names)
    scope.env.update({local: emitter.scope.env[local] for local in (ir.INPUT, ir.DATA) if local in emitter.scope.env})
    for local, operand in arguments.items():
        known = emitter.known(operand)
        scope.env[local] = known if known is not None else Variable(emitter.value(operand))
    with emitter.inside(scope, emitter.world), emitter.nested():
        emitter.body(function.blocks[:-1])


def _function(emitter: Emitter, one: ir.Call, function: ir.Function) -> bool | None:
    world = emitter.world
    own = one.arguments[2:]
    if world.same_input and world.same_data and emitter.region.inlined(function):
        name = emitter.writer.name("y")
        loose = [each for each in own if emitter.known(each) is None]
        if not loose:
            emitter.writer.line("S[0] -= 1")
            _inline(emitter, function, {function.result: name}, dict(zip(function.parameters[2:], own, strict=True)))
            emitter.fail_if(f"{name} is U")
            emitter.define(one.target, Variable(name))
            return None
    given = "".join(f", {emitter.variable(each)}" for each in emitter.names.free[function.name])
    arguments = "".join(f", {emitter.value(each)}" for each in own)
    code = emitter.region.code(function, same_data=world.same_data)
    emitter.writer.line("spend(S, 1)")
    name = emitter.store(one.target, f"{code}({world.input}, {world.data}, {world.memory}, S{given}{arguments})")
    emitter.fail_if(f"{name} is U")
    return None


def _builtin(emitter: Emitter, one: ir.Call, block: ir.Block, at: int) -> bool | None:
    if not emitter.require(*one.arguments):
        return False
    function, writer = one.function, emitter.writer
    condition = _condition(emitter, one) if emitter.options.fuse else None
    if condition is not None:
        following = block.statements[at + 1] if at + 1 < len(block.statements) else None
        holds, fails = condition
        if (
            type(following) is ir.Compare
            and not following.same
            and (following.left, following.right) == (ir.Local(one.target), ir.Constant(value=False))
            and emitter.scope.usage.reads.get(one.target) == 1
            and one.target in emitter.scope.usage.single
        ):
            emitter.fail_if(fails)
            emitter.scope.env[one.target] = Fixed(value=True)
            return None
        emitter.store(one.target, holds, kind="bool")
        return None
    arguments = [emitter.value(each) for each in one.arguments]
    expression = f"{emitter.names.builtin(function)}({', '.join(arguments)})"
    kinds = [emitter.kind(each) for each in one.arguments]
    if emitter.options.fuse and (simple := _SIMPLE.get((function, *kinds))) is not None:
        emitter.store(one.target, simple.format(*arguments, call=expression), kind=_KINDS.get(function, ""))
        return None
    if function in SURE or emitter.strict:
        name = emitter.store(one.target, expression, kind=_KINDS.get(function, ""))
        if function not in SURE:
            emitter.fail_if(f"{name} is U")
        return None
    if function in {"min", "max"} and kinds == ["Set"] and emitter.options.fuse:
        expression = f"next(iter({arguments[0]}.index.values())) if len({arguments[0]}.index) == 1 else {expression}"
    elif function == "array.concat" and kinds == ["list", "list"] and emitter.options.fuse:
        expression = f"{expression} if {arguments[0]} and {arguments[1]} else {arguments[0]} or {arguments[1]}"
    writer.line("try:")
    writer.depth += 1
    name = emitter.store(one.target, expression, kind=_KINDS.get(function, ""))
    writer.depth -= 1
    writer.line(f"except BuiltinError: {name} = U")
    emitter.fail_if(f"{name} is U")
    return None


_SIMPLE: Final = {
    ("count", "Set"): "len({0}.index)",
    ("count", "list"): "len({0})",
    ("count", "dict"): "len({0})",
    ("count", "str"): "len({0})",
    ("or", "Set", "Set"): "united({0}, {1})",
}
"""Built-ins that cannot go wrong where the types of their arguments are known."""
_KINDS: Final = {
    "count": "int",
    **dict.fromkeys(SURE, "bool"),
    "or": "Set",
    "and": "Set",
    "array.concat": "list",
    "concat": "str",
    "lower": "str",
    "upper": "str",
    "sprintf": "str",
    "split": "list",
    "startswith": "bool",
    "endswith": "bool",
    "contains": "bool",
    "object.union": "dict",
}
"""What a built-in gives, where that is always the same type."""


def _condition(emitter: Emitter, one: ir.Call) -> tuple[str, str] | None:
    """A Python expression for a built-in that compares, and one for its opposite."""
    if one.function in {"equal", "neq"}:
        different, same = tests(emitter, *one.arguments)
        return (same, different) if one.function == "equal" else (different, same)
    if one.function == "internal.member_2":
        return _member(emitter, *one.arguments)
    order = _ORDERS.get(one.function)
    if order is None:
        return None
    left, right = (emitter.value(each) for each in one.arguments)
    kinds = [emitter.kind(each) for each in one.arguments]
    if kinds[0] == kinds[1] and kinds[0] in {"int", "str"}:
        return f"{left} {order} {right}", f"not {left} {order} {right}"
    if all(each in {"", "int"} for each in kinds):
        known = [f"{text}.__class__ is int" for text, each in zip((left, right), kinds, strict=True) if not each]
        slow = f"{emitter.names.builtin(one.function)}({left}, {right})"
        condition = f"({left} {order} {right} if {' and '.join(known)} else {slow})"
        return condition, f"not {condition}"
    slow = f"{emitter.names.builtin(one.function)}({left}, {right})"
    return slow, f"not {slow}"


def _member(emitter: Emitter, value: ir.Operand, collection: ir.Operand) -> tuple[str, str] | None:
    found = emitter.fixed(collection)
    members = list(found) if type(found) in {list, Set} else list(found.values()) if type(found) is dict else None
    if members is None or not members or not all(type(each) is str for each in members):
        one, two, have = emitter.value(value), emitter.value(collection), emitter.kind(value)
        slow = f"{emitter.names.builtin('internal.member_2')}({one}, {two})"
        if members is None and have in {"", "str"} and emitter.kind(collection) in {"", "list"}:
            text = "" if have else f"{one}.__class__ is str and "
            slow = f"({one} in {two} if {text}{two}.__class__ is list else {slow})"
        return slow, f"not {slow}"
    if emitter.kind(value) not in {"", "str"}:
        return "False", "True"
    text = emitter.value(value)
    within = ", ".join(sorted({ascii(each) for each in members}))
    within = f"{{{within}}}" if len(members) < _FEW else emitter.names.object(frozenset(members))
    if emitter.kind(value) == "str":
        return f"{text} in {within}", f"{text} not in {within}"
    return (
        f"({text}.__class__ is str and {text} in {within})",
        f"{text}.__class__ is not str or {text} not in {within}",
    )


_FEW: Final = 20
_SPARE: Final = 1_000_000_000
"""The first of the locals that no plan has."""


@emits(ir.CallDynamic)
def _call_dynamic(emitter: Emitter, one: ir.CallDynamic, _block: ir.Block, _at: int) -> bool | None:
    if not emitter.require(*one.path):
        return False
    world = emitter.world
    behind_data = one.path[:1] == (ir.Constant("data"),)
    if behind_data and (found := _in_data_alone(emitter, one.path[1:])) is not None:
        return _dots(emitter, one, *found)
    path = "".join(f"{emitter.value(each)}, " for each in (one.path[1:] if behind_data else one.path))
    tree = emitter.region.tree(behind_data=behind_data)
    call = f"look_up({tree}, ({path}), {world.input}, {world.data}, {world.memory}, S)"
    name = emitter.store(one.target, call)
    emitter.fail_if(f"{name} is U")
    return None


def _in_data_alone(emitter: Emitter, path: tuple[ir.Operand, ...]) -> tuple[Value, tuple[ir.Operand, ...]] | None:
    """What the constant beginning of a path leads to in the data, and the rest of the path.

    None where a rule lies at that place, above or below it, or where the data is not known.
    """
    known = emitter.known(ir.Local(ir.DATA))
    place: tuple[str, ...] = ()
    if not (emitter.options.data and emitter.world.same_data and type(known) is Fixed and known.document):
        return None
    value = known.value
    for at, each in enumerate(path):
        if place not in emitter.names.ruled:
            return value, path[at:]
        if place in emitter.names.rules or type(each) is not ir.Constant or type(each.value) is not str:
            return None
        place = (*place, each.value)
        value = UNDEFINED if value is UNDEFINED else dot_document(value, each.value)
    return None if place in emitter.names.ruled else (value, ())


def _dots(emitter: Emitter, one: ir.CallDynamic, value: Value, rest: tuple[ir.Operand, ...]) -> bool | None:
    """Look up what is left of a path in a part of the data, key by key."""
    if value is UNDEFINED:
        return False
    if not rest:
        emitter.define(one.target, Fixed(value, document=True))
        return None
    source = ir.Local(_SPARE)
    emitter.scope.env[_SPARE] = Fixed(value, document=True)
    for at, each in enumerate(rest):
        target = one.target if at == len(rest) - 1 else _SPARE + 1 + at
        write_dot(emitter, ir.Dot(source=source, key=each, target=target, place=one.place), document=True)
        source = ir.Local(target)
    return None

"""How each statement is written, calls and loops aside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from companyos_sdk.rego import flow, ir
from companyos_sdk.rego.codegen.emitter import EMIT, Emitter, Literal
from companyos_sdk.rego.codegen.known import Fixed, Path, Variable, filled
from companyos_sdk.rego.errors import PlanError
from companyos_sdk.rego.runtime import dot, dot_document
from companyos_sdk.rego.values import UNDEFINED, Set, equal, key

KINDS: Final = {"array": "list", "object": "dict", "set": "Set"}
_EMPTY: Final = {"array": "[]", "object": "{}", "set": "Set()"}


def emits(kind: type) -> Callable[[Callable[..., bool | None]], Callable[..., bool | None]]:
    """Enter the decorated function as the writer of a type of statement."""

    def enter(function: Callable[..., bool | None]) -> Callable[..., bool | None]:
        EMIT[kind] = function
        return function

    return enter


@emits(ir.Assign)
def _assign(emitter: Emitter, one: ir.Assign, _block: ir.Block, _at: int) -> bool | None:
    if one.once:
        return _assign_once(emitter, one)
    known = emitter.known(one.source)
    if known is not None:
        emitter.define(one.target, known)
        return None
    if one.source == ir.Local(ir.DATA):
        emitter.scope.rooted.add(one.target)
    emitter.store(one.target, emitter.value(one.source), maybe=True)
    return None


def _assign_once(emitter: Emitter, one: ir.Assign) -> bool | None:
    scope, source = emitter.scope, emitter.value(one.source)
    target, known = emitter.variable(one.target), emitter.known(one.source)
    once = scope.usage.once[one.target]
    emitter.fired(one.target, one.place)
    certain = type(known) is Fixed or (type(known) is Variable and not known.maybe) or emitter.certain(source)
    if emitter.options.track and once.count == 1 and (kind := emitter.kind(one.source)):
        emitter.kinds[target] = kind
    if emitter.options.fuse and once.agree and certain:
        emitter.assign(target, source)
        return None
    arguments = scope.function is not None and not scope.function.is_rule
    name = ascii(".".join(("data", *scope.function.path[1:]))) if scope.function is not None else "''"
    emitter.bound.add(target)
    writer, depth = emitter.writer, emitter.writer.depth
    if not certain:
        writer.line(f"if {source} is not U:")
        writer.depth += 1
    writer.line(f"if {target} is U: {target} = {source}")
    writer.line(f"elif not equal({target}, {source}): raise conflict({name}, {arguments})")
    writer.depth = depth
    return None


@emits(ir.Literal)
def _literal(emitter: Emitter, one: ir.Literal, _block: ir.Block, _at: int) -> None:
    emitter.define(one.target, Fixed(one.value))


@emits(ir.Reset)
def _reset(emitter: Emitter, one: ir.Reset, block: ir.Block, at: int) -> None:
    following = block.statements[at + 1] if at + 1 < len(block.statements) else None
    tracked = emitter.options.track and one.target in emitter.scope.usage.single
    if not tracked and not (type(following) is ir.Make and following.target == one.target):
        emitter.assign(emitter.variable(one.target), "U")


@emits(ir.Nop)
def _nothing(_emitter: Emitter, _one: ir.Nop, _block: ir.Block, _at: int) -> None:
    pass


@emits(ir.Break)
def _leave(emitter: Emitter, one: ir.Break, _block: ir.Block, _at: int) -> None:
    emitter.writer.leave_more(one.levels)


@emits(ir.Defined)
def _defined(emitter: Emitter, one: ir.Defined, _block: ir.Block, _at: int) -> bool | None:
    operand = ir.Local(one.source)
    if one.wanted:
        return emitter.require(operand)
    known = emitter.known(operand)
    if known is not None and not isinstance(known, Path) and not (isinstance(known, Variable) and known.maybe):
        return type(known) is Fixed and known.value is UNDEFINED
    emitter.fail_if(f"{emitter.value(operand)} is not U")
    return None


@emits(ir.Is)
def _kind(emitter: Emitter, one: ir.Is, _block: ir.Block, _at: int) -> bool | None:
    wanted = KINDS[one.kind]
    if (have := emitter.kind(one.source)) and emitter.options.fuse:
        return have == wanted
    emitter.fail_if(f"{emitter.value(one.source)}.__class__ is not {wanted}")
    return None


@emits(ir.Length)
def _length(emitter: Emitter, one: ir.Length, _block: ir.Block, _at: int) -> bool | None:
    value = emitter.value(one.source)
    emitter.fail_if(f"{value}.__class__ not in SIZED")
    emitter.store(one.target, f"len({value})", kind="int")
    return None


@emits(ir.Dot)
def _look_up(emitter: Emitter, one: ir.Dot, block: ir.Block, at: int) -> bool | None:
    source, name = emitter.known(one.source), emitter.known(one.key)
    if type(source) is Fixed and type(name) is Fixed:
        value = (dot_document if source.document else dot)(source.value, name.value)
        emitter.define(one.target, Fixed(value, source.document))
        return None if value is not UNDEFINED else False
    if type(source) is Path and type(name) is Fixed and type(name.value) is str:
        path = Path((*source.path, name.value))
        emitter.define(one.target, path)
        if not _only_looked_into(emitter, one.target, block, at):
            return emitter.require(ir.Local(one.target))
        return None
    if not emitter.require(one.source, one.key):
        return False
    write_dot(emitter, one, document=_in_data(emitter, one.source))
    return None


def _in_data(emitter: Emitter, source: ir.Operand) -> bool:
    known = emitter.known(source)
    if type(known) is Fixed or type(known) is Variable:
        return known.document
    return type(source) is ir.Local and source.index in emitter.scope.rooted


def write_dot(emitter: Emitter, one: ir.Dot, *, document: bool) -> None:
    """Look a key up while the program runs. A part of the data needs no check; what is in the input does."""
    source, name = emitter.value(one.source), emitter.value(one.key)
    slow = f"{'dot_document' if document else 'dot'}({source}, {name})"
    if document:
        emitter.scope.rooted.add(one.target)
    have, clean = emitter.kind(one.source), document and emitter.world.same_data
    text = emitter.kind(one.key)
    quick = emitter.options.fuse and have in {"", "dict"} and text in {"", "str"} and (clean or text == "str")
    if quick:
        checks = ([] if text else [f"{name}.__class__ is str"]) + ([] if have else [f"{source}.__class__ is dict"])
        quickly = f"{source}.get({name}, U)"
        variable = emitter.store(
            one.target, f"{quickly} if {' and '.join(checks)} else {slow}" if checks else quickly, document=document
        )
    else:
        variable = emitter.store(one.target, slow, document=document)
    if not quick or clean:
        emitter.fail_if(f"{variable} is U")
        return
    emitter.writer.line(f"if {variable}.__class__ is not str:")
    emitter.writer.depth += 1
    emitter.fail_if(f"{variable} is U")
    emitter.writer.line(f"if {variable}.__class__ not in PLAIN: known({variable})")
    emitter.writer.depth -= 1


def _only_looked_into(emitter: Emitter, local: int, block: ir.Block, at: int) -> bool:
    """Whether all that is done with a local is to look the next key up, at once."""
    following = block.statements[at + 1] if at + 1 < len(block.statements) else None
    return (
        type(following) is ir.Dot
        and following.source == ir.Local(local)
        and emitter.scope.usage.reads.get(local) == 1
        and local in emitter.scope.usage.single
    )


@emits(ir.Result)
def _result(emitter: Emitter, one: ir.Result, _block: ir.Block, _at: int) -> None:
    emitter.writer.line(f"return {emitter.value(ir.Local(one.source))}, seen")


@emits(ir.Return)
def _give(emitter: Emitter, one: ir.Return, _block: ir.Block, _at: int) -> None:
    if emitter.writer.outside != "return U":
        raise PlanError("A plan returns from too many blocks at once.")
    value = emitter.value(ir.Local(one.source))
    emitter.writer.line(f"return {emitter.gives(value)}")


# --- arrays, objects and sets -----------------------------------------------------------------------------------------


@emits(ir.Make)
def _make(emitter: Emitter, one: ir.Make, block: ir.Block, at: int) -> None:
    if emitter.options.literals and one.target in emitter.scope.usage.single:
        count = _parts(emitter, one.target, block, at)
        if count is not None:
            emitter.scope.literals[one.target] = Literal(one.kind, [], count)
            if count == 0:
                _finish(emitter, one.target)
            return
    emitter.store(one.target, _EMPTY[one.kind], kind=KINDS[one.kind])


def _parts(emitter: Emitter, local: int, block: ir.Block, at: int) -> int | None:
    """How many statements fill this local, when they all do so in a row of simple statements; else None."""
    usage, count = emitter.scope.usage, 0
    changes = usage.changes.get(local, 0)
    for one in block.statements[at + 1 :]:
        if count == changes:
            break
        if filled(one) == local:
            if (type(one) is ir.Insert and one.once) or any(
                type(part) is ir.Local and part.index in usage.loose for part in _part(one)
            ):
                return None
            count += 1
        elif local in flow.read(one) or any(local in flow.read(each) for each in flow.statements(flow.inner(one))):
            return None
    return count if count == changes else None


def _part(one: Any) -> tuple[ir.Operand, ...]:  # noqa: ANN401 - one of the three statements below
    return (one.key, one.value) if type(one) is ir.Insert else (one.value,)


def _fill(emitter: Emitter, local: int, one: ir.Append | ir.Insert | ir.Add) -> bool:
    """Take a part of a literal; true when the local is one."""
    found = emitter.scope.literals.get(local)
    if found is None:
        return False
    found.parts.append((one.key if type(one) is ir.Insert else None, one.value))
    if len(found.parts) == found.missing:
        _finish(emitter, local)
    return True


def _finish(emitter: Emitter, local: int) -> None:
    made = emitter.scope.literals.pop(local)
    values = [emitter.fixed(value) for _, value in made.parts]
    names = [None if name is None else emitter.fixed(name) for name, _ in made.parts]
    if all(value is not UNDEFINED for value in values) and all(name is not UNDEFINED for name in names):
        built: Any = Set(values) if made.kind == "set" else values
        if made.kind == "object":
            built = {key(name): value for name, value in zip(names, values, strict=True)}
        emitter.define(local, Fixed(built))
        return
    texts = [emitter.value(value) for _, value in made.parts]
    if made.kind == "object":
        pairs = [f"{_key(emitter, name)}: {text}" for (name, _), text in zip(made.parts, texts, strict=True)]
        expression = f"{{{', '.join(pairs)}}}"
    else:
        expression = f"[{', '.join(texts)}]" if made.kind == "array" else f"Set([{', '.join(texts)}])"
    emitter.store(local, expression, kind=KINDS[made.kind])


def _key(emitter: Emitter, name: ir.Operand | None) -> str:
    assert name is not None  # noqa: S101 - entries of an object have one
    text = emitter.value(name)
    return text if emitter.kind(name) == "str" else f"key({text})"


@emits(ir.Append)
def _append(emitter: Emitter, one: ir.Append, _block: ir.Block, _at: int) -> bool | None:
    if not emitter.require(one.value):
        return False
    if not _fill(emitter, one.array, one):
        emitter.writer.line(f"{emitter.value(ir.Local(one.array))}.append({emitter.value(one.value)})")
    return None


@emits(ir.Add)
def _add(emitter: Emitter, one: ir.Add, _block: ir.Block, _at: int) -> bool | None:
    if not emitter.require(one.value):
        return False
    emitter.fired(one.set, None)
    if not _fill(emitter, one.set, one):
        target, value = emitter.value(ir.Local(one.set)), emitter.value(one.value)
        fixed = emitter.fixed(one.value)
        if emitter.kind(one.value) == "str" and emitter.options.fuse:
            emitter.writer.line(f"{target}.index[{value}] = {value}")
        elif fixed is not UNDEFINED and emitter.options.fuse:
            emitter.writer.line(f"{target}.index[{emitter.names.object(key(fixed))}] = {value}")
        else:
            emitter.writer.line(f"{target}.add({value})")
    return None


@emits(ir.Insert)
def _insert(emitter: Emitter, one: ir.Insert, _block: ir.Block, _at: int) -> bool | None:
    if not emitter.require(one.key, one.value):
        return False
    emitter.fired(one.object, None)
    if not _fill(emitter, one.object, one):
        target, value = emitter.value(ir.Local(one.object)), emitter.value(one.value)
        if one.once:
            emitter.writer.line(f"insert_once({target}, {emitter.value(one.key)}, {value})")
        else:
            emitter.writer.line(f"{target}[{_key(emitter, one.key)}] = {value}")
    return None


@emits(ir.Merge)
def _merge(emitter: Emitter, one: ir.Merge, _block: ir.Block, _at: int) -> bool | None:
    first, second = emitter.value(ir.Local(one.first)), emitter.value(ir.Local(one.second))
    emitter.store(one.target, f"merge({first}, {second})", maybe=True)
    return None


# --- comparisons ------------------------------------------------------------------------------------------------------


@emits(ir.Compare)
def _compare(emitter: Emitter, one: ir.Compare, _block: ir.Block, _at: int) -> bool | None:
    left, right = emitter.fixed(one.left), emitter.fixed(one.right)
    if left is not UNDEFINED and right is not UNDEFINED:
        return None if equal(left, right) is one.same else False
    if not emitter.require(one.left, one.right):
        return False
    different, same = tests(emitter, one.left, one.right)
    emitter.fail_if(different if one.same else same)
    return None


def tests(emitter: Emitter, left: ir.Operand, right: ir.Operand) -> tuple[str, str]:
    """Conditions for two operands being different, and for being the same."""
    if type(emitter.known(left)) is Fixed:
        left, right = right, left
    one, two = emitter.value(left), emitter.value(right)
    if type(emitter.known(left)) is Fixed:
        same = equal(emitter.fixed(left), emitter.fixed(right))
        return repr(not same), repr(same)
    if emitter.options.fuse:
        constant = emitter.fixed(right)
        kinds = emitter.kind(left), emitter.kind(right)
        if type(constant) is bool or constant is None:
            return f"{one} is not {two}", f"{one} is {two}"
        if type(constant) is str or (kinds[0] == kinds[1] and kinds[0] in {"str", "int", "float"}):
            return f"{one} != {two}", f"{one} == {two}"
    return f"not equal({one}, {two})", f"equal({one}, {two})"

"""What a plan must keep to beyond its form.

Nothing is called that is not there, nothing calls itself, nothing is read that nobody writes, and no path is looked up
where the compiler is known to look it up wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from companyos_sdk.rego import flow, ir
from companyos_sdk.rego.builtins import OUTSIDE, TABLE
from companyos_sdk.rego.errors import CompileError, ForbiddenBuiltin, PlanError
from companyos_sdk.rego.plan import Plan

_MISSING = "this version does not have it"


class Facts(NamedTuple):
    """What the checks found out and a program is made with."""

    order: list[ir.Function]
    """The functions, each behind all that it calls."""
    free: dict[str, tuple[int, ...]]
    """The locals that a function reads but nobody in it writes: what a `with` around its call has put there."""


def check(plan: Plan) -> Facts:
    """Raise CompileError, or ForbiddenBuiltin, for a plan that no program can be made of."""
    for function in plan.functions.values():
        for one in flow.statements(function.blocks):
            _check_call(plan, function, one)
            if type(one) is ir.Result:
                raise PlanError(f"The function {function.name!r} gives results, which only entry points do.")
    for name, blocks in plan.entries.items():
        for one in flow.statements(blocks):
            _check_call(plan, None, one)
        _check_results(name, blocks)
    order = callees_first(plan)
    exchanged = _exchanged(plan)
    free: dict[str, tuple[int, ...]] = {}
    for function in order:
        found = _free(function.blocks, function.parameters, free)
        _check_free(dotted(function), [one for one in found if one not in exchanged], start(function))
        free[function.name] = tuple(found)
    for name, blocks in plan.entries.items():
        _check_free(name, _free(blocks, (ir.INPUT, ir.DATA), free), None)
    _check_dynamic(plan, order, free)
    return Facts(order, free)


def _check_results(name: str, blocks: tuple[ir.Block, ...]) -> None:
    """An entry point gives objects that it has made in the same block, with an entry ``result``."""
    for one in flow.statements(blocks):
        if type(one) is ir.Return:
            raise PlanError(f"The entry point {name!r} returns, which only functions do.")
    inside = [block for one in flow.statements(blocks) for block in flow.inner(one)]
    for block in (*blocks, *inside):
        made: set[int] = set()
        filled: set[int] = set()
        for one in block.statements:
            if type(one) is ir.Make and one.kind == "object":
                made.add(one.target)
                filled.discard(one.target)
            elif type(one) is ir.Insert and one.object in made and one.key == ir.Constant("result"):
                filled.add(one.object)
            elif type(one) is ir.Result and one.source not in filled:
                raise PlanError(f"The entry point {name!r} gives something that is no result.")
            elif set(flow.written(one)) & made or flow.inner(one):
                made -= set(flow.written(one)) | {
                    each for x in flow.statements(flow.inner(one)) for each in flow.written(x)
                }
                filled &= made


def _check_call(plan: Plan, function: ir.Function | None, one: ir.Statement) -> None:
    if type(one) is not ir.Call:
        return
    callee = plan.functions.get(one.function)
    count = len(one.arguments)
    if callee is None:
        builtin = TABLE.get(one.function)
        if builtin is None:
            place = one.place or (start(function) if function else None)
            ours = one.arguments[:2] == (ir.Local(ir.INPUT), ir.Local(ir.DATA))
            if ours and one.function not in OUTSIDE:  # it is called as functions of a policy are
                raise _error(f"{one.function} is no function.", place)
            raise ForbiddenBuiltin(
                one.function.removeprefix("internal."),
                OUTSIDE.get(one.function.removeprefix("internal."), _MISSING),
                file=place.file if place else None,
                row=place.row if place else None,
            )
        if count != builtin.arity:
            raise _error(f"{one.function} takes {builtin.arity} arguments and gets {count}.", one.place)
    elif count < len((ir.INPUT, ir.DATA)) or one.arguments[:2] != (ir.Local(ir.INPUT), ir.Local(ir.DATA)):
        raise _error(f"{one.function} is not called with input and data.", one.place)
    elif count != len(callee.parameters) and not callee.is_rule:
        raise _error(f"{one.function} takes {len(callee.parameters) - 2} arguments and gets {count - 2}.", one.place)


def start(function: ir.Function) -> ir.Place | None:
    """Where a function begins in the source, if the plan says so."""
    return next((one.place for one in flow.statements(function.blocks) if one.place is not None), None)


def callees_first(plan: Plan) -> list[ir.Function]:
    """The functions, each behind all that it calls; raises CompileError when one calls itself."""
    calls = {name: list(dict.fromkeys(_calls(plan, one))) for name, one in plan.functions.items()}
    done: dict[str, bool] = {}
    order: list[ir.Function] = []
    for name in plan.functions:
        stack = [(name, iter(calls[name]))] if name not in done else []
        if stack:
            done[name] = False
        while stack:
            current, rest = stack[-1]
            callee = next(rest, None)
            if callee is None:
                stack.pop()
                done[current] = True
                order.append(plan.functions[current])
            elif callee not in done:
                done[callee] = False
                stack.append((callee, iter(calls[callee])))
            elif not done[callee]:
                place = start(plan.functions[callee])
                raise _error(f"{dotted(plan.functions[callee])} is recursive, which a policy may not be.", place)
    return order


def _calls(plan: Plan, function: ir.Function) -> Iterator[str]:
    for one in flow.statements(function.blocks):
        if type(one) is ir.Call and one.function in plan.functions:
            yield one.function
        elif type(one) is ir.CallDynamic:
            yield from (each.name for each in reached(plan, one))


def reached(plan: Plan, one: ir.CallDynamic) -> Iterator[ir.Function]:
    """The rules that a dynamic path can lead to, through or into."""
    pattern = [each.value if type(each) is ir.Constant else None for each in one.path]
    for function in plan.functions.values():
        if function.is_rule and function.path[:1] == ("g0",):
            path = document_path(function, one)
            if all(want is None or want == have for want, have in zip(pattern, path, strict=False)):
                yield function


def document_path(function: ir.Function, one: ir.CallDynamic) -> tuple[str, ...]:
    """The path of a rule as a dynamic call writes it: behind ``data`` or behind the name of the variant."""
    if one.path and one.path[0] == ir.Constant("data"):
        return ("data", *function.path[1:])
    return function.path


def _exchanged(plan: Plan) -> set[int]:
    """The locals that some `with` changes."""
    found = set()
    for function in plan.functions.values():
        for one in flow.statements(function.blocks):
            if type(one) is ir.With:
                found.add(one.target)
                if one.path and one.target not in {ir.INPUT, ir.DATA}:
                    raise _error("A `with` changes a part of something that is neither input nor data.", one.place)
    return found


def _free(blocks: tuple[ir.Block, ...], given: tuple[int, ...], callees: Mapping[str, tuple[int, ...]]) -> list[int]:
    own, needed = set(given), set[int]()
    for one in flow.statements(blocks):
        own.update(flow.written(one))
        if type(one) is ir.With:
            own.add(one.target)
        needed.update(flow.read(one))
        if type(one) is ir.Call:
            needed.update(callees.get(one.function, ()))
    return sorted(needed - own)


def _check_free(name: str, free: list[int], place: ir.Place | None) -> None:
    if free:
        raise _error(f"{name} uses a variable that nothing gives a value (unsafe).", place)


def _check_dynamic(plan: Plan, order: list[ir.Function], free: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse dynamic paths that a `with` changes the rules of, or that lead to rules inside of rules."""
    dynamic: dict[str, list[ir.CallDynamic]] = {}
    for function in order:
        own = [one for one in flow.statements(function.blocks) if isinstance(one, ir.CallDynamic)]
        for call in own:
            if any(free[each.name] for each in reached(plan, call)):
                raise _error("A path with a variable leads to a rule that depends on a `with`.", call.place)
            paths = {document_path(each, call) for each in reached(plan, call)}
            if any(path[:length] in paths for path in paths for length in range(1, len(path))):
                raise _error("A path with a variable leads to a rule that lies inside another one.", call.place)
        below = [each for name in dict.fromkeys(_calls(plan, function)) for each in dynamic[name]]
        dynamic[function.name] = list(dict.fromkeys(own + below))
        for one in flow.statements(function.blocks):
            if type(one) is ir.With and one.target == ir.DATA:
                _check_exchange(plan, one, dynamic)


def _check_exchange(plan: Plan, one: ir.With, dynamic: dict[str, list[ir.CallDynamic]]) -> None:
    for each in flow.statements((one.block,)):
        found = [each] if type(each) is ir.CallDynamic else []
        if type(each) is ir.Call:
            found = dynamic.get(each.function, [])
        for call in found:
            for function in reached(plan, call):
                path = function.path[1:]
                if path[: len(one.path)] == one.path[: len(path)]:
                    raise _error(
                        f"A `with` exchanges data.{'.'.join(one.path)}, which a path with a variable leads to.",
                        one.place,
                    )


def dotted(function: ir.Function) -> str:
    """A rule or function as a policy writes it."""
    return ".".join(("data", *function.path[1:]))


def _error(message: str, place: ir.Place | None) -> CompileError:
    if place is None:
        return CompileError(message)
    return CompileError(message, file=place.file, row=place.row, col=place.col)

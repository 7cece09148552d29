"""What regopy 1.5.2 compiles differently from OPA, put right in the plan that it writes, or refused.

*Negation.* OPA computes the arguments of a call, and the keys of a reference, in front of `not`: where one of them
is undefined, the whole expression is. regopy computes them inside, where undefined means that `not` holds. Only the
operands of `==` and `=`, and a reference itself, stay inside in both.

*Names.* regopy renames the variables of `every` to `x$5`, and does so to the field of `input.x` as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from companyos_sdk.rego.errors import CompileError
from companyos_sdk.rego.source import is_call, tokens

_RENAMED: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\$[0-9]+")
_FALSE: Final = {"type": "bool", "value": False}
_NAME_IT: Final = (
    "Give what `not` is about a name in the line above; the compiler does not compute it in front of `not`."
)
Statement = dict[str, Any]
"""A statement of a plan, as JSON."""


def repair_names(document: Any, modules: Mapping[str, str]) -> None:  # noqa: ANN401 - a plan as JSON
    """Give fields the names that they have in the source; raises CompileError where that cannot be told."""
    rules = {one["path"][-1] for one in document["funcs"]["funcs"] if one.get("path")}
    for row in document["static"]["strings"]:
        found = _RENAMED.fullmatch(row["value"])
        if found is None:
            continue
        name, said = found[1], any(row["value"] in source for source in modules.values())
        declared = re.compile(rf"\bevery\b[^{{]*\b{re.escape(name)}\b")
        if said and not any(declared.search(source) for source in modules.values()):
            continue  # a text of the policy that only looks like it
        if said or name in rules:
            raise CompileError(f"The variable {name!r} of an `every` is named like a field or a rule; rename it.")
        row["value"] = name


def repair_negations(block: Any, sources: list[tuple[str, list[str]]]) -> None:  # noqa: ANN401 - a block as JSON
    """Move what OPA computes in front of `not` there; ``sources`` are the names and lines of the files."""
    made: list[Statement] = []
    for statement in block["stmts"]:
        for inner in _inner(statement):
            repair_negations(inner, sources)
        if statement["type"] == "NotStmt":
            own = statement["stmt"]["block"]
            before = _before(own["stmts"], statement["stmt"], sources)
            made += [own["stmts"][at] for at in before]
            own["stmts"] = [one for at, one in enumerate(own["stmts"]) if at not in before]
        made.append(statement)
    block["stmts"] = made


def _inner(statement: Statement) -> list[Any]:
    body = statement["stmt"]
    return [body["block"]] if "block" in body else body.get("blocks", [])


def _before(statements: list[Statement], negation: Statement, sources: list[tuple[str, list[str]]]) -> list[int]:
    """Which statements of a negated block belong in front of it."""
    for at, statement in enumerate(statements):
        if statement["type"] in {"ScanStmt", "WithStmt"}:
            if _before(statement["stmt"]["block"]["stmts"], negation, sources):
                file = negation.get("file", -1)
                known = 0 <= file < len(sources)
                raise CompileError(_NAME_IT, file=sources[file][0] if known else None, row=negation.get("row"))
            if statement["type"] == "WithStmt":
                return [index for index in range(at) if statements[index]["type"] != "ResetLocalStmt"]
    test, everything = _test(statements)
    if everything:
        return [at for at in range(test) if statements[at]["type"] != "ResetLocalStmt"]
    moved: set[int] = set()
    kept = _kept(statements, test, negation, sources)
    wanted = [local for at, one in enumerate(statements[: test + 1]) for local in _hoisted(one, at, moved, test, kept)]
    while wanted:
        local = wanted.pop()
        for at, one in enumerate(statements[:test]):
            if at not in moved and one["type"] != "ResetLocalStmt" and local in _changed(one):
                moved.add(at)
        wanted += [each for at in moved for each in _read(statements[at]) if _missing(each, statements[:test], moved)]
    return sorted(moved)


def _test(statements: list[Statement]) -> tuple[int, bool]:
    """The place of the statement that a negated block is about, and whether all in front of it goes before `not`."""
    last = next(
        (
            at
            for at in range(len(statements) - 1, -1, -1)
            if statements[at]["type"] == "NotEqualStmt" and statements[at]["stmt"]["b"] == _FALSE
        ),
        None,
    )
    if last is None:
        return len(statements) - 1, False
    local = statements[last]["stmt"]["a"].get("value")
    at = last
    while at > 0:
        at -= 1
        kind, body = statements[at]["type"], statements[at]["stmt"]
        if kind == "EqualStmt":
            return at, False
        if kind in {"CallStmt", "CallDynamicStmt", "DotStmt"} and local in _changed(statements[at]):
            return at, _is_call(statements[at]) and body["func"] != "equal"
    return last, False


def _kept(
    statements: list[Statement], test: int, negation: Statement, sources: list[tuple[str, list[str]]]
) -> int | None:
    """The call that stays inside: that of `not f(x, true)`, which means `f(x) == true` but is one call to OPA."""
    file, row, col = (negation.get(name, -1) for name in ("file", "row", "col"))
    if statements[test]["type"] != "EqualStmt" or not 0 <= file < len(sources):
        return None
    lines = sources[file][1]
    if not 0 < row <= len(lines):
        return None
    following = tokens("\n".join(lines[row - 1 :])[col - 1 :][:_FAR])
    if len(following) < len(("not", "f", "(")) or following[0].text != "not" or not is_call(following[1:]):
        return None
    operands = set(_locals(statements[test]["stmt"]["a"], statements[test]["stmt"]["b"]))
    calls = [at for at, one in enumerate(statements[:test]) if _is_call(one) and operands & _changed(one)]
    return calls[-1] if calls else None


_FAR: Final = 10_000
"""Characters behind a `not` in which its expression ends."""


def _is_call(statement: Statement) -> bool:
    """Whether this calls a function with arguments, not a rule."""
    if statement["type"] != "CallStmt":
        return False
    body = statement["stmt"]
    return not re.match(r"g[0-9]+\.data\.", body["func"]) or len(body["args"]) > len(("input", "data"))


def _hoisted(statement: Statement, at: int, moved: set[int], test: int, kept: int | None) -> Iterator[int]:
    """The locals that a statement wants computed in front of `not`."""
    kind, body = statement["type"], statement["stmt"]
    if at < test and _is_call(statement):
        if at != kept:
            moved.add(at)
        yield from _read(statement)
    elif kind == "DotStmt":
        yield from _locals(body["key"])
    elif kind == "CallDynamicStmt":
        for one in body["path"]:
            yield from _locals(one)
    elif kind in {"ArrayAppendStmt", "SetAddStmt"}:
        yield from _locals(body["value"])
    elif kind in {"ObjectInsertStmt", "ObjectInsertOnceStmt"}:
        yield from (*_locals(body["key"]), *_locals(body["value"]))


def _missing(local: int, statements: list[Statement], moved: set[int]) -> bool:
    """Whether a statement that gives a local its value is still to be moved."""
    return any(
        at not in moved and one["type"] != "ResetLocalStmt" and local in _changed(one)
        for at, one in enumerate(statements)
    )


def _locals(*operands: Any) -> Iterator[int]:  # noqa: ANN401 - operands as JSON
    for one in operands:
        if type(one) is int:
            yield one
        elif one.get("type") == "local":
            yield one["value"]


def _read(statement: Statement) -> set[int]:
    """The locals that a statement, and what is in it, reads."""
    body = statement["stmt"]
    found = {
        local
        for name in ("source", "key", "value", "a", "b")
        if isinstance(body.get(name), dict) or (name in {"source", "a", "b"} and type(body.get(name)) is int)
        for local in _locals(body[name])
    }
    for one in (*body.get("args", ()), *body.get("path", ())):
        if isinstance(one, dict):
            found.update(_locals(one))
    for inner in _inner(statement):
        for each in inner["stmts"]:
            found |= _read(each)
    return found - {0, 1}


def _changed(statement: Statement) -> set[int]:
    """The locals that a statement, and what is in it, gives a value or puts something into."""
    body, kind = statement["stmt"], statement["type"]
    names = {"target", "result", "array", "set", "object"} | ({"key", "value"} if kind == "ScanStmt" else set())
    found = {body[name] for name in names if type(body.get(name)) is int}
    for inner in _inner(statement):
        for each in inner["stmts"]:
            found |= _changed(each)
    return found

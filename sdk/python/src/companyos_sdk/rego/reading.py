"""Plain OPA IR, as JSON, to checked statements. Whatever is not one is a ``PlanError`` that says where."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final

from companyos_sdk.rego import ir
from companyos_sdk.rego.errors import PlanError
from companyos_sdk.rego.limits import MAX_DIGITS

MAX_LOCALS: Final = 1_000_000
MAX_NESTING: Final = 100
"""Blocks inside each other."""
MAX_STATEMENTS: Final = 2_000_000

_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z")


def number(text: str) -> int | float:
    """The number that JSON writes like this; raises PlanError when it is none, or none that we can hold."""
    if len(text) > MAX_DIGITS:
        raise PlanError(f"A number has more than {MAX_DIGITS} characters.")
    if _WHOLE.match(text):
        return int(text)
    if not _NUMBER.match(text):
        raise PlanError(f"{text!r} is not a number.")
    value = float(text)
    if math.isinf(value):
        raise PlanError(f"{text} is larger than the numbers that a policy can use.")
    return value


class Reader:
    """Reads the statements of one plan, whose strings and files it knows."""

    def __init__(self, strings: list[str], files: list[str]) -> None:
        self.strings, self.files = strings, files
        self.statements = 0
        self.numbers: dict[int, int | float] = {}
        self.locals: dict[int, ir.Local] = {}

    def blocks(self, found: object, depth: int = 0) -> tuple[ir.Block, ...]:
        """The blocks of a list."""
        return tuple([self.block(one, depth) for one in listed(found)])

    def block(self, found: object, depth: int) -> ir.Block:
        """One block; ``depth`` counts the blocks around it."""
        if depth > MAX_NESTING:
            raise PlanError(f"The plan nests more than {MAX_NESTING} blocks.")
        statements = listed(_object(found).get("stmts") or [])
        self.statements += len(statements)
        if self.statements > MAX_STATEMENTS:
            raise PlanError(f"The plan has more than {MAX_STATEMENTS} statements.")
        return ir.Block(tuple([self.statement(one, depth + 1) for one in statements]))

    def statement(self, found: object, depth: int) -> ir.Statement:
        """One statement with its type."""
        outer = _object(found)
        kind = outer.get("type")
        read = _STATEMENTS.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise PlanError(f"{kind!r} is no statement of a plan that this version knows.")
        body = _object(outer.get("stmt"))
        try:
            return read(self, body, self.place(body), depth)
        except KeyError as missing:
            raise PlanError(f"A {kind} lacks {missing}.") from None

    def place(self, body: dict[str, Any]) -> ir.Place | None:
        """Where a statement comes from, if it says so."""
        file, row, col = body.get("file"), body.get("row"), body.get("col")
        if type(file) is not int or type(row) is not int or type(col) is not int:
            return None
        if not 0 <= file < len(self.files) or row < 0 or col < 0:
            return None
        return ir.Place(self.files[file], row, col)

    def local(self, found: object) -> int:
        """The index of a local; OPA writes it bare in some statements and as an operand in others."""
        if type(found) is dict and found.get("type") == "local":
            found = found.get("value")
        if type(found) is not int or not 0 <= found < MAX_LOCALS:
            raise PlanError(f"{found!r} is no local of a plan.")
        return found

    def operand(self, found: object) -> ir.Operand:
        """A local, a string or a boolean."""
        if type(found) is int:
            return self._local(found)
        what = _object(found)
        kind, value = what.get("type"), what.get("value")
        if kind == "local":
            return self._local(value)
        if kind == "string_index":
            return ir.Constant(self.string(value))
        if kind == "bool" and type(value) is bool:
            return ir.Constant(value)
        raise PlanError(f"{kind!r} with {value!r} is no operand of a plan.")

    def _local(self, found: object) -> ir.Local:
        index = self.local(found)
        made = self.locals.get(index)
        if made is None:
            made = self.locals[index] = ir.Local(index)
        return made

    def operands(self, found: object) -> tuple[ir.Operand, ...]:
        """The operands of a list."""
        return tuple([self.operand(one) for one in listed(found or [])])

    def string(self, index: object) -> str:
        """The string with this index."""
        if type(index) is not int or not 0 <= index < len(self.strings):
            raise PlanError(f"{index!r} is no string of the plan.")
        return self.strings[index]

    def number(self, index: object) -> int | float:
        """The number that the string with this index writes."""
        text = self.string(index)
        return number(text)

    def name(self, found: object) -> str:
        """A function's name."""
        if type(found) is not str or not found:
            raise PlanError(f"{found!r} is no name of a function.")
        return found


def _object(found: object) -> dict[str, Any]:
    if type(found) is not dict:
        raise PlanError("A plan has something else where an object belongs.")
    return found


def listed(found: object) -> list[Any]:
    """A list of a plan; raises PlanError for anything else."""
    if type(found) is not list:
        raise PlanError("A plan has something else where a list belongs.")
    return found


def _whole(found: object) -> int:
    if type(found) is not int or abs(found) >= 1 << 63:
        raise PlanError(f"{found!r} is no whole number of 64 bits.")
    return found


def _levels(found: object) -> int:
    if not 0 <= (levels := _whole(found)) <= MAX_NESTING:
        raise PlanError(f"A plan leaves {levels} blocks at once.")
    return levels


_Body = dict[str, Any]
_Read = Callable[[Reader, _Body, ir.Place | None, int], ir.Statement]

_STATEMENTS: dict[str, _Read] = {
    "ArrayAppendStmt": lambda r, s, at, _: ir.Append(r.local(s["array"]), r.operand(s["value"]), place=at),
    "AssignIntStmt": lambda r, s, at, _: ir.Literal(r.local(s["target"]), _whole(s["value"]), place=at),
    "AssignVarStmt": lambda r, s, at, _: ir.Assign(r.local(s["target"]), r.operand(s["source"]), once=False, place=at),
    "AssignVarOnceStmt": lambda r, s, at, _: ir.Assign(
        r.local(s["target"]), r.operand(s["source"]), once=True, place=at
    ),
    "BlockStmt": lambda r, s, at, depth: ir.Blocks(r.blocks(s["blocks"] or [], depth), place=at),
    "BreakStmt": lambda _r, s, at, _: ir.Break(_levels(s["index"]), place=at),
    "CallStmt": lambda r, s, at, _: ir.Call(r.name(s["func"]), r.operands(s["args"]), r.local(s["result"]), place=at),
    "CallDynamicStmt": lambda r, s, at, _: ir.CallDynamic(
        r.operands(s["path"]), r.operands(s["args"]), r.local(s["result"]), place=at
    ),
    "DotStmt": lambda r, s, at, _: ir.Dot(r.operand(s["source"]), r.operand(s["key"]), r.local(s["target"]), place=at),
    "EqualStmt": lambda r, s, at, _: ir.Compare(r.operand(s["a"]), r.operand(s["b"]), same=True, place=at),
    "NotEqualStmt": lambda r, s, at, _: ir.Compare(r.operand(s["a"]), r.operand(s["b"]), same=False, place=at),
    "IsArrayStmt": lambda r, s, at, _: ir.Is(r.operand(s["source"]), "array", place=at),
    "IsObjectStmt": lambda r, s, at, _: ir.Is(r.operand(s["source"]), "object", place=at),
    "IsSetStmt": lambda r, s, at, _: ir.Is(r.operand(s["source"]), "set", place=at),
    "IsDefinedStmt": lambda r, s, at, _: ir.Defined(r.local(s["source"]), wanted=True, place=at),
    "IsUndefinedStmt": lambda r, s, at, _: ir.Defined(r.local(s["source"]), wanted=False, place=at),
    "LenStmt": lambda r, s, at, _: ir.Length(r.operand(s["source"]), r.local(s["target"]), place=at),
    "MakeArrayStmt": lambda r, s, at, _: ir.Make(r.local(s["target"]), "array", place=at),
    "MakeObjectStmt": lambda r, s, at, _: ir.Make(r.local(s["target"]), "object", place=at),
    "MakeSetStmt": lambda r, s, at, _: ir.Make(r.local(s["target"]), "set", place=at),
    "MakeNullStmt": lambda r, s, at, _: ir.Literal(r.local(s["target"]), None, place=at),
    "MakeNumberIntStmt": lambda r, s, at, _: ir.Literal(r.local(s["target"]), _whole(s["value"]), place=at),
    "MakeNumberRefStmt": lambda r, s, at, _: ir.Literal(
        r.local(s["target"]), r.number(s["index"] if "index" in s else s["Index"]), place=at
    ),
    "NopStmt": lambda _r, _s, at, _: ir.Nop(place=at),
    "NotStmt": lambda r, s, at, depth: ir.Not(r.block(s["block"], depth), place=at),
    "ObjectInsertStmt": lambda r, s, at, _: ir.Insert(
        r.local(s["object"]), r.operand(s["key"]), r.operand(s["value"]), once=False, place=at
    ),
    "ObjectInsertOnceStmt": lambda r, s, at, _: ir.Insert(
        r.local(s["object"]), r.operand(s["key"]), r.operand(s["value"]), once=True, place=at
    ),
    "ObjectMergeStmt": lambda r, s, at, _: ir.Merge(r.local(s["a"]), r.local(s["b"]), r.local(s["target"]), place=at),
    "ResetLocalStmt": lambda r, s, at, _: ir.Reset(r.local(s["target"]), place=at),
    "ResultSetAddStmt": lambda r, s, at, _: ir.Result(r.local(s["value"]), place=at),
    "ReturnLocalStmt": lambda r, s, at, _: ir.Return(r.local(s["source"]), place=at),
    "ScanStmt": lambda r, s, at, depth: ir.Scan(
        r.operand(s["source"]), r.local(s["key"]), r.local(s["value"]), r.block(s["block"], depth), place=at
    ),
    "SetAddStmt": lambda r, s, at, _: ir.Add(r.local(s["set"]), r.operand(s["value"]), place=at),
    "WithStmt": lambda r, s, at, depth: ir.With(
        r.local(s["local"]),
        tuple([r.string(one) for one in listed(s["path"] or [])]),
        r.operand(s["value"]),
        r.block(s["block"], depth),
        place=at,
    ),
}

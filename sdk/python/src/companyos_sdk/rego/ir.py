"""The statements of OPA's intermediate representation, decoded and checked.

What each one means is OPA's (openpolicyagent.org/docs/ir): statements of a block run in order; the first one that is
undefined ends its block, and whatever contains the block goes on behind it. A local is a number; 0 is the input and 1
the data.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from companyos_sdk.rego.values import Value

INPUT, DATA = 0, 1
"""The locals that every plan and function begins with."""


class Place(Struct, frozen=True, gc=False):
    """Where in the source a statement comes from; rows and columns count from one."""

    file: str
    row: int
    col: int


class Local(Struct, frozen=True, gc=False):
    """An operand that is read from a local."""

    index: int


class Constant(Struct, frozen=True, gc=False):
    """An operand that is a string or a boolean."""

    value: str | bool


Operand: TypeAlias = Local | Constant


class Block(Struct, frozen=True, gc=False):
    """Statements that run until one is undefined."""

    statements: tuple[Statement, ...]


class Base(Struct, frozen=True, kw_only=True, gc=False):
    """What every statement has."""

    place: Place | None = None


class Append(Base, frozen=True, gc=False):
    """Put a value at the end of an array."""

    array: int
    value: Operand


class Assign(Base, frozen=True, gc=False):
    """Copy a value; ``once``: it is a conflict when another value is there."""

    target: int
    source: Operand
    once: bool


class Literal(Base, frozen=True, gc=False):
    """Put a number or null into a local."""

    target: int
    value: Value


class Make(Base, frozen=True, gc=False):
    """Put a new, empty array, object or set into a local."""

    target: int
    kind: str


class Blocks(Base, frozen=True, gc=False):
    """Run each block; none of them being undefined matters."""

    blocks: tuple[Block, ...]


class Break(Base, frozen=True, gc=False):
    """Leave this block (0) or as many more around it."""

    levels: int


class Call(Base, frozen=True, gc=False):
    """Call a function or a built-in; undefined when it says nothing."""

    function: str
    arguments: tuple[Operand, ...]
    target: int


class CallDynamic(Base, frozen=True, gc=False):
    """Call the rule that a path names; what is left of the path is looked up in its value."""

    path: tuple[Operand, ...]
    arguments: tuple[Operand, ...]
    target: int


class Dot(Base, frozen=True, gc=False):
    """Look a key up; undefined when it is not there."""

    source: Operand
    key: Operand
    target: int


class Compare(Base, frozen=True, gc=False):
    """Go on when two values are equal, or when they are not."""

    left: Operand
    right: Operand
    same: bool


class Is(Base, frozen=True, gc=False):
    """Go on when a value is an array, an object or a set."""

    source: Operand
    kind: str


class Defined(Base, frozen=True, gc=False):
    """Go on when a local holds a value, or when it holds none."""

    source: int
    wanted: bool


class Length(Base, frozen=True, gc=False):
    """Put the number of elements into a local."""

    source: Operand
    target: int


class Not(Base, frozen=True, gc=False):
    """Go on when the block is undefined."""

    block: Block


class Insert(Base, frozen=True, gc=False):
    """Put a value into an object; ``once``: it is a conflict when another value is there."""

    object: int
    key: Operand
    value: Operand
    once: bool


class Merge(Base, frozen=True, gc=False):
    """Put an object into a local that has the entries of both; those of ``first`` win where values are no objects."""

    first: int
    second: int
    target: int


class Reset(Base, frozen=True, gc=False):
    """Make a local undefined."""

    target: int


class Result(Base, frozen=True, gc=False):
    """Add an object to the results of a plan; its entry ``result`` is the answer."""

    source: int


class Return(Base, frozen=True, gc=False):
    """Leave the function with a value."""

    source: int


class Scan(Base, frozen=True, gc=False):
    """Run a block for each entry of a collection; undefined when it is none."""

    source: Operand
    key: int
    value: int
    block: Block


class Add(Base, frozen=True, gc=False):
    """Put a value into a set."""

    set: int
    value: Operand


class With(Base, frozen=True, gc=False):
    """Run a block while a local, or a path in it, holds another value."""

    target: int
    path: tuple[str, ...]
    value: Operand
    block: Block


class Nop(Base, frozen=True, gc=False):
    """Do nothing."""


Statement: TypeAlias = (
    Append
    | Assign
    | Literal
    | Make
    | Blocks
    | Break
    | Call
    | CallDynamic
    | Dot
    | Compare
    | Is
    | Defined
    | Length
    | Not
    | Insert
    | Merge
    | Reset
    | Result
    | Return
    | Scan
    | Add
    | With
    | Nop
)


class Function(Struct, frozen=True, gc=False):
    """A rule, or a function of the policy: the first two parameters are the input and the data."""

    name: str
    path: tuple[str, ...]
    """Where it is in the document ``data``, behind the name of its variant (``g0``)."""
    parameters: tuple[int, ...]
    result: int
    blocks: tuple[Block, ...]

    @property
    def is_rule(self) -> bool:
        """Whether it takes no arguments of its own, so that one evaluation computes it once."""
        return len(self.parameters) == len((INPUT, DATA))

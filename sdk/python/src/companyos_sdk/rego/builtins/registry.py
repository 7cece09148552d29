"""The table of built-in functions, and how a function gets into it.

A built-in takes values of Rego, never ``UNDEFINED``, and gives one back, or ``UNDEFINED``. It changes no argument; it
may return a part of one. What its arguments do not allow is ``BuiltinError``: the call is then undefined, as OPA
defines it, and in strict mode the error is the result. Work and memory beyond `limits` are ``LimitExceeded``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Builtin(NamedTuple):
    """One function of the language."""

    name: str
    """As a policy calls it, or as the compiler names an operator (`plus`, `or`, `internal.member_2`)."""
    function: Callable[..., Any]
    arity: int


TABLE: dict[str, Builtin] = {}
"""Every function that a policy may call, by name."""


def builtin(name: str) -> Callable[[Function], Function]:
    """Enter the decorated function, whose parameters are all positional, under this name."""

    def enter(function: Function) -> Function:
        if name in TABLE:
            raise ValueError(f"{name} is in the table already.")
        TABLE[name] = Builtin(name, function, function.__code__.co_argcount)
        return function

    return enter

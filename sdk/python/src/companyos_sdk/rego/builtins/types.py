"""Questions about the type of a value, and casts."""

from __future__ import annotations

from typing import Any

from companyos_sdk.rego.builtins.arguments import listed, refuse
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.values import Set
from companyos_sdk.rego.values import type_name as name_of

Value = Any


@builtin("type_name")
def type_name(value: Value) -> str:
    """One of null, boolean, number, string, array, object, set."""
    return name_of(value)


@builtin("is_array")
def is_array(value: Value) -> bool:
    """Whether the value is an array."""
    return type(value) is list


@builtin("is_boolean")
def is_boolean(value: Value) -> bool:
    """Whether the value is true or false."""
    return type(value) is bool


@builtin("is_null")
def is_null(value: Value) -> bool:
    """Whether the value is null."""
    return value is None


@builtin("is_number")
def is_number(value: Value) -> bool:
    """Whether the value is a number."""
    return type(value) is int or type(value) is float


@builtin("is_object")
def is_object(value: Value) -> bool:
    """Whether the value is an object."""
    return type(value) is dict


@builtin("is_set")
def is_set(value: Value) -> bool:
    """Whether the value is a set."""
    return type(value) is Set


@builtin("is_string")
def is_string(value: Value) -> bool:
    """Whether the value is a string."""
    return type(value) is str


@builtin("cast_array")
def cast_array(value: Value) -> list[Value]:
    """An array of the elements of an array or a set."""
    return listed("cast_array", 1, value)


@builtin("cast_set")
def cast_set(value: Value) -> Set:
    """A set of the elements of an array or a set."""
    return value if type(value) is Set else Set(listed("cast_set", 1, value))


@builtin("cast_string")
def cast_string(value: Value) -> str:
    """The value, which must be a string."""
    return value if type(value) is str else refuse("cast_string", 1, value, "a string")


@builtin("cast_boolean")
def cast_boolean(value: Value) -> bool:
    """The value, which must be true or false."""
    return value if type(value) is bool else refuse("cast_boolean", 1, value, "a boolean")


@builtin("cast_null")
def cast_null(value: Value) -> None:
    """The value, which must be null."""
    return value if value is None else refuse("cast_null", 1, value, "null")


@builtin("cast_object")
def cast_object(value: Value) -> dict[Any, Value]:
    """The value, which must be an object."""
    return value if type(value) is dict else refuse("cast_object", 1, value, "an object")

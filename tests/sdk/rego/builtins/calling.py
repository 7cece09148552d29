"""Calling built-in functions by name, and saying what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pytest

from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.errors import BuiltinError, EvaluationError
from companyos_sdk.rego.values import UNDEFINED, equal

REFUSED: Final = object()
"""What a call gives that is undefined because its arguments do not allow it."""
DENIED: Final = object()
"""What a call gives that ends the decision, because OPA has a value for it that cannot be had here."""

Case = tuple[Any, ...]
"""The name of a function, its arguments, and what it gives."""


def call(name: str, *arguments: Any) -> Any:
    """What the function gives."""
    return TABLE[name].function(*arguments)


def check(case: Case) -> None:
    """The function gives what the case says, in type as well: true is not 1."""
    name, *arguments, want = case
    if want is REFUSED:
        with pytest.raises(BuiltinError):
            call(name, *arguments)
        return
    if want is DENIED:
        with pytest.raises(EvaluationError) as caught:
            call(name, *arguments)
        assert not isinstance(caught.value, BuiltinError)
        return
    found = call(name, *arguments)
    if want is UNDEFINED or found is UNDEFINED:
        assert found is want
    else:
        assert equal(found, want), f"{name}{tuple(arguments)} is {found!r}"


def named(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """The cases as parameters of a test, each named after its place and its function."""
    return pytest.mark.parametrize("case", cases, ids=[f"{place}-{case[0]}" for place, case in enumerate(cases)])

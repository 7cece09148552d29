from __future__ import annotations

import itertools
import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest

from companyos.core.structs import settle

_NUMBERS = itertools.count()
_SOURCE = """
from __future__ import annotations

import msgspec


class Inner(msgspec.Struct):
    number: int


class Outer(msgspec.Struct):
    inner: Inner


class Wide(msgspec.Struct):
    inner: Inner


class Broken(msgspec.Struct):
    inner: Missing
"""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module with types that nobody has used yet, whatever ran before in this process."""
    module = ModuleType(f"fresh_types_{next(_NUMBERS)}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(_SOURCE, module.__name__, "exec"), vars(module))
    return module


def test_settled_types_are_learnt_already(fresh: Any) -> None:
    """After it no annotation is evaluated any more, so no thread can meet a type that is half learnt."""
    assert settle(fresh.Outer) == 1
    del fresh.Inner
    assert msgspec.convert({"inner": {"number": 1}}, fresh.Outer).inner.number == 1
    with pytest.raises(NameError):
        msgspec.convert({"inner": {"number": 1}}, fresh.Wide)


def test_without_types_all_are_learnt(fresh: Any) -> None:
    """Every Struct that is defined is learnt, and one that cannot be is no fault."""
    assert settle() > 1
    assert settle(fresh.Broken) == 0
    del fresh.Inner
    assert msgspec.convert({"inner": {"number": 1}}, fresh.Wide).inner.number == 1

from __future__ import annotations

import sys

import msgspec
import pytest

from companyos.core.structs import settle


class Inner(msgspec.Struct):
    """A type that others hold."""

    number: int


class Outer(msgspec.Struct):
    """A type whose annotation is evaluated when it is first used."""

    inner: Inner


class Wide(msgspec.Struct):
    """Another one."""

    inner: Inner


class Broken(msgspec.Struct):
    """A type that cannot be learnt."""

    inner: Missing  # type: ignore[name-defined]  # noqa: F821 - that is the point


def test_settled_types_are_learnt_already(monkeypatch: pytest.MonkeyPatch) -> None:
    """After it no annotation is evaluated any more, so no thread can meet a type that is half learnt."""
    assert settle(Outer) == 1
    monkeypatch.delattr(sys.modules[__name__], "Inner")
    assert msgspec.convert({"inner": {"number": 1}}, Outer).inner.number == 1
    with pytest.raises(NameError):
        msgspec.convert({"inner": {"number": 1}}, Wide)


def test_without_types_all_are_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Struct that is defined is learnt, and one that cannot be is no fault."""
    assert settle() > 1
    assert settle(Broken) == 0
    monkeypatch.delattr(sys.modules[__name__], "Inner")
    assert msgspec.convert({"inner": {"number": 1}}, Wide).inner.number == 1

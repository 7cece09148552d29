from __future__ import annotations

import copy
import dataclasses
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.policy.masking import MAX_DEPTH, CannotMask, masked, parsed

NAMES = ("a", "b", "iban")


class Account(msgspec.Struct, frozen=True, rename="camel"):
    """A struct whose names on the wire are others."""

    iban_number: str
    owner: str = "x"


@dataclasses.dataclass(frozen=True)
class Person:
    """A dataclass."""

    ssn: str
    name: str = "n"


class Pair(NamedTuple):
    """A named tuple."""

    iban: str
    other: int


class Custom:
    """An object of a class that nothing is known about."""

    def __init__(self) -> None:
        self.iban = "DE1"


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("iban", ("iban",)),
        ("a.b", ("a", "b")),
        ("items[].iban", ("items", None, "iban")),
        ("m[][].x", ("m", None, None, "x")),
        ("tags[]", ("tags", None)),
        ("[].iban", (None, "iban")),
    ],
)
def test_paths_are_names_and_elements(path: str, parts: tuple[str | None, ...]) -> None:
    """Dots go into objects, brackets into lists."""
    assert parsed(path) == parts


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a[0]", "a[", "a]", "[]", "[]a", "[]x.y", "a[]b", "x" * 257]
)
def test_other_texts_are_no_paths(path: str) -> None:
    """A misspelt path would mask nothing, so it is an error."""
    with pytest.raises(ValueError, match="path"):
        parsed(path)


@pytest.mark.parametrize(
    ("value", "field", "expected"),
    [
        ({"iban": "DE1", "n": 1}, "iban", {"iban": "***", "n": 1}),
        ({"a": {"b": "s", "c": 1}}, "a.b", {"a": {"b": "***", "c": 1}}),
        ({"items": [{"iban": "1"}, {"iban": "2"}]}, "items[].iban", {"items": [{"iban": "***"}, {"iban": "***"}]}),
        ({"items": [{"iban": "1"}]}, "items.iban", {"items": [{"iban": "***"}]}),
        ([{"iban": "1"}, {}], "iban", [{"iban": "***"}, {}]),
        (({"iban": "1"},), "iban", ({"iban": "***"},)),
        ({"tags": ["a", "b"]}, "tags[]", {"tags": ["***", "***"]}),
        ({"iban": {"deep": [1]}}, "iban", {"iban": "***"}),
        ({"iban": None}, "iban", {"iban": "***"}),
        ({"a": None}, "a.b", {"a": None}),
        ({"x": 1}, "a.b", {"x": 1}),
        ({}, "items[].iban", {}),
        (None, "iban", None),
        ({"a": Account("DE1")}, "a.ibanNumber", {"a": Account("***")}),
        ({"a": Account("DE1")}, "a.iban_number", {"a": Account("***")}),
        (Person("123"), "ssn", Person("***")),
        (Pair("DE1", 2), "iban", Pair("***", 2)),
    ],
)
def test_fields_are_replaced_wherever_they_are(value: Any, field: str, expected: Any) -> None:
    """Nested, in lists, in objects of a class; what is not there is no matter."""
    before = copy.deepcopy(value)
    assert masked(value, [field]) == expected
    assert value == before


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("a text", "iban"),
        (True, "iban"),
        (b"{}", "iban"),
        ({"a": "iban=DE1"}, "a.iban"),
        ({"a": 5}, "a.iban"),
        ({"items": {"0": {"iban": "1"}}}, "items[].iban"),
        ({"items": "x"}, "items[].iban"),
        ({"items": ["x"]}, "items[].iban"),
        ({"items": {1, 2}}, "items[].iban"),
        (Custom(), "iban"),
        ({"a": iter([1])}, "a.iban"),
        ({"m": {1: "DE1"}}, "m.1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_shape_that_cannot_be_masked_is_not_handed_out(value: Any, field: str) -> None:
    """A secret may hide in what is not looked into."""
    with pytest.raises(CannotMask, match=r"[ia1]"):
        masked(value, [field])


def test_masking_goes_down_only_so_far() -> None:
    """Lists in lists end somewhere."""
    value: Any = {"iban": "1"}
    for _ in range(MAX_DEPTH + 2):
        value = [value]
    with pytest.raises(CannotMask, match="deeper"):
        masked(value, ["iban"])


documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=20,
)
paths = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", "[]", "[][]"])), min_size=1, max_size=4).map(
    lambda parts: ".".join(name + each for name, each in parts)
)
MARK = "█"


def selected(value: Any, path: tuple[str | None, ...]) -> list[tuple[Any, ...]]:
    """The places that a path leads to, found in another way than masking does: as lists of keys and indexes."""
    if not path:
        return [()]
    if isinstance(value, list):
        below = path[1:] if path[0] is None else path
        return [(place, *rest) for place, item in enumerate(value) for rest in selected(item, below)]
    if isinstance(value, dict) and path[0] in value:
        return [(path[0], *rest) for rest in selected(value[path[0]], path[1:])]
    return []


def at(value: Any, place: tuple[Any, ...]) -> Any:
    """What is at a place."""
    for key in place:
        value = value[key]
    return value


@given(documents, st.lists(paths, min_size=1, max_size=3))
def test_every_selected_place_is_masked_and_no_other(document: Any, fields: list[str]) -> None:
    """Masking is complete, changes nothing else, and leaves the original alone."""
    before = copy.deepcopy(document)
    try:
        result = masked(document, fields, MARK)
    except CannotMask:
        assert document == before
        return
    assert document == before
    again = copy.deepcopy(document)
    for field in fields:
        for place in selected(again, parsed(field)):
            assert place, "the root is never a field"
            at(again, place[:-1])[place[-1]] = MARK
    assert result == again

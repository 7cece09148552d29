"""Arrays, objects, sets and types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import Set, key
from tests.sdk.rego.builtins.calling import REFUSED, Case, call, check, named

NUMBERED = {key(1): "a", key(True): "b", "1": "c"}
"""An object whose keys are 1, true and "1"."""

CASES: list[Case] = [
    ("array.concat", [1], [2, 1], [1, 2, 1]),
    ("array.concat", [1], Set([2]), REFUSED),
    ("array.slice", [1, 2, 3, 4], 1, 3, [2, 3]),
    ("array.slice", [1, 2, 3], -5, 99, [1, 2, 3]),
    ("array.slice", [1, 2, 3], 2, 1, []),
    ("array.slice", [1, 2, 3], 0, -1, []),
    ("array.slice", [1, 2, 3], 0.0, 1, REFUSED),
    ("array.slice", "abc", 0, 1, REFUSED),
    ("array.reverse", [1, 2, 3], [3, 2, 1]),
    ("array.reverse", "abc", REFUSED),
    ("array.flatten", [1, [2, [3, []]], Set([4])], [1, 2, [3, []], Set([4])]),
    ("array.flatten", {"a": []}, REFUSED),
    ("intersection", Set([Set([1, 2]), Set([2, 3])]), Set([2])),
    ("intersection", Set(), Set()),
    ("intersection", Set([1]), REFUSED),
    ("union", Set([Set([1, 2]), Set([2, 3])]), Set([1, 2, 3])),
    ("union", Set(), Set()),
    ("union", [Set([1])], REFUSED),
    ("set_diff", Set([1, 2]), Set([2]), Set([1])),
    ("object.get", {"a": 1}, "a", 9, 1),
    ("object.get", {"a": 1}, "b", 9, 9),
    ("object.get", {"a": None}, "a", 9, None),
    ("object.get", {"a": False}, "a", 9, False),
    ("object.get", {"a": {"b": [7, 8]}}, ["a", "b", 1], 9, 8),
    ("object.get", {"a": {"b": [7, 8]}}, ["a", "b", 2], 9, 9),
    ("object.get", {"a": {"b": [7, 8]}}, ["a", "b", "1"], 9, 9),
    ("object.get", {"a": {"b": [7, 8]}}, ["a", "b", True], 9, 9),
    ("object.get", {"a": Set(["x"])}, ["a", "x"], 9, "x"),
    ("object.get", {"a": "xyz"}, ["a", 0], 9, 9),
    ("object.get", {"a": 1}, [], 9, {"a": 1}),
    ("object.get", NUMBERED, 1, 9, "a"),
    ("object.get", NUMBERED, True, 9, "b"),
    ("object.get", NUMBERED, "1", 9, "c"),
    ("object.get", NUMBERED, False, 9, 9),
    ("object.get", [1], 0, 9, REFUSED),
    ("object.keys", NUMBERED, Set([1, True, "1"])),
    ("object.keys", {}, Set()),
    ("object.keys", [], REFUSED),
    ("object.remove", {"a": 1, "b": 2}, ["a"], {"b": 2}),
    ("object.remove", {"a": 1, "b": 2}, {"a": 5}, {"b": 2}),
    ("object.remove", NUMBERED, Set([1]), {key(True): "b", "1": "c"}),
    ("object.remove", {"a": 1}, "a", REFUSED),
    ("object.filter", NUMBERED, [True, "x"], {key(True): "b"}),
    ("object.filter", {"a": {"b": 1}}, Set(["a"]), {"a": {"b": 1}}),
    ("object.filter", {"a": 1}, None, REFUSED),
    ("object.union", {"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
    ("object.union", {"a": {"b": 1}}, {"a": 4}, {"a": 4}),
    ("object.union", {"a": [1]}, {"a": [2]}, {"a": [2]}),
    ("object.union", {}, [], REFUSED),
    ("object.union_n", [{"a": {"b": 2}}, {"a": 4}, {"a": {"c": 3}}], {"a": {"c": 3}}),
    ("object.union_n", [], {}),
    ("object.union_n", [{}, 1], REFUSED),
    ("object.subset", {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}, True),
    ("object.subset", {"a": 1}, {"a": True}, False),
    ("object.subset", {"a": Set([1, 2])}, {"a": Set([1])}, True),
    ("object.subset", {"a": [1, 2, 3]}, {"a": [2, 3]}, True),
    ("object.subset", {"a": [1, 2, 3]}, {"a": [1, 3]}, False),
    ("object.subset", Set([1, 2]), Set([2]), True),
    ("object.subset", [1, 1, 2], [1, 2], True),
    ("object.subset", [1, 2], [], True),
    ("object.subset", [3, 1, 2], Set([1, 3]), True),
    ("object.subset", [3], Set([1, 3]), False),
    ("object.subset", Set([1]), [1], REFUSED),
    ("object.subset", "ab", "a", REFUSED),
    ("type_name", None, "null"),
    ("type_name", True, "boolean"),
    ("type_name", 1.5, "number"),
    ("type_name", Set(), "set"),
    ("is_number", True, False),
    ("is_number", 1, True),
    ("is_boolean", 1, False),
    ("is_boolean", False, True),
    ("is_null", False, False),
    ("is_null", None, True),
    ("is_string", "", True),
    ("is_array", Set(), False),
    ("is_array", [], True),
    ("is_object", {}, True),
    ("is_set", Set(), True),
    ("is_set", [], False),
    ("cast_array", Set([2, 1]), [1, 2]),
    ("cast_array", {}, REFUSED),
    ("cast_set", [1, 1.0, True], Set([1, True])),
    ("cast_string", 1, REFUSED),
    ("cast_string", "a", "a"),
    ("cast_boolean", 0, REFUSED),
    ("cast_boolean", False, False),
    ("cast_null", 0, REFUSED),
    ("cast_null", None, None),
    ("cast_object", [], REFUSED),
    ("cast_object", {}, {}),
]


@named(CASES)
def test_collections_are_what_opa_makes_of_them(case: Case) -> None:
    """Collections are what opa makes of them."""
    check(case)


@given(st.lists(st.integers(0, 1), max_size=9), st.lists(st.integers(0, 1), max_size=3))
def test_an_array_is_part_of_another_where_its_elements_stand_in_a_row(whole: list[int], part: list[int]) -> None:
    """An array is part of another where its elements stand in a row."""
    expected = any(whole[place : place + len(part)] == part for place in range(len(whole) + 1))
    assert call("object.subset", whole, part) == expected


@given(st.recursive(st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6))
def test_an_object_united_with_itself_stays_and_holds_itself(value: Any) -> None:
    """An object united with itself stays and holds itself."""
    held = {"x": value}
    assert call("object.union", held, held) == held
    assert call("object.union_n", [held, {}, held]) == held
    assert call("object.subset", held, held) is True
    assert call("object.subset", held, {}) is True


def test_arrays_do_not_grow_without_end() -> None:
    """Arrays do not grow without end."""
    half = [0] * 60_000
    with pytest.raises(LimitExceeded):
        call("array.concat", half, half)
    with pytest.raises(LimitExceeded):
        call("array.flatten", [half, half])


def test_a_function_changes_none_of_its_arguments() -> None:
    """A function changes none of its arguments."""
    left, right = {"a": {"b": 1}}, {"a": {"c": 2}}
    call("object.union", left, right)
    call("object.union_n", [left, right])
    assert (left, right) == ({"a": {"b": 1}}, {"a": {"c": 2}})
    sets = Set([Set([1]), Set([2])])
    call("union", sets)
    call("intersection", sets)
    assert sets == Set([Set([1]), Set([2])])

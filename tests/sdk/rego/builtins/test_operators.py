from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.values import Set, compare, equal, key
from tests.sdk.rego.builtins.calling import REFUSED, Case, call, check, named

numbers = st.integers(-3, 3) | st.sampled_from([0.5, 1.0, -2.0])
scalars = st.none() | st.booleans() | numbers | st.text("ab1", max_size=2)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab", max_size=1), inner, max_size=3)
        | st.lists(inner, max_size=3).map(Set)
    ),
    max_leaves=6,
)

CASES: list[Case] = [
    ("equal", 1, 1.0, True),
    ("equal", True, 1, False),
    ("neq", "a", "a", False),
    ("neq", None, False, True),
    ("lt", 1, 2.5, True),
    ("lt", True, 0, True),
    ("lt", "b", "a", False),
    ("lte", "a", "a", True),
    ("lte", [1, 2], [1], False),
    ("gt", {"a": 1}, [5], True),
    ("gte", Set(), {}, True),
    ("gte", None, False, False),
    ("internal.member_2", 1, [True, 1], True),
    ("internal.member_2", 1, [True], False),
    ("internal.member_2", True, [1, 1.0], False),
    ("internal.member_2", "a", {"x": "a"}, True),
    ("internal.member_2", "x", {"x": "a"}, False),
    ("internal.member_2", [1], Set([[1.0]]), True),
    ("internal.member_2", "a", "abc", False),
    ("internal.member_2", None, [None], True),
    ("internal.member_2", "a", [["a"], {"a": 1}, Set(["a"])], False),
    ("internal.member_3", "x", "a", {"x": "a"}, True),
    ("internal.member_3", 1, "b", ["a", "b"], True),
    ("internal.member_3", 1.0, "b", ["a", "b"], False),
    ("internal.member_3", True, "b", ["a", "b"], False),
    ("internal.member_3", -1, "b", ["a", "b"], False),
    ("internal.member_3", 2, "b", ["a", "b"], False),
    ("internal.member_3", "a", "a", Set(["a"]), True),
    ("internal.member_3", "a", "b", Set(["a", "b"]), False),
    ("internal.member_3", 0, 0, 0, False),
    ("and", Set([1, 2, True]), Set([2, 1.0, "x"]), Set([1, 2])),
    ("and", Set([1]), [1], REFUSED),
    ("or", Set([1, 2]), Set([2, True]), Set([1, 2, True])),
    ("or", {}, Set(), REFUSED),
]


@named(CASES)
def test_operators_give_what_opa_gives(case: Case) -> None:
    """Operators give what opa gives."""
    check(case)


@given(values, values)
def test_the_comparisons_are_one_order(one: Any, two: Any) -> None:
    """The comparisons are one order."""
    order = compare(one, two)
    assert call("equal", one, two) == (order == 0) == (not call("neq", one, two))
    assert call("lt", one, two) == (order < 0) == (not call("gte", one, two))
    assert call("gt", one, two) == (order > 0) == (not call("lte", one, two))


@given(values, st.lists(values, max_size=4))
def test_in_means_equal_to_an_element(value: Any, items: list[Any]) -> None:
    """In means equal to an element."""
    expected = any(equal(value, item) for item in items)
    assert call("internal.member_2", value, items) == expected
    assert call("internal.member_2", value, Set(items)) == expected
    assert call("internal.member_2", value, {str(place): item for place, item in enumerate(items)}) == expected


@given(st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_sets_obey_the_laws_of_sets(one: list[Any], two: list[Any]) -> None:
    """Sets obey the laws of sets."""
    left, right = Set(one), Set(two)
    keys = {key(value) for value in one}, {key(value) for value in two}
    assert set(call("and", left, right).index) == keys[0] & keys[1]
    assert set(call("or", left, right).index) == keys[0] | keys[1]
    assert set(call("minus", left, right).index) == keys[0] - keys[1]

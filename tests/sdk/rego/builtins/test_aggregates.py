from __future__ import annotations

import itertools
import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.values import UNDEFINED, Set, compare
from tests.sdk.rego.builtins.calling import REFUSED, Case, call, check, named

CASES: list[Case] = [
    ("count", [1, 2], 2),
    ("count", {"a": 1}, 1),
    ("count", Set([1, 1.0, True]), 2),
    ("count", "aé💶", 3),
    ("count", 7, REFUSED),
    ("count", None, REFUSED),
    ("sum", [], 0),
    ("sum", [1, 2, 3], 6),
    ("sum", [0.1, 0.2, 0.3], 0.6),
    ("sum", Set([1, 2.5]), 3.5),
    ("sum", [2**63, 1], 2**63 + 1),
    ("sum", [1, "2"], REFUSED),
    ("sum", [1, True], REFUSED),
    ("sum", {"a": 1}, REFUSED),
    ("product", [], 1),
    ("product", [2, 3], 6),
    ("product", [2, 0.5], 1),
    ("product", Set([2.5, 0]), 0),
    ("product", ["a"], REFUSED),
    ("max", [1, 3, 2], 3),
    ("max", ["a", 5], "a"),
    ("max", Set(["a", "b"]), "b"),
    ("max", [], UNDEFINED),
    ("max", {"a": 1}, REFUSED),
    ("min", [3, 1.5, 2], 1.5),
    ("min", [True, None, "x"], None),
    ("min", Set(), UNDEFINED),
    ("min", "abc", REFUSED),
    ("sort", [3, "a", True, None, [1]], [None, True, 3, "a", [1]]),
    ("sort", Set(["b", "a"]), ["a", "b"]),
    ("sort", {"a": 1}, REFUSED),
    ("all", [True, True], True),
    ("all", [], True),
    ("all", [True, 1], False),
    ("all", Set([True]), True),
    ("all", Set(), True),
    ("all", Set([True, False]), False),
    ("all", Set([1]), False),
    ("any", [False, True], True),
    ("any", [], False),
    ("any", [1, "true"], False),
    ("any", Set([True, 3]), True),
    ("any", {"a": True}, REFUSED),
]


@named(CASES)
def test_collections_are_summed_up_as_opa_does(case: Case) -> None:
    """Collections are summed up as opa does."""
    check(case)


def test_a_sum_of_whole_numbers_does_not_depend_on_their_order() -> None:
    """A sum of whole numbers does not depend on their order."""
    values = [2**62, -(2**62), 2**62, 1]
    assert call("sum", values) == call("sum", values[::-1]) == 2**62 + 1


@given(st.lists(st.integers(-5, 5) | st.text("ab", max_size=2) | st.booleans() | st.none(), min_size=1, max_size=8))
def test_sort_puts_the_smallest_first_and_the_largest_last(values: list[Any]) -> None:
    """Sort puts the smallest first and the largest last."""
    found = call("sort", values)
    assert sorted(map(repr, found)) == sorted(map(repr, values))
    assert all(compare(one, two) <= 0 for one, two in itertools.pairwise(found))
    mixed = list(values)
    random.Random(1).shuffle(mixed)
    assert compare(call("min", mixed), found[0]) == compare(call("max", mixed), found[-1]) == 0

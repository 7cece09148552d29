"""Walking, graphs, paths in documents, schemas."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import UNDEFINED, Set, equal
from tests.sdk.rego.builtins.calling import REFUSED, Case, call, check, named

UNKNOWN_TYPE = (
    "jsonschema: has a primitive type that is NOT VALID -- given: /unknown_type/ "
    "Expected valid values are:[array boolean integer number null object string]"
)
GRAPH = {"a": ["b", "c"], "b": Set(["d"]), "c": ["a"], "d": [], "e": None}
FLAT = {"a": {"b": [1, 2, {"c": 3}], "x/y": 4}, "s": Set(["p", "q"])}


def one(kind: str, path: Any, **more: Any) -> list[dict[str, Any]]:
    """A patch of one operation."""
    return [{"op": kind, "path": path, **more}]


CASES: list[Case] = [
    ("walk", 1, [[[], 1]]),
    ("walk", {"a": [True]}, [[[], {"a": [True]}], [["a"], [True]], [["a", 0], True]]),
    ("walk", Set(["x"]), [[[], Set(["x"])], [["x"], "x"]]),
    ("graph.reachable", GRAPH, ["a"], Set(["a", "b", "c", "d"])),
    ("graph.reachable", GRAPH, Set(["b", "e", "nowhere"]), Set(["b", "d", "e"])),
    ("graph.reachable", {"a": ["gone"]}, ["a"], Set(["a"])),
    ("graph.reachable", GRAPH, "a", REFUSED),
    ("graph.reachable", [], ["a"], REFUSED),
    ("graph.reachable_paths", GRAPH, ["a"], Set([["a", "b", "d"], ["a", "c"]])),
    ("graph.reachable_paths", GRAPH, ["d", "e"], Set([["d"], ["e"]])),
    ("graph.reachable_paths", {"a": ["gone"]}, Set(["a"]), Set([["a"]])),
    ("graph.reachable_paths", GRAPH, ["nowhere"], Set()),
    ("graph.reachable_paths", GRAPH, None, REFUSED),
    ("json.filter", FLAT, ["a/b/2/c"], {"a": {"b": [{"c": 3}]}}),
    ("json.filter", FLAT, Set(["/a/x~1y", "s/p"]), {"a": {"x/y": 4}, "s": Set(["p"])}),
    ("json.filter", FLAT, [["a", "b"], "a/b/0"], {"a": {"b": [1, 2, {"c": 3}]}}),
    ("json.filter", FLAT, ["no/where"], {}),
    ("json.filter", FLAT, [], {}),
    ("json.filter", FLAT, [1], REFUSED),
    ("json.filter", FLAT, "a", REFUSED),
    ("json.filter", [1], ["0"], REFUSED),
    ("json.remove", FLAT, ["a/b/0", "s/q"], {"a": {"b": [2, {"c": 3}], "x/y": 4}, "s": Set(["p"])}),
    ("json.remove", FLAT, ["a/b/2/c", ["a", "x/y"], "s"], {"a": {"b": [1, 2, {}]}}),
    ("json.remove", FLAT, ["a/b/9", "z"], FLAT),
    ("json.remove", FLAT, [["a", "b", 0]], FLAT),
    ("json.patch", {"a": 1}, one("add", "b", value=2), {"a": 1, "b": 2}),
    ("json.patch", [1, 3], one("add", "/1", value=2), [1, 2, 3]),
    ("json.patch", [1], one("add", "/-", value=2), [1, 2]),
    ("json.patch", [1], one("add", "/2", value=2), UNDEFINED),
    ("json.patch", [1], one("add", "/01", value=2), UNDEFINED),
    ("json.patch", [1], one("add", ["0"], value=True), [True, 1]),
    ("json.patch", {"a": 1}, one("add", "x/y", value=2), UNDEFINED),
    ("json.patch", {"a": 1}, one("add", "", value=2), 2),
    ("json.patch", {"a": {"b": 1}}, one("remove", "/a/b"), {"a": {}}),
    ("json.patch", {"a": 1}, one("remove", "/b"), UNDEFINED),
    ("json.patch", {"a": [1, 2]}, one("replace", "/a/0", value=None), {"a": [None, 2]}),
    ("json.patch", {"a": 1}, one("replace", "/b", value=2), UNDEFINED),
    ("json.patch", {"a": 1}, one("move", "/b", **{"from": "/a"}), {"b": 1}),
    ("json.patch", {"a": {"b": 1}}, one("move", "/a/b", **{"from": "/a"}), UNDEFINED),
    ("json.patch", {"a": [1]}, one("copy", "/b", **{"from": "/a"}), {"a": [1], "b": [1]}),
    ("json.patch", {"a": 1}, one("test", "/a", value=1.0), {"a": 1}),
    ("json.patch", {"a": 1}, one("test", "/a", value=True), UNDEFINED),
    ("json.patch", {"a": 1}, one("delete", "/a"), UNDEFINED),
    ("json.patch", {"a": 1}, [{"op": "add", "path": "/a"}], UNDEFINED),
    ("json.patch", {"a": 1}, one("add", 5, value=1), UNDEFINED),
    ("json.patch", {"a": 1}, ["add"], UNDEFINED),
    ("json.patch", {"a": 1}, {}, REFUSED),
    ("json.patch", {"s": Set(["a"])}, one("add", "s/b", value="b"), {"s": Set(["a", "b"])}),
    ("json.patch", {"s": Set(["a"])}, one("add", "s/b", value="c"), UNDEFINED),
    ("json.patch", Set([Set([1])]), one("add", [Set([1]), 2], value=2), Set([Set([1, 2])])),
    ("json.verify_schema", {"type": "object"}, [True, None]),
    ("json.verify_schema", '{"type": "object"}', [True, None]),
    (
        "json.verify_schema",
        {"type": "unknown_type"},
        [
            False,
            UNKNOWN_TYPE,
        ],
    ),
    ("json.match_schema", {"id": 5}, {"properties": {"id": {"type": "integer"}}, "required": ["id"]}, [True, []]),
    (
        "json.match_schema",
        '{"id": "foo"}',
        '{"properties": {"id": {"type": "integer"}}}',
        [
            False,
            [
                {
                    "error": "id: Invalid type. Expected: integer, given: string",
                    "type": "invalid_type",
                    "field": "id",
                    "desc": "Invalid type. Expected: integer, given: string",
                }
            ],
        ],
    ),
    (
        "json.match_schema",
        {},
        {"required": ["id"]},
        [
            False,
            [{"error": "(root): id is required", "type": "required", "field": "(root)", "desc": "id is required"}],
        ],
    ),
    ("json.match_schema", {}, {"type": "unknown"}, REFUSED),
    ("json.match_schema", {}, "{", REFUSED),
    ("json.match_schema", 5, {}, REFUSED),
    ("json.match_schema", {}, {"$ref": "http://127.0.0.1:9/schema"}, REFUSED),
    ("json.match_schema", {}, {"$ref": "file:///etc/hostname"}, REFUSED),
    ("json.match_schema", {}, {"$schema": "https://json-schema.org/draft/2020-12/schema"}, REFUSED),
]


@named(CASES)
def test_documents_are_what_opa_makes_of_them(case: Case) -> None:
    """Documents are what opa makes of them."""
    check(case)


documents = st.recursive(
    st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["a", "b"]), documents))
def test_every_path_of_a_walk_leads_to_its_value(document: dict[str, Any]) -> None:
    """Every path of a walk leads to its value."""
    for path, value in call("walk", document):
        assert equal(call("object.get", document, path, None), value)


@given(documents, st.lists(st.sampled_from(["a", "b", "0", "1", "-"]), max_size=3), documents)
def test_what_a_patch_adds_it_can_test_and_take_away_again(document: Any, path: list[str], value: Any) -> None:
    """What a patch adds it can test and take away again."""
    before = copy.deepcopy(document)
    added = call("json.patch", document, one("add", path, value=value))
    assert equal(document, before)
    if added is UNDEFINED or path[-1:] == ["-"]:
        return
    assert equal(call("json.patch", added, one("test", path, value=value)), added)
    if path and call("json.patch", document, one("remove", path)) is UNDEFINED:
        assert equal(call("json.patch", added, one("remove", path)), document)


@given(st.dictionaries(st.integers(0, 6), st.lists(st.integers(0, 6), max_size=3)), st.integers(0, 6))
def test_what_is_reachable_is_closed_and_holds_all_paths(graph: dict[int, list[int]], start: int) -> None:
    """What is reachable is closed and holds all paths."""
    reached = set(call("graph.reachable", graph, [start]))
    assert (start in reached) == (start in graph)
    assert all(other in reached for node in reached for other in graph[node] if other in graph)
    for path in call("graph.reachable_paths", graph, [start]):
        assert path[0] == start
        assert set(path) <= reached
        assert all(two in graph[one_] for one_, two in itertools.pairwise(path))


def test_walks_and_paths_that_explode_are_refused() -> None:
    """Walks and paths that explode are refused."""
    value: Any = "x"
    for _ in range(60):
        value = [value, value]
    with pytest.raises(LimitExceeded):
        call("walk", value)
    deep: Any = {}
    for _ in range(1000):
        deep = {"a": deep}
    with pytest.raises(LimitExceeded):
        call("json.filter", deep, [["a"] * 500])
    many = [{"op": "add", "path": "/-", "value": 0}] * 2_000
    with pytest.raises(LimitExceeded):
        call("json.patch", [0] * 1_000, many)

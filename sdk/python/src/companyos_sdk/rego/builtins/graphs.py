"""Walking through values and graphs. A graph is an object of arrays or sets of neighbours."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from companyos_sdk.rego.builtins.arguments import listed, mapping, too_many
from companyos_sdk.rego.builtins.registry import builtin
from companyos_sdk.rego.limits import MAX_ITEMS
from companyos_sdk.rego.values import UNDEFINED, Set, key, keys_in_order, unkey

Value = Any


@builtin("graph.reachable")
def reachable(graph: Value, initial: Value) -> Set:
    """The nodes of the graph that can be reached from the initial ones, with those."""
    edges = mapping("graph.reachable", 1, graph)
    waiting = list(listed("graph.reachable", 2, initial))
    reached = Set()
    while waiting:
        node = waiting.pop()
        made = key(node)
        if made in edges and made not in reached.index:
            reached.index[made] = node
            waiting.extend(_neighbours(edges[made]))
            if len(waiting) > MAX_ITEMS:
                raise too_many("graph.reachable")
    return reached


@builtin("graph.reachable_paths")
def reachable_paths(graph: Value, initial: Value) -> Set:
    """Paths from the initial nodes as far as they go, each an array of nodes.

    A path ends where there is nothing further, and, as in OPA, before a node that another path from the same neighbour
    of its initial node has gone on from.
    """
    edges = mapping("graph.reachable_paths", 1, graph)
    found = Set()
    for node in listed("graph.reachable_paths", 2, initial):
        made = key(node)
        if made in edges:
            first = _neighbours(edges[made])
            for neighbour in first:
                _follow(edges, [node], neighbour, found)
            if not first:
                found.add([node])
    return found


def _follow(edges: dict[Hashable, Value], path: list[Value], start: Value, found: Set) -> None:
    """Add the paths that go on from a path to its next node."""
    left = {key(path[0])}
    waiting = [(path, iter([start]))]
    cells = 0
    while waiting:
        path, following = waiting[-1]
        node = next(following, UNDEFINED)
        if node is UNDEFINED:
            waiting.pop()
            continue
        made = key(node)
        if len(waiting) > 1:
            if made in left:
                found.add(path)
                continue
            left.add(key(path[-1]))
        cells += len(path) + 1
        if cells > MAX_ITEMS * 10:
            raise too_many("graph.reachable_paths")
        ahead = _neighbours(edges[made]) if made in edges else None
        if ahead:
            waiting.append(([*path, node], iter(ahead)))
        else:
            found.add(path if ahead is None else [*path, node])


@builtin("walk")
def walk(value: Value) -> list[Value]:
    """All values inside of a value, with itself, each as an array of its path and itself; the outer ones first."""
    made: list[Value] = []
    cells = 0
    waiting: list[tuple[list[Value], Value]] = [([], value)]
    while waiting:
        path, item = waiting.pop()
        cells += len(path) + 1
        if len(made) >= MAX_ITEMS or cells > MAX_ITEMS * 10:
            raise too_many("walk")
        made.append([path, item])
        waiting += [([*path, step], inner) for step, inner in reversed(_inside(item))]
        if len(waiting) > MAX_ITEMS:
            raise too_many("walk")
    return made


def _inside(value: Value) -> list[tuple[Value, Value]]:
    """The parts of a value, each with the step of a path that leads there."""
    if type(value) is list:
        return list(enumerate(value))
    if type(value) is dict:
        return [(unkey(made), value[made]) for made in keys_in_order(value)]
    if type(value) is Set:
        return [(item, item) for item in value]
    return []


def _neighbours(value: Value) -> list[Value]:
    """The neighbours that a node names; something that is no array and no set names none."""
    return list(value) if type(value) in (list, Set) else []

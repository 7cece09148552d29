"""Which types of obligations a compiled policy can emit, as far as it writes them down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from companyos_sdk.rego import Plan, ir


class Emitted(msgspec.Struct, frozen=True, order=True):
    """An object of the policy that is an obligation: it has an ``id``, and its ``type`` or else its id is its type."""

    type: str
    file: str
    row: int


def emitted(plan: Plan) -> list[Emitted]:
    """The obligations whose type is written in the sources, sorted, each place once.

    An obligation whose type is put together at run time cannot be known before; whoever decides refuses an undeclared
    type then.
    """
    found: set[Emitted] = set()
    for function in plan.functions.values():
        objects: dict[int, dict[str, str]] = {}
        places: dict[int, ir.Place] = {}
        for insert in inserts(function.blocks):
            key, value = insert.key, insert.value
            if isinstance(key, ir.Constant) and key.value in {"id", "type"}:
                text = value.value if isinstance(value, ir.Constant) and isinstance(value.value, str) else ""
                objects.setdefault(insert.object, {})[str(key.value)] = text
                if insert.place is not None:
                    places.setdefault(insert.object, insert.place)
        for number, texts in objects.items():
            kind = texts.get("type", texts.get("id", "")) if "id" in texts else ""
            place = places.get(number)
            if kind:
                found.add(Emitted(kind, place.file if place else "", place.row if place else 0))
    return sorted(found)


def inserts(part: Any) -> Iterator[ir.Insert]:  # noqa: ANN401 - any part of a plan
    """Every statement below this part that puts something into an object."""
    waiting = [part]
    while waiting:
        one = waiting.pop()
        if isinstance(one, ir.Insert):
            yield one
        elif isinstance(one, (list, tuple)):
            waiting += one
        elif isinstance(one, msgspec.Struct) and not isinstance(one, ir.Place):
            waiting += [getattr(one, field) for field in one.__struct_fields__]

"""Letting msgspec learn the types of messages before threads ask for them.

msgspec 0.22 learns a Struct type when it is first decoded or converted, and keeps it on the class from the beginning,
half learnt. A second thread that asks in that moment finds fields without a type and the process dies of SIGSEGV. It
happens where a type holds other Structs, because their annotations are evaluated in Python, where threads may switch.
"""

from __future__ import annotations

from typing import Any

import msgspec


def settle(*types: Any) -> int:  # noqa: ANN401 - whatever msgspec takes as a type
    """Learn these types, or without any all Structs that are defined by now; return how many were learnt.

    Call it while one thread runs: before a pool is started, before a server takes requests. A type that cannot be
    learnt (its annotations name what was not imported) is left to whoever uses it.
    """
    count = 0
    for kind in types or _below(msgspec.Struct):
        try:
            msgspec.json.Decoder(kind)
        except (TypeError, NameError, AttributeError, ValueError):
            continue
        count += 1
    return count


def _below(parent: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    found: dict[type[msgspec.Struct], None] = {}
    waiting = [parent]
    while waiting:
        for child in waiting.pop().__subclasses__():
            if child not in found:
                found[child] = None
                waiting.append(child)
    return list(found)

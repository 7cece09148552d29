"""How two decisions about the same request differ, and how many differences of one kind there are. Pure.

Nobody signs off ten thousand records one by one. Differences are counted by *name*: the kind, the action, and what is
different (the reason that no longer denies, the obligation that is gone). Who signs off names it with how many there
may be, so that one that grows meanwhile blocks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from companyos_sdk.policy.decision import Obligation
from companyos_sdk.rego.values import equal

Kind: TypeAlias = Literal["deny_to_allow", "allow_to_deny", "obligation_lost", "obligation_gained"]

DANGEROUS: Final[frozenset[Kind]] = frozenset({"deny_to_allow", "obligation_lost"})
"""The kinds that open something; they block until somebody has signed them off."""

MAX_NAMES: Final = 200
"""How many names a report tells apart; what comes later is counted together, and cannot be signed off."""

OTHER: Final = "other"
_MAX_EXAMPLES: Final = 5
_MAX_PART: Final = 100


class Flip(msgspec.Struct, frozen=True, kw_only=True):
    """All differences of one name."""

    name: str
    """For example ``deny_to_allow:transfer:residency.eu``: kind, action, and what no longer denies or is owed."""
    kind: Kind
    count: int
    before: str
    """The reason that the first example was recorded with."""
    after: str
    """The reason that the candidate gives for it."""
    examples: tuple[str, ...]
    """Audit ids of up to five of them."""

    @property
    def dangerous(self) -> bool:
        """Whether it opens something, and needs a sign-off."""
        return self.kind in DANGEROUS

    @property
    def nameable(self) -> bool:
        """Whether it is one kind of difference; those beyond ``MAX_NAMES`` are counted together."""
        return not self.name.endswith(f":{OTHER}") or self.name.count(":") > 1


class Flips:
    """Counts differences by their names."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[str, _Count] = {}

    def add(self, kind: Kind, action: str, what: str, before: str, after: str, audit_id: str) -> None:
        """Count one more."""
        name = f"{kind}:{_part(action)}:{_part(what)}"
        found = self._found.get(name)
        if found is None:
            if len(self._found) >= MAX_NAMES:
                name = f"{kind}:{OTHER}"
            found = self._found.setdefault(name, _Count(kind, before, after))
        found.count += 1
        if len(found.examples) < _MAX_EXAMPLES:
            found.examples.append(audit_id)

    def all(self) -> tuple[Flip, ...]:
        """Return what was counted, the dangerous ones first, then the most frequent."""
        made = [
            Flip(
                name=name,
                kind=found.kind,
                count=found.count,
                before=found.before,
                after=found.after,
                examples=tuple(found.examples),
            )
            for name, found in self._found.items()
        ]
        return tuple(sorted(made, key=lambda flip: (not flip.dangerous, -flip.count, flip.name)))


class _Count:
    __slots__ = ("after", "before", "count", "examples", "kind")

    def __init__(self, kind: Kind, before: str, after: str) -> None:
        self.kind: Kind = kind
        self.before = before
        self.after = after
        self.count = 0
        self.examples: list[str] = []


def compare(
    was_allowed: bool,  # noqa: FBT001 - both decisions side by side
    was_owed: Sequence[Obligation],
    is_allowed: bool,  # noqa: FBT001 - as above
    is_owed: Sequence[Obligation],
) -> list[tuple[Kind, str]]:
    """Return each difference with what it is about: a reason's place is taken by ``""``, an obligation by its id.

    An obligation whose properties ask for less is lost; one that asks for more is gained. A decision that turned into
    a denial owes nothing that could be lost.
    """
    found: list[tuple[Kind, str]] = []
    if was_allowed is not is_allowed:
        found.append(("allow_to_deny" if was_allowed else "deny_to_allow", ""))
    if is_allowed or not was_allowed:
        lost = _less(was_owed, is_owed)
        found += [("obligation_lost", name) for name in lost]
        found += [("obligation_gained", name) for name in _less(is_owed, was_owed) if name not in lost]
    return found


def _less(asked: Iterable[Obligation], given: Sequence[Obligation]) -> list[str]:
    """Return the ids of obligations that are not fulfilled by what is given."""
    return list(dict.fromkeys(owed.id for owed in asked if not any(_covers(other, owed) for other in given)))


def _covers(given: Obligation, asked: Obligation) -> bool:
    """Tell whether fulfilling one fulfils the other: the same, with lists that may hold more."""
    if (given.id, given.type) != (asked.id, asked.type) or given.properties.keys() != asked.properties.keys():
        return False
    return all(_holds(given.properties[key], value) for key, value in asked.properties.items())


def _holds(given: object, asked: object) -> bool:
    if isinstance(given, list) and isinstance(asked, list):
        return all(any(equal(one, other) for other in given) for one in asked)
    return equal(given, asked)


def _part(text: str) -> str:
    """Return a text as part of a name: of bounded length, printable, and without the separator."""
    clean = "".join(letter if letter.isprintable() and letter not in ": ," else "_" for letter in text[:_MAX_PART])
    return clean or "-"

"""How a restated thing is written: its row and its ledger record, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.catalog import store
from companyos.catalog.model import Entity, Service
from companyos.core.errors import InvalidInput

if TYPE_CHECKING:
    from companyos.catalog.facts import Restated
    from companyos.core.access import Verdict
    from companyos.ledger import Change

VERBS: Final = {"created": "create", "updated": "update", "confirmed": "confirm"}
RESERVED: Final = frozenset({"import"})
TOLD: Final = frozenset({"owner", "domain", "tier", "lifecycle", "regions", "environments", "depends_on"})
"""The facts whose new values go into the ledger. Of the others only the name does: they can be long, or speak of
people, and what is in the ledger can never be taken out."""


def record(change: Change, verdict: Verdict, restated: Restated, *, source: str) -> None:
    """Write what a statement has changed; nothing happens when it has changed nothing."""
    if restated.outcome == "unchanged":
        return
    thing = restated.entity
    if restated.outcome == "created":
        _refuse_reserved(thing)
        store.insert_thing(change.connection, thing)
    else:
        store.update_thing(change.connection, thing)
    kind = type(thing).__name__.lower()
    values: dict[str, Any] = {fact: getattr(thing, fact) for fact in restated.changed if fact in TOLD}
    change.record(
        verb=f"{kind}.{VERBS[restated.outcome]}",
        target=f"{kind}:{thing.name}",
        verdict=verdict,
        service=thing.name if isinstance(thing, Service) else None,
        details={
            "source": source,
            "revision": thing.revision,
            "changed": sorted(restated.changed),
            "values": msgspec.to_builtins(values),
        },
    )


def _refuse_reserved(thing: Entity) -> None:
    if isinstance(thing, Service) and thing.name in RESERVED:
        raise InvalidInput(
            f"A service cannot be called {thing.name!r}: /api/services/{thing.name} is an address of its own.",
            next_step="Choose another name.",
            field="name",
        )

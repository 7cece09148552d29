"""How what a source says changes what is known: the one rule for services, teams and domains.

The latest statement about a fact wins, whoever makes it. A source that speaks completely (a manifest) withdraws what it
said before and no longer says, and nothing that others said. Saying again what is known is no change; only when the
last confirmation by that source is older than ``CONFIRM_AFTER`` it is news, so that an hourly import keeps facts fresh
and an import that is run twice records nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from companyos.catalog.model import FACTS, KINDS, Domain, Entity, Outcome, Provenance, Service, Statement, Team

CONFIRM_AFTER: Final = timedelta(hours=1)
"""How old a confirmation must be before the next one is written down."""


class Restated(msgspec.Struct, frozen=True, kw_only=True):
    """What is known after a statement."""

    entity: Service | Team | Domain
    outcome: Outcome
    changed: tuple[str, ...] = ()
    """The facts that have another value now."""


def restate(known: Service | Team | Domain | None, statement: Statement, now: datetime) -> Restated:
    """Return what is known once the statement is heard; the revision grows unless the outcome is ``unchanged``."""
    if known is None:
        kind = KINDS[statement.kind]
        known = kind(name=statement.name, revision=0, created_at=now, updated_at=now)
    values: dict[str, Any] = {}
    provenance = dict(known.provenance)
    confirmed = False
    for fact in FACTS[statement.kind]:
        told = _told(fact, known, statement)
        if told is msgspec.UNSET:
            continue
        if told != getattr(known, fact):
            values[fact] = told
            provenance.pop(fact, None)
            if not is_empty(told):
                provenance[fact] = Provenance(source=statement.source, observed_at=now)
        elif _is_stale(known, fact, statement.source, now):
            provenance[fact] = Provenance(source=statement.source, observed_at=now)
            confirmed = True
    outcome = _outcome(known, changed=bool(values), confirmed=confirmed)
    if outcome == "unchanged":
        return Restated(entity=known, outcome=outcome)
    entity = msgspec.structs.replace(
        known, **values, provenance=provenance, revision=known.revision + 1, updated_at=now
    )
    return Restated(entity=entity, outcome=outcome, changed=tuple(values))


def is_empty(value: object) -> bool:
    """Tell whether a value says nothing."""
    return value is None or value in ((), "") or value == {}


def empty_value(kind: type[Entity], fact: str) -> Any:  # noqa: ANN401 - the type of the fact
    """Return what a fact is while nobody has stated it."""
    field = next(field for field in msgspec.structs.fields(kind) if field.name == fact)
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _told(fact: str, known: Service | Team | Domain, statement: Statement) -> Any:  # noqa: ANN401 - the fact's type
    """Return the value that the statement gives a fact, or UNSET when it leaves the fact alone."""
    told = statement.said.get(fact)
    if fact in statement.said and not is_empty(told):
        return told
    origin = known.provenance.get(fact)
    # A source that speaks completely takes back by silence, and its own facts only; any other says what it takes away.
    withdrawn = (
        origin is not None and origin.source == statement.source if statement.complete else fact in statement.said
    )
    if withdrawn:
        return empty_value(type(known), fact)
    return msgspec.UNSET


def _is_stale(known: Entity, fact: str, source: str, now: datetime) -> bool:
    origin = known.provenance.get(fact)
    return origin is not None and origin.source == source and now - origin.observed_at >= CONFIRM_AFTER


def _outcome(known: Entity, *, changed: bool, confirmed: bool) -> Outcome:
    if known.revision == 0:
        return "created"
    if changed:
        return "updated"
    return "confirmed" if confirmed else "unchanged"

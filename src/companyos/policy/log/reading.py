"""Reading the decision log: one decision with what became of it, and all decisions of a bundle for a replay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from companyos.core.errors import CompanyOSError
from companyos.policy.log.keys import Keys
from companyos.policy.log.lookup import Lookup
from companyos.policy.log.record import DECISION, Decision, Personal, Stored, decoded
from companyos.policy.log.sealing import opened, stored, unseal
from companyos.policy.replay import NOT_OF_THE_POLICY, InputPath, RecordedDecision
from companyos_sdk.policy.decision import BAD_INPUT, LIMIT, Obligation
from companyos_sdk.policy.record import dotted, undotted
from companyos_sdk.rego.values import UNDEFINED

PathsOf: TypeAlias = Callable[[str], tuple[InputPath, ...] | None]
"""What the bundle with this digest can read of an input; None when the bundle is not known (any more)."""

taken_apart: Final = undotted
"""The path that a record names, in parts."""

_INCOMPLETE: Final = frozenset({BAD_INPUT, LIMIT})
"""Reasons of decisions whose records do not hold all that was read."""


class DecisionReader:
    """Reads the segments of a home; it needs no writer."""

    def __init__(self, lookup: Lookup, keys: Keys, paths_of: PathsOf = lambda _digest: None) -> None:
        """Take what finds and what opens records. ``paths_of`` tells a value that was absent from one never read."""
        self._lookup = lookup
        self._keys = keys
        self._paths_of = paths_of

    def find(self, audit_id: str) -> list[Decision]:
        """Return the decision with this id, and behind it its receipts; empty when there is none.

        Raises IntegrityFault when a sealed part is not what was recorded.
        """
        self._keys.refresh()
        made = []
        for found in self._lookup.find(audit_id):
            record = stored(found.line.text)
            decision = opened(record, unseal(record, self._keys.ciphers([record.key])[record.key]))
            made.append(
                msgspec.structs.replace(decision, stream=found.stream, segment=found.number, hash=found.line.link)
            )
        return sorted(made, key=lambda decision: (decision.kind != DECISION, decision.at))

    def records(self, bundle_id: str, stage: str) -> Iterator[RecordedDecision]:
        """Yield the decisions of a bundle in a stage, newest first; those that cannot be read any more are left out.

        Nothing but one segment is in memory at a time.
        """
        self._keys.refresh()
        needle = _needle(bundle_id, stage)
        paths: dict[str, _Paths] = {}
        for place in self._lookup.places():
            try:
                lines = [line.text for line in self._lookup.lines(place) if needle in line.text]
            except CompanyOSError:
                continue  # `verify` names it.
            rows = [record for text in lines if (record := _decision(text)) is not None]
            ciphers = self._keys.ciphers({record.key for record in rows})
            for record in rows:
                if record.bundle.id != bundle_id or record.bundle.stage != stage:
                    continue
                try:
                    personal = unseal(record, ciphers[record.key])
                except CompanyOSError:
                    continue
                if personal is not None:
                    digest = record.bundle.digest
                    known = paths.get(digest)
                    if known is None:
                        known = paths[digest] = _Paths(self._paths_of(digest))
                    yield known.recorded(record, personal)


class _Paths:
    """What one bundle can read, in the order in which values are given."""

    def __init__(self, paths: tuple[InputPath, ...] | None) -> None:
        self._paths = paths
        self._names = [] if paths is None else [dotted(path) for path in paths]
        self._made: dict[tuple[str, ...], tuple[InputPath, ...]] = {}

    def recorded(self, record: Stored, personal: Personal) -> RecordedDecision:
        inputs = decoded(personal.inputs) or {}
        paths: tuple[InputPath, ...] = ()
        values: tuple[Any, ...] = ()
        if record.reason in _INCOMPLETE:
            pass
        elif self._paths is not None:
            get = inputs.get
            paths, values = self._paths, tuple([get(name, UNDEFINED) for name in self._names])
        else:
            names = tuple(inputs)
            known = self._made.get(names)
            if known is None:
                known = self._made[names] = tuple(taken_apart(name) for name in names)
            paths, values = known, tuple(inputs.values())
        return RecordedDecision(
            record.audit_id,
            record.action,
            record.decision == "allow",
            record.reason if record.reason in NOT_OF_THE_POLICY else record.policy_reason or record.reason,
            _owed(record, personal) if record.obligations else (),
            paths,
            values,
        )


def _owed(record: Stored, personal: Personal) -> tuple[Obligation, ...]:
    return tuple(
        Obligation(owed.id, owed.type, decoded(raw) or {})
        for owed, raw in zip(record.obligations, personal.properties, strict=False)
    )


def _decision(text: bytes) -> Stored | None:
    try:
        record = stored(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return record if record.kind == DECISION else None


def _needle(bundle_id: str, stage: str) -> bytes:
    """Return what stands in every record of a bundle in a stage, so that the others need not be decoded."""
    encoded: Any = msgspec.json.encode
    return b'"id":%b,"stage":%b' % (encoded(bundle_id), encoded(stage))

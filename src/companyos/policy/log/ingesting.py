"""Batches of records that services send: all or nothing, each record once."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from companyos.core.errors import CompanyOSError, Unavailable
from companyos.policy.log.queue import Batch
from companyos.policy.log.record import MAX_LINE_BYTES, check_line
from companyos.policy.log.sealing import Prepared, prepare
from companyos.policy.log.writer import DecisionLog
from companyos_sdk.policy.record import LogFull

MAX_BYTES: Final = 8 * 1024 * 1024
"""How long a batch may be."""
MAX_RECORDS: Final = 5_000
"""How many records it may hold."""

_MAX_REJECTED: Final = 20
_BREATH: Final = 16
_PATIENCE_S: Final = 10.0


class Rejected(msgspec.Struct, frozen=True, kw_only=True):
    """A record that cannot be taken, because of which none was."""

    line: int
    """Its line in the batch, from 1 on."""
    reason: str
    """One sentence."""
    audit_id: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    accepted: int
    """How many records are on the disk now that were not before."""
    duplicates: int
    """How many were there already; they are fine."""
    rejected: tuple[Rejected, ...] = ()
    """The records that are at fault, up to 20 of them; when there is one, nothing of the batch was taken."""


def ingest(log: DecisionLog, body: bytes, source: str) -> Outcome:
    """Return what became of a batch, one record a line, once it is on the disk.

    Raises Unavailable when the log takes nothing at the moment; the same batch can be sent again.
    """
    records: list[Prepared] = []
    rejected: list[Rejected] = []
    lines = [(number, line) for number, line in enumerate(body.split(b"\n"), 1) if line.strip()]
    if len(lines) > MAX_RECORDS:
        reason = f"A batch has up to {MAX_RECORDS} records; this one has {len(lines)}."
        return Outcome(accepted=0, duplicates=0, rejected=(Rejected(line=MAX_RECORDS + 1, reason=reason),))
    for place, (number, line) in enumerate(lines):
        if not place % _BREATH:
            time.sleep(0)  # Decisions go on meanwhile.
        try:
            records.append(prepare(line, source, check_line(line)))
        except CompanyOSError as fault:
            rejected.append(Rejected(line=number, reason=fault.detail, audit_id=_audit_id(line)))
            if len(rejected) >= _MAX_REJECTED:
                break
    if rejected:
        return Outcome(accepted=0, duplicates=0, rejected=tuple(rejected))
    return _stored(log, records) if records else Outcome(accepted=0, duplicates=0)


def _stored(log: DecisionLog, records: list[Prepared]) -> Outcome:
    batch = Batch(records)
    try:
        log.put(batch)
    except LogFull as fault:
        raise Unavailable(str(fault), next_step="Send the same batch again later.") from fault
    if not batch.done.wait(_PATIENCE_S) or batch.stored is None:
        raise Unavailable(
            log.fault or f"The records were not on the disk within {_PATIENCE_S:g} s.",
            next_step="Send the same batch again later; records that are there already are not stored twice.",
        )
    return Outcome(accepted=batch.stored.accepted, duplicates=batch.stored.duplicates)


def _audit_id(line: bytes) -> str | None:
    """Return the audit id of a line that is at fault, where it has one that can be shown."""
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw]).get("audit_id")
        text = None if found is None else msgspec.json.decode(found, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return text if text is not None and len(text) <= 64 and text.isprintable() else None  # noqa: PLR2004 - a UUID fits

"""The ledger page as a value: records as sentences, and what their proof is worth at this moment."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

import msgspec

from companyos.core.errors import IntegrityFault, InvalidInput
from companyos.core.paging import Page
from companyos.core.signing import PublicKey
from companyos.ledger import Record
from companyos.ledger.checkpoint import Checkpoint
from companyos.tower.detail import Line, line


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest checkpoint proves."""

    sound: bool
    says: str
    root: str | None = None
    """The root hash in base64."""


class LedgerPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the ledger page shows."""

    now: datetime
    proof: Proof
    lines: tuple[Line, ...]
    service: str | None
    older: str | None
    """The address of the next page, None on the last one."""
    newest: str
    paged: bool
    """Whether this is another page than the first."""


def proof_of(checkpoint: str | None, verify: Callable[[str], tuple[Checkpoint, PublicKey]]) -> Proof:
    """Return what a checkpoint proves after its signature was verified; an empty ledger has none and proves nothing."""
    if checkpoint is None:
        return Proof(sound=False, says="The ledger is empty, so nothing is signed yet.")
    try:
        signed, key = verify(checkpoint)
    except (IntegrityFault, InvalidInput) as fault:
        return Proof(sound=False, says=fault.detail)
    return Proof(
        sound=True,
        says=f"A checkpoint covers {signed.size:,} records of {signed.origin}; its {key.algorithm} signature is ours.",
        root=base64.b64encode(signed.root).decode(),
    )


def ledger_page(page: Page[Record], proof: Proof, now: datetime, *, service: str | None, paged: bool) -> LedgerPage:
    """Return the page."""
    here = {"service": service} if service else {}
    return LedgerPage(
        now=now,
        proof=proof,
        lines=tuple(line(record) for record in page.items),
        service=service,
        older=f"/ledger?{urlencode({**here, 'cursor': page.next_cursor})}" if page.next_cursor else None,
        newest=f"/ledger?{urlencode(here)}" if here else "/ledger",
        paged=paged,
    )

"""The background work of a server process: what is done again and again while it runs."""

from __future__ import annotations

from functools import partial
from typing import Final

from companyos.ledger import Journal
from companyos.ledger.erasure import expire_personal
from companyos.operations.outbox import Outbox
from companyos.server.denials import SUMMARY_S, Denials
from companyos.server.loops import Loop
from companyos.tower.projector import Projector

PROJECTION_S: Final = 1.0
OUTBOX_S: Final = 1.0
_MINUTE_S: Final = 60.0
_HOUR_S: Final = 3600.0


def background(journal: Journal, projector: Projector, denials: Denials) -> tuple[Loop, ...]:
    """Return the loops of the ground floor; those that keep something in memory or in a file run in every process."""
    return (
        Loop("tower.projection", PROJECTION_S, projector.advance),
        Loop("operations.outbox", OUTBOX_S, Outbox(journal).deliver_due),
        Loop("ledger.retention", _HOUR_S, partial(expire_personal, journal)),
        Loop("ledger.pin", _MINUTE_S, journal.pin.advance, shared=False),
        Loop("ledger.reads", _MINUTE_S, journal.reads.flush, shared=False),
        Loop("server.denials", SUMMARY_S, denials.summarise, shared=False),
    )

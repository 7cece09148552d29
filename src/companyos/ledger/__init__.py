"""The ledger: an append-only log of everything decided, as a Merkle tree with signed checkpoints.

Every change goes through ``Journal.write``, which records it in the transaction that makes it. The names below are
loaded when they are first used, because the command line imports ``ledger.commands`` for its help.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.ledger.erasure import expire_personal
    from companyos.ledger.journal import Change, Journal, open_journal
    from companyos.ledger.model import Entry, Filter, LogIndex, Record
    from companyos.ledger.reader import LedgerReader
    from companyos.ledger.service import Ledger

__all__ = [
    "Change",
    "Entry",
    "Filter",
    "Journal",
    "Ledger",
    "LedgerReader",
    "LogIndex",
    "Record",
    "expire_personal",
    "open_journal",
]

_HOME = {
    "Change": "journal",
    "Entry": "model",
    "Filter": "model",
    "Journal": "journal",
    "Ledger": "service",
    "LedgerReader": "reader",
    "LogIndex": "model",
    "Record": "model",
    "expire_personal": "erasure",
    "open_journal": "journal",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

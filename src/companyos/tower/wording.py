"""Ledger records as sentences: who did what to what."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from companyos.ledger import Record

_PAST: Final = MappingProxyType(
    {
        "add": "added",
        "append": "added to",
        "approve": "approved",
        "assign": "assigned",
        "bind": "bound",
        "change": "changed",
        "close": "closed",
        "confirm": "confirmed",
        "create": "created",
        "end": "ended",
        "erase": "erased",
        "expire": "ended",
        "export": "exported",
        "grade": "graded",
        "grant": "granted",
        "issue": "issued",
        "lift": "lifted",
        "link": "linked something to",
        "mitigate": "mitigated",
        "note": "wrote about",
        "open": "opened",
        "place": "placed",
        "rebuild": "rebuilt",
        "redeem": "used",
        "register": "registered",
        "reject": "rejected",
        "remove": "removed",
        "reopen": "opened again",
        "replace": "replaced",
        "request": "requested",
        "resolve": "resolved",
        "restore": "restored",
        "reweigh": "changed the weight of",
        "revoke": "revoked",
        "rotate": "rotated",
        "start": "started",
        "suspend": "suspended",
        "update": "updated",
        "upgrade": "upgraded",
        "withdraw": "withdrew",
    }
)

_PREPOSITIONS: Final = MappingProxyType({"hold": "on", "login_code": "for"})


def sentence(record: Record) -> str:
    """Return what a record says, for example ``started a deployment of checkout, release checkout@1.4.2``.

    The actor is left to the reader of the page. A verb that is not known here is shown as it is.
    """
    thing, _, verb = record.verb.rpartition(".")
    kind, _, name = record.target.partition(":")
    whom = name or kind
    if record.decision == "deny":
        return f"was refused: {record.verb} on {record.target}"
    past = _PAST.get(verb)
    if past is None or not thing:
        return f"{record.verb} on {record.target}"
    words = thing.replace("_", " ").replace(".", " ")
    if thing in {kind, "subject"}:  # A subject is a user or a service; its kind says which.
        what = f"{kind} {whom}"
    else:
        what = f"{'an' if words[0] in 'aeiou' else 'a'} {words} {_PREPOSITIONS.get(thing, 'of')} {whom}"
    release = f", release {record.release}" if record.release else ""
    return f"{past} {what}{release}"

"""Ledger records as sentences: who did what to what."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from companyos.ledger import Record

_PAST: Final = MappingProxyType(
    {
        "add": "added",
        "allow": "allowed",
        "append": "added to",
        "approve": "approved",
        "assign": "assigned",
        "bind": "bound",
        "change": "changed",
        "close": "closed",
        "confirm": "confirmed",
        "create": "created",
        "define": "defined",
        "delete": "deleted",
        "deliver": "delivered",
        "deny": "denied",
        "end": "ended",
        "erase": "erased",
        "expire": "ended",
        "export": "exported",
        "give_up": "gave up",
        "grade": "graded",
        "grant": "granted",
        "issue": "issued",
        "lift": "lifted",
        "link": "linked something to",
        "mitigate": "mitigated",
        "note": "wrote about",
        "open": "opened",
        "place": "placed",
        "queue": "queued",
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
        "set": "set",
        "sign": "signed",
        "start": "started",
        "store": "stored",
        "suspend": "suspended",
        "turn_back": "turned back",
        "turn_on": "turned on",
        "unbind": "unbound",
        "update": "updated",
        "upgrade": "upgraded",
        "withdraw": "withdrew",
    }
)

_PREPOSITIONS: Final = MappingProxyType({"hold": "on", "login_code": "for", "notification": "about"})

_OF_RELEASES: Final = MappingProxyType(
    {
        "release.deploy": "accepted {}",
        "release.refuse": "refused {}",
        "release.start": "started {}",
        "release.advance": "advanced {}",
        "release.hold": "held {}",
        "release.resume": "resumed {}",
        "release.promote": "promoted {}",
        "release.settle": "settled {} as the stable one",
        "release.rollback": "began to roll back {}",
        "release.rolled_back": "rolled back {}",
        "release.ask_hold": "asked to hold {}",
        "release.ask_resume": "asked to resume {}",
        "release.ask_promote": "asked to promote {}",
        "release.ask_abort": "asked to abort {}",
        "release.ask_rollback": "asked to roll back {}",
    }
)
_OF_OTHERS: Final = MappingProxyType(
    {
        "alert.fire": "was told that an alert of {} fires",
        "alert.resolve": "was told that an alert of {} has ended",
        "artifact.allow": "allowed artifact {} again",
        "artifact.deny": "denied artifact {} for later deploys",
        "decision.erase": "erased what decisions say of {}",
        "decision.segment": "sealed a part of the decision log, {}",
        "policy.block": "was held back from promoting policy {}",
        "policy.fail": "could not make policy {} decide",
        "policy.promote": "promoted policy {}",
        "policy.publish": "published policy {}",
        "policy.renew": "signed policy {} anew",
        "policy.rollback": "went back to policy {}",
        "policy.sign": "signed policy {}",
    }
)
_DIGEST_CHARACTERS: Final = 19
"""What is shown of a digest: ``sha256:`` and twelve digits."""


def sentence(record: Record) -> str:
    """Return what a record says, for example ``started a deployment of checkout, release checkout@1.4.2``.

    The actor is left to the reader of the page. A verb that is not known here is shown as it is.
    """
    thing, _, verb = record.verb.rpartition(".")
    kind, _, name = record.target.partition(":")
    whom = _short(name or kind)
    if record.decision == "deny":
        return f"was refused: {record.verb} on {record.target}"
    if record.verb in _OF_RELEASES:
        return _OF_RELEASES[record.verb].format(f"release {record.release or whom}") + _because(record)
    if record.verb in _OF_OTHERS:
        return _OF_OTHERS[record.verb].format(whom) + _because(record)
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


def _because(record: Record) -> str:
    """Return where a release went and why, as far as the record says it."""
    percent, why = record.details.get("percent"), record.details.get("sentence") or record.details.get("reason")
    to = f" to {percent} %" if record.verb == "release.advance" and isinstance(percent, int | float | str) else ""
    return f"{to}: {why}" if isinstance(why, str) and why else to


def _short(name: str) -> str:
    return f"{name[:_DIGEST_CHARACTERS]}…" if name.startswith("sha256:") else name

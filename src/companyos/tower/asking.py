"""What a person may ask of a release on its page: which commands make sense when, and what each of them does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from companyos.core.errors import InvalidInput
from companyos.delivery.model import CommandKind
from companyos.delivery.view import Detail

REASON_LIMIT: Final = 500


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One command that the page offers."""

    kind: CommandKind
    label: str
    does: str
    """One sentence on what happens then."""
    grave: bool = False
    """Whether it undoes the release."""


ASKED: Final[Mapping[CommandKind, str]] = MappingProxyType(
    {
        "hold": "You asked to hold this release.",
        "resume": "You asked to resume this release.",
        "promote": "You asked to promote this release.",
        "abort": "You asked to abort this release.",
        "rollback": "You asked to roll this release back.",
    }
)
"""What the page says after a command was written down; the controller acts a moment later."""


def offers(release: Detail, *, is_newest: bool) -> tuple[Offer, ...]:
    """Return what can be asked of a release in its phase; ``is_newest`` says that no later one has been promoted."""
    hold = Offer(
        kind="hold", label="Hold", does=f"{release.version} keeps its share of the traffic and goes no further."
    )
    resume = Offer(kind="resume", label="Resume", does="The hold of a person ends and the release goes on.")
    promote = Offer(
        kind="promote",
        label="Promote",
        does=f"{release.version} gets all of the traffic now, without the steps that are left.",
    )
    abort = Offer(kind="abort", label="Abort", does=f"{_back(release)} {_then(release)}", grave=True)
    rollback = Offer(kind="rollback", label="Roll back", does=f"{_back(release)} {_then(release)}", grave=True)
    by_hand = release.held is not None and release.held.reason == "manual"
    match release.state:
        case "pending":
            return (hold, abort)
        case "canary":
            return (hold, promote, abort)
        case "held":
            return (resume, promote, abort) if by_hand else (hold, promote, abort)
        case "promoted":
            return (rollback,)
        case "steady":
            return (rollback,) if is_newest and release.baseline is not None else ()
        case _:
            return ()


def check_reason(reason: str) -> str:
    """Return the reason that a person gave, or raise InvalidInput with the sentence that the form shows."""
    stripped = reason.strip()
    if not stripped:
        raise InvalidInput(
            "Say why: the reason stands in the ledger beside your name.",
            next_step="Write one line and send it again.",
            field="reason",
        )
    if len(stripped) > REASON_LIMIT or not stripped.isprintable():
        raise InvalidInput(
            f"A reason is one line of at most {REASON_LIMIT} characters.", next_step="Shorten it.", field="reason"
        )
    return stripped


def check_kind(kind: str) -> CommandKind:
    """Return the command that a form names, or raise InvalidInput."""
    for known in ASKED:
        if kind == known:
            return known
    raise InvalidInput(f"A release knows no command {kind[:40]!r}.", next_step=f"Use {', '.join(ASKED)}.", field="kind")


def _back(release: Detail) -> str:
    if release.baseline is None:
        return f"The traffic leaves {release.version}, and there is no earlier version to take it."
    return f"All traffic goes back to {release.baseline.version} at once."


def _then(release: Detail) -> str:
    flags = " the flags that it turned on are turned back," if release.flags else ""
    return f"The digest is denied for later deploys,{flags} an incident is opened and on-call is told."

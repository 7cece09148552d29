"""Where the versions of a bundle stand, and what was refused there, for the list and a bundle's page alike. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

import msgspec

from companyos.policy.model import STAGES, ActivationKind, Stage, StageStatus
from companyos.tower.model import Look

HOW: Final[Mapping[ActivationKind, Look]] = MappingProxyType(
    {
        "publish": Look("Published", "▲", "published, and active in dev since"),
        "promote": Look("Promoted", "✓", "promoted from the stage before"),
        "rollback": Look("Rolled back", "↓", "a lower version came back"),
        "renew": Look("Signed anew", "↻", "the same, signed with another key"),
    }
)
HOW_TONES: Final[Mapping[ActivationKind, str]] = MappingProxyType(
    {"publish": "canary", "promote": "ok", "rollback": "burning", "renew": "stale"}
)
DIGEST_CHARACTERS: Final = 19
"""What is shown of a digest: ``sha256:`` and twelve digits."""

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of one bundle."""

    stage: Stage
    version: str | None = None
    """What is active; None for nothing."""
    at: datetime | None = None
    by: str = ""
    how: str = ""
    digest: str = ""
    approver: str | None = None
    refused: str | None = None
    """The sentence about the newest attempt, where it failed."""
    refused_at: datetime | None = None

    @property
    def stood(self) -> str:
        """Return the class of its rung: refused, active or empty."""
        return "left" if self.refused else "done" if self.version else "next"

    @property
    def word(self) -> tuple[str, str]:
        """Return sign and word that say the same as the colour."""
        if self.refused:
            return "✕", "refused"
        return ("✓", "active") if self.version else ("", "nothing active")


def cells(statuses: Iterable[StageStatus]) -> tuple[Cell, ...]:
    """Return the three stages of one bundle in their order, those too that nothing was ever active in."""
    known = {status.stage: status for status in statuses}
    return tuple(_cell(stage, known.get(stage)) for stage in STAGES)


def refusal(status: StageStatus) -> str | None:
    """Return what went wrong when something was last to become active, and what stays; None when it went well."""
    if status.failure is None:
        return None
    why = _DIGEST.sub(lambda found: short(found[0]), status.failure).rstrip(".")
    if status.active is None:
        return f"Version {status.failed_version} was refused in {status.stage}: {why}; nothing is active there."
    if status.active.version == status.failed_version:
        return f"Version {status.failed_version} is active in {status.stage}, and something is wrong with it: {why}."
    return (
        f"Version {status.failed_version} was refused in {status.stage}: {why}; {status.active.version} stays active."
    )


def look_of(found: Iterable[Cell]) -> tuple[str, Look]:
    """Return tone and look of a bundle as a whole."""
    every = tuple(found)
    versions = {cell.version for cell in every}
    if any(cell.refused for cell in every):
        return "down", Look("Refused", "✕", "the newest attempt in a stage failed")
    if versions == {None}:
        return "stale", Look("Not active", "?", "it is published and decides nothing")
    if len(versions) > 1:
        return "canary", Look("On its way", "▲", "the stages have different versions")
    return "ok", Look("In all stages", "✓", "every stage has the same version")


def bundle_url(bundle_id: str) -> str:
    """Return the address of a bundle's page."""
    return f"/policies/{quote(bundle_id, safe='/')}"


def decision_url(audit_id: str) -> str:
    """Return the address of the page about a decision."""
    return f"/policies/decisions?id={quote(audit_id, safe='')}"


def short(digest: str) -> str:
    """Return the beginning of a digest, enough to tell it from others."""
    return f"{digest[:DIGEST_CHARACTERS]}…" if len(digest) > DIGEST_CHARACTERS else digest


def _cell(stage: Stage, status: StageStatus | None) -> Cell:
    if status is None:
        return Cell(stage=stage)
    active = status.active
    return Cell(
        stage=stage,
        version=active.version if active else None,
        at=active.at if active else None,
        by=active.by if active else "",
        how=HOW[active.kind].label.lower() if active else "",
        digest=active.digest if active else "",
        approver=active.approver if active else None,
        refused=refusal(status),
        refused_at=status.failed_at if status.failure is not None else None,
    )

"""The page of all bundles as a value: one row for each, with what is active in its stages. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from companyos.policy.model import PLATFORM, Published, Stage, StageStatus
from companyos.tower.model import Look
from companyos.tower.policy_stages import Cell, bundle_url, cells, look_of

MAX_ROWS: Final = 300
"""How many bundles one page shows."""

SHIPPED: Final = Look("Shipped", "✓", "the policy that comes with the platform decides")
_RANKS: Final = {"down": 0, "canary": 1, "stale": 2, "ok": 3}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One bundle."""

    bundle_id: str
    url: str
    tone: str
    look: Look
    cells: tuple[Cell, ...]
    note: str = ""
    """One sentence more, where its stages do not say all."""

    @property
    def refusals(self) -> tuple[str, ...]:
        """Return what failed in its stages."""
        return tuple(cell.refused for cell in self.cells if cell.refused)


class PoliciesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of all bundles shows."""

    now: datetime
    stage: Stage
    """The stage whose bundles decide on this platform."""
    rows: tuple[Row, ...]
    left_off: int
    """How many bundles more there are."""
    own: int
    """How many of all bundles are not the platform's."""

    @property
    def refused(self) -> int:
        """Return in how many bundles something failed."""
        return sum(row.tone == "down" for row in self.rows)


def policies_page(
    statuses: Sequence[StageStatus], published: Sequence[Published], stage: Stage, now: datetime
) -> PoliciesPage:
    """Return the page; ``published`` is what there is beyond the stages: versions that never became active."""
    of: dict[str, list[StageStatus]] = defaultdict(list)
    for status in statuses:
        of[status.bundle_id].append(status)
    newest: dict[str, Published] = {}
    for one in published:
        newest.setdefault(one.bundle_id, one)
    names = {PLATFORM, *of, *newest}
    rows = sorted((_row(name, of[name], newest.get(name), stage) for name in names), key=_order)
    return PoliciesPage(
        now=now,
        stage=stage,
        rows=tuple(rows[:MAX_ROWS]),
        left_off=max(0, len(rows) - MAX_ROWS),
        own=len(names) - 1,
    )


def shipped_decides(found: Sequence[Cell], stage: Stage) -> bool:
    """Tell whether the policy that ships decides about the platform, because no bundle of it is active."""
    return all(cell.version is None for cell in found if cell.stage == stage)


def shipped_note(stage: Stage) -> str:
    """Return the sentence about the policy that ships."""
    return f"Shipped with the platform; no bundle is active in {stage}, so the shipped roles decide who may do what."


def _row(name: str, statuses: Sequence[StageStatus], newest: Published | None, stage: Stage) -> Row:
    found = cells(statuses)
    tone, look = look_of(found)
    note = ""
    if name == PLATFORM and shipped_decides(found, stage):
        note = shipped_note(stage)
        if all(cell.version is None and cell.refused is None for cell in found):
            tone, look = "ok", SHIPPED
    elif newest is not None and all(cell.version != newest.version for cell in found):
        note = f"Version {newest.version} is published and active nowhere."
    return Row(bundle_id=name, url=bundle_url(name), tone=tone, look=look, cells=found, note=note)


def _order(row: Row) -> tuple[int, bool, str]:
    """Return what sorts rows by: what went wrong first, the platform's own last."""
    return _RANKS[row.tone], row.bundle_id == PLATFORM, row.bundle_id

"""The page of one bundle as a value: its stages, its next step, its versions and what became active when. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import msgspec

from companyos.core.paging import Page
from companyos.policy import sentences
from companyos.policy.model import PLATFORM, Activation, Published, Stage, StageStatus
from companyos.tower.model import Look
from companyos.tower.policy_list import SHIPPED, shipped_decides, shipped_note
from companyos.tower.policy_replay import Preview, Tests, tests_of
from companyos.tower.policy_stages import HOW, HOW_TONES, Cell, bundle_url, cells, look_of, short
from companyos_sdk.bundle import version_key

VERSIONS: Final = 12
"""How many published versions the page lists."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion that makes sense next."""

    version: str
    stage: Stage
    over: str | None
    """What is active there now."""
    url: str
    """The page with what it would change."""
    here: bool
    """Whether this page shows that."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A published version."""

    version: str
    at: datetime
    by: str
    tests: Tests | None
    active_in: tuple[Stage, ...]
    content: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One activation."""

    at: datetime
    tone: str
    look: Look
    stage: Stage
    version: str
    previous: str | None
    reason: str
    by: str
    approver: str | None
    signed_off: tuple[str, ...]
    replay: str
    digest: str


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """What the page was asked for beside the bundle."""

    to: Stage | None = None
    """The stage whose next promotion it shows."""
    preview: Preview | None = None
    """What that would change, or why the form was not taken up."""
    done: str | None = None
    """The stage that was just promoted to."""
    may: bool = False
    """Whether the reader may make the promotion that the page shows."""


class BundlePage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page of a bundle shows."""

    now: datetime
    bundle_id: str
    url: str
    tone: str
    look: Look
    stage: Stage
    """The stage whose bundles decide on this platform."""
    cells: tuple[Cell, ...]
    shipped: str | None
    """The sentence about the policy that ships, where that decides."""
    steps: tuple[Step, ...]
    preview: Preview | None
    versions: tuple[Version, ...]
    more_versions: bool
    entry_point: str | None
    obligations: tuple[str, ...]
    history: tuple[Entry, ...]
    older: str | None
    paged: bool
    said: str | None
    """The sentence about a promotion that was just made."""
    may: bool
    """Whether the reader may make the promotion that the page shows."""


def steps_of(bundle_id: str, found: Sequence[Cell], published: Sequence[Published], shown: str | None) -> list[Step]:
    """Return what can go where next: a higher version than the one that is active there."""
    newest = max((one.version for one in published), key=version_key, default=None)
    candidates = (newest, *(cell.version for cell in found[:-1]))
    made = []
    for version, cell in zip(candidates, found, strict=True):
        if version is None or (cell.version is not None and version_key(version) <= version_key(cell.version)):
            continue
        url = f"{bundle_url(bundle_id)}?{urlencode({'to': cell.stage})}#preview"
        made.append(Step(version=version, stage=cell.stage, over=cell.version, url=url, here=cell.stage == shown))
    return made


def bundle_page(
    bundle_id: str,
    statuses: Sequence[StageStatus],
    published: Page[Published],
    history: Page[Activation],
    now: datetime,
    *,
    stage: Stage,
    asking: Asking,
    paged: bool = False,
) -> BundlePage:
    """Return the page at a moment; ``stage`` is that of this platform."""
    found = cells(statuses)
    tone, look = look_of(found)
    shipped = bundle_id == PLATFORM and shipped_decides(found, stage)
    if shipped and tone == "stale":
        tone, look = "ok", SHIPPED
    newest = published.items[0] if published.items else None
    return BundlePage(
        now=now,
        bundle_id=bundle_id,
        url=bundle_url(bundle_id),
        tone=tone,
        look=look,
        stage=stage,
        cells=found,
        shipped=shipped_note(stage) if shipped else None,
        steps=tuple(steps_of(bundle_id, found, published.items, asking.to)),
        preview=asking.preview,
        versions=tuple(_version(one, found) for one in published.items[:VERSIONS]),
        more_versions=len(published.items) > VERSIONS or published.next_cursor is not None,
        entry_point=newest.entrypoint if newest else None,
        obligations=newest.obligations if newest else (),
        history=tuple(_entry(one) for one in history.items),
        older=f"{bundle_url(bundle_id)}?{urlencode({'cursor': history.next_cursor})}" if history.next_cursor else None,
        paged=paged,
        said=_said(found, asking.done),
        may=asking.may,
    )


def _said(found: Sequence[Cell], done: str | None) -> str | None:
    """Return what is active where something was just promoted to; the address alone claims nothing."""
    cell = next((cell for cell in found if cell.stage == done and cell.version is not None), None)
    return f"{cell.version} is active in {cell.stage}." if cell is not None else None


def _version(one: Published, found: Sequence[Cell]) -> Version:
    return Version(
        version=one.version,
        at=one.published_at,
        by=one.published_by,
        tests=tests_of(one.tests),
        active_in=tuple(cell.stage for cell in found if cell.version == one.version),
        content=short(one.content_digest),
    )


def _entry(one: Activation) -> Entry:
    signed = [f"{name} ({count})" for name, count in one.acknowledged.items()]
    return Entry(
        at=one.at,
        tone=HOW_TONES[one.kind],
        look=HOW[one.kind],
        stage=one.stage,
        version=one.version,
        previous=one.previous if one.previous != one.version else None,
        reason=one.reason,
        by=one.by,
        approver=one.approver,
        signed_off=(*signed, *(("the replay says nothing, or little",) if one.without_replay else ())),
        replay=sentences.replayed(one.replay) if one.replay is not None else "",
        digest=short(one.digest),
    )

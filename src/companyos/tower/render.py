"""HTML of the Tower: templates compiled once, autoescaped, and fragments that are used again while they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final, Literal, TypeAlias, get_args
from urllib.parse import quote

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from companyos.tower import ages, measures
from companyos.tower.assets import asset_path
from companyos.tower.ladder import RUNGS
from companyos.tower.landing import LandingPage, Moving
from companyos.tower.model import LOOKS, Card, State
from companyos.tower.query import View

Theme: TypeAlias = Literal["auto", "light", "dark"]
THEMES: Final[tuple[Theme, ...]] = get_args(Theme)

_AGE_BUCKET_S: Final = 10
"""A row is rendered again after this long, because it says ages."""


class NavItem(msgspec.Struct, frozen=True):
    """One link of the main navigation; only who may take the action sees it."""

    label: str
    url: str
    action: str


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds every page: who looks at it, and with what."""

    subject: str
    nav: tuple[NavItem, ...]
    csrf: str | None
    """The form token of the session; None for a caller who has none to sign out of."""
    theme: Theme
    mark: str = ""
    """The last update that this page has seen; empty for a page that is not live."""
    stream: str = ""
    """Where its updates come from."""
    follows: str = ""
    """The address from which the page fetches itself again and again; empty for one that does not."""
    at: datetime | None = None
    """The moment that such a page was made at."""
    here: str = ""
    """The address of the navigation item that it belongs to."""
    searched: str = ""
    """The text in the search box."""


@cache
def environment() -> Environment:
    """Return the template environment of this process."""
    made = Environment(
        loader=PackageLoader("companyos.tower"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        age=ages.age,
        stamp=ages.stamp,
        spoken=ages.spoken,
        service_url=service_url,
        number=lambda value: f"{value:,}",
        plural=lambda count, one, many=None: one if count == 1 else many or f"{one}s",
    )
    made.filters.update(
        release_url=release_url,
        duration=measures.duration,
        clock=lambda moment: moment.strftime("%H:%M:%S"),
        milliseconds=lambda moment: int(moment.timestamp() * 1000),
    )
    made.globals["rung_words"] = RUNGS
    made.globals.update(asset=asset_path, looks=LOOKS, State=State, View=View)
    return made


def service_url(name: str) -> str:
    """Return the address of a service's page."""
    return f"/services/{quote(name, safe='')}"


def release_url(id: str) -> str:
    """Return the address of a release's page."""
    return f"/releases/{quote(id, safe='')}"


def page(template: str, frame: Frame, **values: Any) -> str:  # noqa: ANN401 - a template takes any view model
    """Return a whole page."""
    return environment().get_template(template).render(frame=frame, **values)


class Fragments:
    """Rows and tiles, rendered once for all pages and streams while their card is the same object."""

    def __init__(self) -> None:
        """Start with nothing rendered."""
        macros: Any = environment().get_template("macros.html").module
        self._row: Callable[[Card, datetime], Markup] = macros.row
        self._tile: Callable[[Card], Markup] = macros.tile
        self._moving: Callable[[Moving, datetime], Markup] = macros.moving
        self._rows: dict[str, tuple[Card, int, Markup]] = {}
        self._tiles: dict[str, tuple[Card, Markup]] = {}

    def tile(self, card: Card) -> Markup:
        """Return the tile of a service."""
        known = self._tiles.get(card.row.name)
        if known is not None and known[0] is card:
            return known[1]
        html = self._tile(card)
        self._tiles[card.row.name] = (card, html)
        return html

    def row(self, card: Card, now: datetime) -> Markup:
        """Return the table row of a service."""
        bucket = int(now.timestamp()) // _AGE_BUCKET_S
        known = self._rows.get(card.row.name)
        if known is not None and known[0] is card and known[1] == bucket:
            return known[2]
        html = self._row(card, now)
        self._rows[card.row.name] = (card, bucket, html)
        return html

    def tiles(self, cards: Iterable[Card]) -> Markup:
        """Return the tiles of some services."""
        return Markup("").join(map(self.tile, cards))

    def rows(self, cards: Iterable[Card], now: datetime) -> Markup:
        """Return the rows of some services."""
        return Markup("").join(self.row(card, now) for card in cards)

    def moving(self, moving: Moving, now: datetime) -> Markup:
        """Return the strip of releases in flight; it is hidden when there is none."""
        return self._moving(moving, now)

    def landing(self, frame: Frame, view: LandingPage) -> str:
        """Return the landing page, or for a platform without services the page that says how to begin."""
        if not view.fleet:
            return page("empty.html", frame, view=view)
        return page("landing.html", frame, view=view, fragments=self)

    @property
    def kept(self) -> int:
        """How many services have something rendered."""
        return len(self._rows.keys() | self._tiles.keys())

    def forget(self, names: Mapping[str, Any]) -> None:
        """Drop what was rendered for services that are not among these."""
        for kept in (self._rows, self._tiles):
            if len(kept) > len(names):
                for name in [name for name in kept if name not in names]:
                    del kept[name]

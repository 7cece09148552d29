import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.errors import InvalidInput
from companyos.tower import store
from companyos.tower.board import judged
from companyos.tower.fleet import FleetReader
from companyos.tower.landing import ATTENTION_ROWS, counts, shown
from companyos.tower.live import Mark, Poller, difference, mark_of, missed
from companyos.tower.model import Removed, State, TowerRow
from companyos.tower.query import Query, View
from tests.tower.rows import DAY, NOW, any_rows, board_of, fine, fleet_of, held, incident

TABLE = Query(view=View.TABLE)


@given(st.integers(-1, 10**18 - 1), st.integers(0, 4_000_000_000_000))
def test_a_mark_survives_the_browser(revision: int, moment_ms: int) -> None:
    """It goes out as the id of an event and comes back as Last-Event-ID."""
    text = f"{revision}-{moment_ms}"
    assert str(Mark.parse(text)) == text


@pytest.mark.parametrize("text", ["", "-", "7", "x-1", "7-x", "7--1", "-7", "٣-1", "9" * 30 + "-1", "1-" + "9" * 30])
def test_a_forged_mark_is_refused(text: str) -> None:
    """One sentence instead of an overflow."""
    with pytest.raises(InvalidInput) as raised:
        Mark.parse(text)
    assert raised.value.field == "since"


def test_a_page_that_has_missed_nothing_hears_nothing() -> None:
    """The same revision with the same verdicts needs no first event."""
    board = board_of(fine())
    assert not missed(board, mark_of(board), DAY)


def test_a_page_that_slept_has_missed_what_time_did() -> None:
    """A hold that ended meanwhile changes the page although the revision is the same."""
    row = fine(holds=(held(until=NOW + timedelta(minutes=5)),))
    later = board_of(row, now=NOW + timedelta(minutes=6))
    assert missed(later, Mark(later.revision, NOW), DAY)
    assert missed(later, Mark(later.revision - 1, later.judged_at), DAY)


def test_a_change_of_one_service_names_only_that_one() -> None:
    """Two thousand others are not sent again."""
    rows = [fine(f"s{n:03}") for n in range(50)]
    before = judged(fleet_of(*rows), NOW, DAY)
    rows[7] = fine("s007", incidents=(incident(),), revision=2)
    after = judged(fleet_of(*rows), NOW, DAY, before)
    update = difference(before, after, TABLE)
    assert [card.name for card in update.changed] == [card.name for card in update.rows] == ["s007"]
    assert update.order[0] == "s007"
    assert not update.structural
    assert (update.counts["burning"], update.counts["ok"]) == (1, 49)


def test_a_row_that_comes_into_the_table_is_sent_whole() -> None:
    """When a row leaves the overview, the next one takes its place although it did not change itself."""
    rows = [fine(f"s{n:02}", holds=(held(since=NOW - timedelta(minutes=n)),)) for n in range(20)]
    before = judged(fleet_of(*rows), NOW, DAY)
    after = judged(fleet_of(fine("s00", revision=2), *rows[1:]), NOW, DAY, before)
    update = difference(before, after, Query())
    assert [card.name for card in update.rows] == [f"s{ATTENTION_ROWS:02}"]
    assert "s00" not in update.order


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([fine(), fine("new")], id="a service came"),
        pytest.param([], id="a service went"),
        pytest.param([fine(domain="payments", revision=2)], id="a service moved to another domain"),
    ],
)
def test_a_change_of_structure_is_told(rows: list[TowerRow]) -> None:
    """Then the page fetches itself again, because the map has another shape."""
    before = board_of(fine())
    assert difference(before, judged(fleet_of(*rows), NOW, DAY, before), Query()).structural


@given(any_rows, any_rows, st.sampled_from([Query(), TABLE, Query(state=State.STALE, view=View.TABLE)]))
def test_a_page_that_applies_an_update_equals_a_new_one(old: list[TowerRow], new: list[TowerRow], query: Query) -> None:
    """Rows that were there, with those that are sent, in the order that is sent, are what a reload shows."""
    new = [msgspec.structs.replace(row, revision=2) for row in new]
    names = {row.name for row in new}
    rows = [*new, *(row for row in old if row.name not in names)]
    before = board_of(*old)
    after = judged(fleet_of(*rows), NOW, DAY, before)
    update = difference(before, after, query)
    page = {card.name: card for card in shown(before, query)} | {card.name: card for card in update.rows}
    assert [page[name] for name in update.order] == list(shown(after, query))
    assert update.counts == counts(card for card in after.cards.values() if query.matches_apart_from_state(card))


def _reader(database: Database, clock: ManualClock) -> FleetReader:
    return FleetReader(database, clock, DAY)


def test_the_poller_tells_of_writes_and_of_time(database: Database) -> None:
    """Each board that differs is told once; what another connection wrote and what time changed alike."""
    clock = ManualClock(NOW)

    async def scene() -> None:
        poller = Poller(_reader(database, clock), look_every_s=0.01)
        boards: AsyncIterator = poller.boards()  # type: ignore[type-arg]
        assert (await anext(boards)).cards == {}
        with database.write() as connection:
            store.replace(connection, [fine(holds=(held(until=NOW + timedelta(minutes=1)),))])
        assert (await anext(boards)).cards["checkout"].state is State.HELD
        clock.advance(61)
        assert (await anext(boards)).cards["checkout"].state is State.OK
        with database.write() as connection:
            store.replace(connection, [], [Removed("checkout", 2)])
        assert (await anext(boards)).cards == {}
        await boards.aclose()  # type: ignore[attr-defined]
        assert poller.watchers == 0

    asyncio.run(asyncio.wait_for(scene(), 20))


def test_the_stream_ends_when_the_database_is_gone(tmp_path: Path) -> None:
    """A page must not look live on what nobody can read any more."""

    async def scene() -> None:
        gone = Database.open(f"sqlite:///{tmp_path}/no/such/folder.db")
        poller = Poller(_reader(gone, ManualClock(NOW)), look_every_s=0.01)
        assert [board async for board in poller.boards()] == []

    asyncio.run(asyncio.wait_for(scene(), 20))

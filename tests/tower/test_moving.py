"""What is moving, on the board: the state of a service follows its release, and an open page learns of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.settings import Settings
from companyos.delivery.model import Phase
from companyos.ledger import open_journal
from companyos.tower import store
from companyos.tower.board import Board, Fleet, judged
from companyos.tower.condition import judge
from companyos.tower.fleet import FleetReader
from companyos.tower.landing import MOVING_CARDS, landing, moving
from companyos.tower.live import Mark, difference, mark_of, missed
from companyos.tower.model import State
from companyos.tower.moving import ReleaseMark, mark, marks
from companyos.tower.query import Query, View
from tests.tower.fake_delivery import FakeDelivery
from tests.tower.releases import in_every_phase, summary
from tests.tower.rows import DAY, NOW, ago, any_row, fine, held, incident


def told(phase: Phase = "canary", row: Any = None, **values: Any) -> tuple[State, str, str]:
    """The verdict on a service with a release on its way."""
    found = judge(row or fine(), NOW, DAY, mark(summary(phase=phase, **values), NOW))
    return found.state, found.label, found.why


@pytest.mark.parametrize(
    ("phase", "state", "label", "begins"),
    [
        ("pending", State.CANARY, "Starting", "Starting: 2.4.0. Accepted;"),
        ("canary", State.CANARY, "Canary", "Canary: 2.4.0 at 10 %. Healthy so far: 0.31 % errors"),
        ("held", State.HELD, "Held", "Held: 2.4.0 at 1 %. Too little traffic to judge."),
        ("promoted", State.CANARY, "Promoted, baking", "Promoted, baking: 2.4.0 at 100 %. Promoted; 2 % stay"),
        ("rollback_pending", State.CANARY, "Rolling back", "Rolling back: 2.4.0 at 10 %. Going back to 2.3.1"),
    ],
)
def test_the_state_of_a_service_is_that_of_its_release(phase: Phase, state: State, label: str, begins: str) -> None:
    """In one sentence, with version and step."""
    found = told(phase)
    assert found[:2] == (state, label)
    assert found[2].startswith(begins)


def test_a_release_that_nobody_watches_is_not_fine() -> None:
    """Nothing is green by default: without a look of the controller the answer is stale, also while it is held."""
    state, label, why = told("held", observed_at=ago(minutes=3))
    assert (state, label) == (State.STALE, "Stale")
    assert why == "No controller has looked at 2.4.0 since 22 Nov 2026, 11:57 UTC."


def test_incidents_and_holds_come_before_a_release() -> None:
    """What is wrong now is worse than what moves."""
    assert told(row=fine(incidents=(incident("sev1"),)))[0] is State.DOWN
    assert told(row=fine(holds=(held(),)))[2].startswith("Releases held: ")


def test_a_service_that_was_long_not_seen_is_known_while_its_release_is_watched() -> None:
    """The controller looks at it, which is newer than any report; and its row does not turn stale by itself."""
    old = fine(observed_at=ago(days=9))
    assert told(row=old)[0] is State.CANARY
    assert not judge(fine(), NOW, DAY, mark(summary(), NOW)).lapses_to_stale


@given(any_row(), st.sampled_from(["pending", "canary", "held", "promoted", "rollback_pending"]), st.booleans())
def test_with_a_release_on_its_way_nothing_is_ok(row: Any, phase: Phase, watched: bool) -> None:
    """Whatever else is known."""
    release = mark(summary(phase=phase, observed_at=ago(seconds=1 if watched else 60)), NOW)
    assert judge(row, NOW, DAY, release).state is not State.OK


def board(*releases: ReleaseMark, before: Board | None = None) -> Board:
    """The board of two services and these releases."""
    rows = {row.name: row for row in (CHECKOUT, SEARCH)}
    return judged(Fleet(rows, 1, releases), NOW, DAY, before)


CHECKOUT, SEARCH = fine("checkout"), fine("search")


def test_only_the_card_of_the_release_is_judged_anew() -> None:
    """The others stay the same object, so that what was rendered for them is used again."""
    before = board(mark(summary(), NOW))
    after = board(mark(summary(verdict="Worse."), NOW), before=before)
    assert after.cards["search"] is before.cards["search"]
    assert after.cards["checkout"] is not before.cards["checkout"]
    assert board(*after.moving, before=after).cards["checkout"] is after.cards["checkout"]


def test_a_page_learns_of_a_release_without_a_new_revision() -> None:
    """Releases move between two entries of the ledger; the strip is sent only where it is not the same."""
    before = board(mark(summary(), NOW))
    after = board(mark(summary(verdict="Worse."), NOW), before=before)
    found = difference(before, after, Query())
    assert (found.moving, [card.name for card in found.changed]) == (True, ["checkout"])
    assert not difference(before, after, Query(view=View.TABLE)).moving
    assert not difference(before, after, Query(domain="elsewhere")).moving
    assert not difference(after, board(*after.moving, before=after), Query()).moving


def test_a_page_that_was_made_before_the_release_moved_is_out_of_date() -> None:
    """Also when neither the revision nor a row has changed since."""
    still = board(mark(summary(), NOW))
    assert not missed(still, mark_of(still), DAY)
    assert missed(still, Mark(1, ago(seconds=1)), DAY)
    assert not missed(board(), Mark(1, ago(seconds=1)), DAY)


def test_a_long_queue_is_cut_and_counted() -> None:
    """The overview shows the first few; the table none; a filter those of its services."""
    full = judged(Fleet({row.name: row for row in (CHECKOUT, SEARCH)}, 1, marks(in_every_phase(), NOW)), NOW, DAY)
    page = landing(full, Query(), NOW)
    assert (len(page.moving.shown), page.moving.of) == (MOVING_CARDS, 12)
    assert moving(full, Query(view=View.TABLE)).of == 0
    assert [one.service for one in moving(full, Query(q="check")).shown] == ["checkout"]


def test_the_reader_joins_rows_and_releases(tmp_path: Any) -> None:
    """One look at both; a board is used again while neither has changed, and not after."""
    clock = ManualClock(NOW)
    journal = open_journal(Settings(home=str(tmp_path / "home")), clock)
    try:
        with journal.database.write() as connection:
            store.replace(connection, [CHECKOUT])
        delivery = FakeDelivery([summary()])
        reader = FleetReader(_database(journal), clock, DAY, delivery)
        first = reader.board()
        assert first.cards["checkout"].state is State.CANARY
        delivery.put(msgspec.structs.replace(summary(), observed_at=NOW))
        assert reader.board() is first
        delivery.releases.clear()
        second = reader.board()
        assert second.cards["checkout"].state is State.OK
        assert second.moved_at is not None
        clock.advance(60)
        delivery.put(summary())
        assert reader.board().cards["checkout"].state is State.STALE
    finally:
        journal.close()


def _database(journal: Any) -> Database:
    database: Database = journal.database
    return database

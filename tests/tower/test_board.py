from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from companyos.tower.board import judged
from companyos.tower.condition import judge
from companyos.tower.model import TowerRow
from tests.tower.rows import DAY, NOW, any_rows, board_of, fine, fleet_of, held


@given(any_rows, st.integers(0, 300_000), st.integers(0, 300_000))
def test_a_board_made_from_an_earlier_one_says_the_same(rows: list[TowerRow], first: int, more: int) -> None:
    """Keeping cards must never keep a verdict that time has ended."""
    fleet = fleet_of(*rows)
    early = judged(fleet, NOW + timedelta(seconds=first), DAY)
    late = NOW + timedelta(seconds=first + more)
    kept = judged(fleet, late, DAY, early)
    fresh = judged(fleet, late, DAY)
    assert [(name, card.state, card.condition.why) for name, card in kept.cards.items()] == [
        (name, card.state, card.condition.why) for name, card in fresh.cards.items()
    ]
    for card in kept.cards.values():
        assert card.condition.state is judge(card.row, late, DAY).state


def test_what_did_not_change_is_the_same_object() -> None:
    """Rendered rows are found by the identity of their card."""
    ending = fine("ending", holds=(held(until=NOW + timedelta(minutes=5)),))
    before = board_of(fine(), ending)
    after = judged(fleet_of(fine("new"), before.cards["checkout"].row, ending), NOW + timedelta(minutes=6), DAY, before)
    assert after.cards["checkout"] is before.cards["checkout"]
    assert after.cards["ending"] is not before.cards["ending"]


def test_a_board_holds_until_the_first_verdict_lapses() -> None:
    """Then it must be judged anew although nothing was written."""
    board = board_of(fine(), fine("ending", holds=(held(until=NOW + timedelta(minutes=5)),)))
    assert board.holds_at(1, NOW + timedelta(minutes=4))
    assert not board.holds_at(1, NOW + timedelta(minutes=5))
    assert not board.holds_at(2, NOW)
    assert not board.holds_at(1, NOW - timedelta(seconds=1))

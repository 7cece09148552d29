from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from companyos.tower.landing import ATTENTION_ROWS, by_domain, counts, landing, shown
from companyos.tower.model import State, TowerRow
from companyos.tower.query import NOBODY, PAGE_ROWS, Query, View
from tests.fleet import fleet
from tests.tower.rows import DAY, NOW, any_rows, board_of, fine, held, incident

TABLE = Query(view=View.TABLE)
filters = st.builds(
    Query,
    view=st.just(View.TABLE),
    state=st.none() | st.sampled_from(State),
    domain=st.sampled_from([None, "alpha", "beta", NOBODY]),
    owner=st.sampled_from([None, "alpha", NOBODY]),
    region=st.sampled_from([None, "eu", NOBODY]),
    q=st.sampled_from([None, "a", "zz"]),
    sort=st.sampled_from(["state", "-name", "since", "seen"]),
)


@given(any_rows)
def test_the_counts_sum_to_the_fleet(rows: list[TowerRow]) -> None:
    """Every service is in exactly one state, and no owner is counted beside them."""
    numbers = counts(board_of(*rows).cards.values())
    assert sum(numbers[state] for state in State) == len(rows)
    assert numbers["unowned"] == sum(row.owner is None for row in rows)


@given(any_rows, filters)
def test_each_number_of_the_strip_counts_what_its_link_shows(rows: list[TowerRow], query: Query) -> None:
    """A number that leads to a list of another length would be a lie."""
    board = board_of(*rows)
    for stat in landing(board, query, NOW).strip:
        if stat.key == "unowned":
            asked = msgspec.structs.replace(query, owner=NOBODY, state=None)
            if query.owner not in (None, NOBODY):
                continue
        else:
            asked = msgspec.structs.replace(query, state=State(stat.key))
        assert landing(board, asked, NOW).found == stat.count


@given(filters)
def test_the_pages_of_a_query_are_a_partition(query: Query) -> None:
    """Together the pages show each matching service exactly once."""
    board = board_of(*fleet(450, NOW))
    first = landing(board, query, NOW)
    names = [
        card.name
        for page in range(1, first.pages + 1)
        for card in landing(board, msgspec.structs.replace(query, page=page), NOW).rows
    ]
    assert len(names) == len(set(names)) == first.found
    assert set(names) == {name for name, card in board.cards.items() if query.matches(card)}


def test_a_page_beyond_the_last_one_is_the_last_one() -> None:
    """A bookmark of page 9 must not break because the fleet has shrunk."""
    board = board_of(*fleet(250, NOW))
    view = landing(board, msgspec.structs.replace(TABLE, page=9), NOW)
    assert (view.page, view.pages, len(view.rows)) == (3, 3, 250 - 2 * PAGE_ROWS)


def test_the_overview_lists_the_worst_first_and_says_how_many_there_are() -> None:
    """A person sees what is down before what is only old, and nothing that is ok."""
    rows = [fine(f"ok-{n}") for n in range(5)]
    rows += [TowerRow(name=f"unseen-{n:02}") for n in range(20)]
    rows += [fine("held", holds=(held(),)), fine("down", incidents=(incident("sev1"),))]
    view = landing(board_of(*rows), Query(), NOW)
    assert [card.name for card in view.rows[:3]] == ["down", "held", "unseen-00"]
    assert (len(view.rows), view.rows_of) == (ATTENTION_ROWS, 22)


def test_within_a_state_what_has_just_begun_stands_first() -> None:
    """New trouble must not hide behind old trouble with a smaller name."""
    early = msgspec.structs.replace(incident(), opened_at=NOW - 3 * DAY)
    board = board_of(fine("a-old", incidents=(early,)), fine("z-new", incidents=(incident(),)))
    assert list(board.cards) == ["z-new", "a-old"]


def test_the_domain_with_the_worst_findings_stands_first() -> None:
    """One service that is down outweighs many that are stale."""
    rows = [TowerRow(name=f"s{n}", domain="many-stale") for n in range(9)]
    rows += [fine("x1", domain="one-down", incidents=(incident("sev1"),)), fine("x2", domain="all-fine")]
    rows += [fine("x3", domain=None)]
    domains = by_domain(board_of(*rows).cards.values())
    assert [(domain.name, domain.attention) for domain in domains] == [
        ("one-down", 1),
        ("many-stale", 9),
        ("all-fine", 0),
        ("No domain", 0),
    ]


@given(any_rows, filters)
def test_a_live_update_and_the_page_agree_on_the_rows(rows: list[TowerRow], query: Query) -> None:
    """What a stream says the table holds is what a reload would show."""
    board = board_of(*rows)
    for view in View:
        asked = msgspec.structs.replace(query, view=view)
        assert shown(board, asked) == landing(board, asked, NOW).rows


def test_the_fleet_to_design_on_has_every_state() -> None:
    """A design that was only seen with green tiles was not seen."""
    now = datetime(2026, 11, 22, tzinfo=UTC)
    board = board_of(*fleet(2000, now), now=now)
    numbers = counts(board.cards.values())
    assert len(board.cards) == 2000
    assert all(count >= 3 for count in numbers.values()), numbers
    assert len({card.row.domain for card in board.cards.values()}) >= 12


def test_the_oldest_data_is_named() -> None:
    """Whoever reads the page can judge how much of it to believe."""
    old = fine("old", observed_at=NOW - timedelta(days=71))
    view = landing(board_of(fine(), old, TowerRow(name="unseen")), Query(), NOW)
    assert view.oldest is not None
    assert (view.oldest.name, view.unseen) == ("old", 1)

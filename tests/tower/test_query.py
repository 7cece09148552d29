from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput
from companyos.tower.model import State, TowerRow
from companyos.tower.query import NOBODY, ORDERS, Query, View, ordered, parse
from tests.tower.rows import any_rows, board_of, fine

_words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
queries = st.builds(
    Query,
    view=st.sampled_from(View),
    state=st.none() | st.sampled_from(State),
    domain=st.none() | _words,
    region=st.none() | _words,
    tier=st.none() | _words,
    owner=st.none() | _words,
    q=st.none() | _words,
    sort=st.sampled_from([*ORDERS, *(f"-{key}" for key in ORDERS)]),
    page=st.integers(1, 100_000),
)


@given(queries)
def test_a_query_survives_its_own_address(query: Query) -> None:
    """What a link says is what the page behind it reads."""
    _, _, text = query.url(page=query.page).partition("?")
    assert parse(parse_qsl(text, strict_parsing=bool(text))) == query


def test_the_plain_page_has_the_plain_address() -> None:
    """Defaults stay out of the address, so that it can be read and shared."""
    assert Query().url() == "/"
    assert Query(page=7).url(state=State.DOWN) == "/?state=down"


def test_an_empty_field_of_a_form_filters_nothing() -> None:
    """A browser sends every field of a form, empty ones too."""
    assert parse([("domain", ""), ("q", "  "), ("page", "")]) == Query()


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        pytest.param([("colour", "red")], "colour", id="unknown filter"),
        pytest.param([("state", "purple")], "state", id="unknown state"),
        pytest.param([("view", "cards")], "view", id="unknown view"),
        pytest.param([("sort", "mood")], "sort", id="unknown order"),
        pytest.param([("sort", "--name")], "sort", id="two dashes"),
        pytest.param([("page", "0")], "page", id="page zero"),
        pytest.param([("page", "-1")], "page", id="negative page"),
        pytest.param([("page", "1e3")], "page", id="page as a float"),
        pytest.param([("page", "٣")], "page", id="a digit of another script"),
        pytest.param([("page", "9" * 5000)], "page", id="huge page"),
        pytest.param([("domain", "x" * 101)], "domain", id="too long"),
        pytest.param([("q", "a\x00b")], "q", id="control character"),
        pytest.param([("tier", "a"), ("tier", "b")], "tier", id="given twice"),
    ],
)
def test_a_bad_parameter_is_named(parameters: list[tuple[str, str]], field: str) -> None:
    """One clear sentence about the field instead of a page that ignores it."""
    with pytest.raises(InvalidInput) as raised:
        parse(parameters)
    assert raised.value.field == field
    assert raised.value.next_step


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        pytest.param(Query(domain="commerce"), True, id="its domain"),
        pytest.param(Query(domain="payments"), False, id="another domain"),
        pytest.param(Query(region="eu-west-1"), True, id="one of its regions"),
        pytest.param(Query(tier="critical", owner="team-commerce"), True, id="two at once"),
        pytest.param(Query(owner=NOBODY), False, id="no owner"),
        pytest.param(Query(state=State.OK), True, id="its state"),
        pytest.param(Query(state=State.DOWN), False, id="another state"),
        pytest.param(Query(q="CHECK comm"), True, id="words in any case and field"),
        pytest.param(Query(q="check nothing"), False, id="one word is missing"),
    ],
)
def test_filters(query: Query, matches: bool) -> None:
    """Each filter looks at its own field, and all of them must agree."""
    card = board_of(fine()).cards["checkout"]
    assert query.matches(card) is matches


def test_services_without_an_owner_can_be_asked_for() -> None:
    """No owner is a state that can be counted and listed."""
    cards = board_of(fine("orphan", owner=None), fine()).cards
    assert [name for name, card in cards.items() if Query(owner=NOBODY).matches(card)] == ["orphan"]


@given(any_rows, st.sampled_from([*ORDERS, *(f"-{key}" for key in ORDERS)]))
def test_an_order_is_total(rows: list[TowerRow], sort: str) -> None:
    """The same services come in the same order however they were stored, so pages never overlap."""
    cards = list(board_of(*rows).cards.values())
    assert ordered(cards, sort) == ordered(reversed(cards), sort)

"""The pages of releases as values."""

from __future__ import annotations

from typing import Any

import pytest

from companyos.core import access
from companyos.core.access import Caller
from companyos.core.errors import InvalidInput, NotFound
from companyos.core.paging import Page
from companyos.delivery.view import Summary
from companyos.identity import RoleAuthorizer
from companyos.tower import releases
from companyos.tower.chart import charts
from companyos.tower.detail import line
from companyos.tower.release_page import SHOWN, Asking, groups, release_page
from companyos.tower.releases import NoReleases, Outcome, ReleaseQuery, finished, read_query, releases_page
from tests.tower.fake_delivery import FakeDelivery
from tests.tower.releases import detail, ended, id_of, in_every_phase, summary, ticks
from tests.tower.rows import NOW
from tests.tower.test_wording import record

ANA = Caller(subject="user:ana", roles=frozenset({"admin"}))


@pytest.fixture(autouse=True)
def roles() -> None:
    """Decide by the role table."""
    access.bind(RoleAuthorizer())


def listed(delivery: FakeDelivery, query: ReleaseQuery) -> tuple[list[Summary], str | None]:
    """What a page of finished releases shows, and where the next one begins."""

    def read(cursor: str | None, limit: int) -> Page[Summary]:
        return delivery.list_releases(ANA, service=query.service, in_flight=False, cursor=cursor, limit=limit)

    return finished(read, query)


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_pages_show_each_finished_release_once(outcome: Outcome | None) -> None:
    """Newest first, across pages, and with a filter only those that ended so."""
    delivery = FakeDelivery([*in_every_phase(), *ended(300)])
    seen: list[Summary] = []
    query = ReleaseQuery(outcome=outcome)
    while True:
        found, cursor = listed(delivery, query)
        assert len(found) <= releases.PAGE_ROWS
        seen += found
        if cursor is None:
            break
        query = ReleaseQuery(outcome=outcome, cursor=cursor)
    expected = [one.id for one in reversed(ended(300)) if outcome is None or outcome.includes(one)]
    assert [one.id for one in seen] == expected


def test_a_rare_outcome_is_looked_for_within_bounds() -> None:
    """A page reads a bounded number of releases and then says that there are older ones."""
    asked: list[int] = []

    def read(cursor: str | None, limit: int) -> Page[Summary]:
        asked.append(limit)
        return Page(items=[summary(phase="steady", number=1000 - len(asked))] * limit, next_cursor=f"c{len(asked)}")

    found, cursor = finished(read, ReleaseQuery(outcome=Outcome.ROLLED_BACK))
    assert (found, cursor, sum(asked)) == ([], "c5", 500)


def test_a_filter_keeps_to_its_service() -> None:
    """Both above and below."""
    delivery = FakeDelivery([*in_every_phase(), *ended(300)])
    query = ReleaseQuery(service="service-07")
    found, cursor = listed(delivery, query)
    page = releases_page(delivery.in_flight(), found, cursor, query, NOW)
    assert page.moving == ()
    assert {one.release.service for one in page.finished} == {"service-07"}
    query = ReleaseQuery(service="checkout")
    page = releases_page(delivery.in_flight(), [], None, query, NOW)
    assert [one.release.service for one in page.moving] == ["checkout"]


@pytest.mark.parametrize(
    "query",
    [ReleaseQuery(outcome=Outcome.PROMOTED), ReleaseQuery(cursor="x")],
    ids=["an outcome", "a later page"],
)
def test_what_is_in_flight_stands_on_the_first_page_only(query: ReleaseQuery) -> None:
    """Who asks how releases ended is not shown those that have not."""
    assert releases_page(in_every_phase(), [], None, query, NOW).moving == ()


@pytest.mark.parametrize(("given", "field"), [({"outcome": "won"}, "outcome"), ({"service": "Nope!"}, "service")])
def test_a_filter_that_cannot_be_is_named(given: dict[str, str], field: str) -> None:
    """The field is at fault, and nothing is guessed."""
    with pytest.raises(InvalidInput) as fault:
        read_query(given)
    assert fault.value.field == field


def test_a_query_is_kept_in_its_address() -> None:
    """Reading the address of a query gives the query again."""
    query = ReleaseQuery(service="checkout", outcome=Outcome.ROLLED_BACK)
    assert query.url() == "/releases?service=checkout&outcome=rolled_back"
    assert read_query({"service": "checkout", "outcome": "rolled_back"}) == query
    assert query.url(outcome=None) == "/releases?service=checkout"


def test_a_platform_without_delivery_has_no_releases() -> None:
    """Its pages are empty and not broken."""
    none = NoReleases()
    assert (none.in_flight(), none.of_service("checkout"), none.detail_for_page(id_of(1))) == ((), (), None)
    assert none.list_releases(ANA).items == []
    assert none.ticks(ANA, id_of(1)).items == []
    with pytest.raises(NotFound):
        none.command(ANA, id_of(1), "hold", reason="x")


def test_the_page_of_a_release_has_the_newest_first() -> None:
    """Transitions and weights begin with what was last."""
    page = release_page(detail(summary(phase="rolled_back")), NOW, asking=Asking())
    assert [step.made.verb for step in page.steps][:2] == ["release.rolled_back", "release.rollback"]
    assert [share for _, share in page.weights] == ["10 %", "1 %"]
    assert page.diagnostics is not None
    assert [group.title for group in page.captured] == ["Process", "Router"]


def test_diagnostics_of_another_shape_are_shown_as_they_are() -> None:
    """What a later version has captured does not break the page."""
    page = release_page(detail(summary(), diagnostics={"core_dump": {"size": 3}}), NOW, asking=Asking())
    assert page.diagnostics is None
    assert [(group.title, group.lines) for group in page.captured] == [("Core dump", ("size: 3",))]


def test_long_lists_are_folded_and_nothing_is_lost() -> None:
    """Of thirty commits some stand open, and one line more than that is no reason to fold."""
    (many,) = groups({"commits": [f"c{n}" for n in range(30)]})
    assert (len(many.lines), [*many.lines, *many.folded]) == (SHOWN, [f"c{n}" for n in range(30)])
    (few,) = groups({"files": ["f"] * (SHOWN + 1)})
    assert few.folded == ()


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({}, []),
        ({"empty": [], "none": None, "gone": {}, "blank": ""}, []),
        (
            {"from": "sha256:a", "commits_count": 1200, "same": False},
            ["from: sha256:a", "commits count: 1,200", "same: no"],
        ),
        ({"dependencies": {"httpx": {"from": "1", "to": "2"}}}, ["httpx: from 1, to 2"]),
        ({"deep": [[[[[["x"]]]]]]}, ["…"]),
    ],
)
def test_anything_that_is_known_becomes_lines(values: dict[str, Any], lines: list[str]) -> None:
    """Empty parts go, nested ones are flattened, and depth is bounded."""
    assert [line for group in groups(values) for line in group.lines] == lines


def test_a_chart_has_its_numbers_behind_it() -> None:
    """The line of the canary rises above the limit; the table shows some of the points, oldest first."""
    errors, p95 = charts(ticks(240), detail(summary()))
    assert (errors.title, p95.title) == ("Errors", "p95")
    assert errors.beside == "stable 0.33 %, limit 1 %"
    assert len(errors.canary.split()) <= 122
    assert errors.limit_y is not None
    assert 0 < len(errors.rows) <= 12
    assert errors.rows[0][1] == "0 %"
    heights = [float(point.split(",")[1]) for point in errors.canary.split()]
    assert heights[0] > heights[-1]


def test_charts_say_when_they_end_early() -> None:
    """A picture of the first minutes does not pass for all of it."""
    some, whole = Page(items=ticks(9), next_cursor="9"), Page(items=ticks(9))
    assert release_page(detail(summary()), NOW, asking=Asking(), ticks=some).charts_end_early
    assert not release_page(detail(summary()), NOW, asking=Asking(), ticks=whole).charts_end_early


def test_without_numbers_there_is_no_chart() -> None:
    """One tick makes no line, and ticks without requests say nothing."""
    assert charts(ticks(1), detail(summary())) == ()
    assert charts([], detail(summary())) == ()
    assert charts([{"at": tick["at"]} for tick in ticks(9)], detail(summary())) == ()


@pytest.mark.parametrize(("given", "expected"), [(id_of(1), id_of(1)), ("../x", None), (7, None)])
def test_a_record_leads_to_its_release(given: Any, expected: str | None) -> None:
    """A line of the ledger links to the release that its record names, and to nothing else."""
    assert line(record("release.hold", "service:checkout", details={"release_id": given})).release_id == expected
    assert line(record("service.create", "service:checkout")).release_id is None

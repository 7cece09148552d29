"""The projection against the real pillars, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from companyos.catalog import Catalog, Observed
from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied
from companyos.core.settings import Settings
from companyos.identity import RoleAuthorizer
from companyos.ledger import Journal, open_journal
from companyos.operations import Operations
from companyos.tower import projector as projector_module
from companyos.tower import store
from companyos.tower.model import Removed, State, TowerRow
from companyos.tower.projector import Projector
from companyos.tower.query import Query
from companyos.tower.service import Tower
from companyos.tower.store import Cursor
from tests.tower.rows import NOW

ANA = Caller(subject="user:ana", roles=frozenset({"admin"}))
VIEWER = Caller(subject="user:vic", roles=frozenset({"viewer"}))
DIGEST = "sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def roles() -> None:
    """Decide by the role table."""
    access.bind(RoleAuthorizer())


@pytest.fixture
def clock() -> ManualClock:
    """Return the clock of all pillars."""
    return ManualClock(NOW)


@pytest.fixture
def journal(database_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Journal]:
    """Return an empty platform."""
    journal = open_journal(Settings(home=str(tmp_path / "home"), database_url=database_url), clock)
    yield journal
    journal.close()


@pytest.fixture
def catalog(journal: Journal) -> Catalog:
    """Return its catalog."""
    return Catalog(journal)


@pytest.fixture
def operations(journal: Journal) -> Operations:
    """Return its operations."""
    return Operations(journal)


@pytest.fixture
def tower(journal: Journal) -> Tower:
    """Return its Tower."""
    return Tower(journal)


def _rows(journal: Journal) -> dict[str, TowerRow]:
    with journal.read() as connection:
        return store.rows(connection)


def _seen(version: str = "1.0") -> Observed:
    return Observed(environment="production", digest=DIGEST, version=version)


def test_a_new_service_appears_and_is_not_green(catalog: Catalog, tower: Tower) -> None:
    """From the command that adds it to the page in one look of the projector; without an observation as No data."""
    catalog.add(ANA, "checkout", {"owner": "team-a", "domain": "commerce"})
    assert tower.projector.advance() == 1
    view, _ = tower.landing(VIEWER, Query())
    assert [(card.name, card.condition.label) for card in view.rows] == [("checkout", "No data")]
    page, _ = tower.service(VIEWER, "checkout")
    assert page.card is view.rows[0]


def test_what_happens_to_a_service_shows(
    catalog: Catalog, operations: Operations, tower: Tower, clock: ManualClock, journal: Journal
) -> None:
    """Seen running, held, burning, down, mitigated, closed, lifted, silent: each after one look."""

    def state() -> str:
        tower.projector.advance()
        return tower.landing(VIEWER, Query())[0].map[0].cards[0].state

    catalog.add(ANA, "checkout", {})
    assert state() == State.STALE
    catalog.record_deployment(ANA, "checkout", _seen())
    assert state() == State.OK
    hold = operations.place_hold(ANA, "service:checkout", reason="freeze")
    assert state() == State.HELD
    incident = operations.open_incident(ANA, "service:checkout", title="Slow", severity="sev2")
    assert state() == State.BURNING
    operations.change_incident(ANA, incident.id, severity="sev1")
    assert state() == State.DOWN
    operations.change_incident(ANA, incident.id, status="mitigated")
    assert state() == State.BURNING
    operations.close_incident(ANA, incident.id)
    assert state() == State.HELD
    operations.lift_hold(ANA, hold.id, reason="over")
    assert state() == State.OK
    clock.advance(journal.settings.tower_stale_after_s)
    assert state() == State.STALE


def test_a_team_that_changes_its_rota_changes_its_services(catalog: Catalog, tower: Tower, journal: Journal) -> None:
    """The ledger entry names the team only."""
    catalog.add(ANA, "checkout", {"owner": "team-a"})
    catalog.add(ANA, "search", {"owner": "team-b"})
    tower.projector.advance()
    catalog.put_team(ANA, "team-a", oncall="rota-a")
    assert tower.projector.advance() == 1
    rows = _rows(journal)
    assert (rows["checkout"].oncall, rows["search"].oncall) == ("rota-a", None)


def test_a_hold_on_the_fleet_holds_every_service(
    catalog: Catalog, operations: Operations, tower: Tower, journal: Journal
) -> None:
    """The ledger entry names no service at all."""
    for name in ("checkout", "search"):
        catalog.add(ANA, name, {})
    tower.projector.advance()
    operations.place_hold(ANA, "fleet", reason="quarter-end freeze")
    assert tower.projector.advance() == 2
    assert {len(row.holds) for row in _rows(journal).values()} == {1}


def test_a_removed_service_goes(catalog: Catalog, tower: Tower, journal: Journal) -> None:
    """It leaves a mark that tells every reader."""
    service = catalog.add(ANA, "checkout", {})
    tower.projector.advance()
    assert len(tower.landing(VIEWER, Query())[0].rows) == 1
    catalog.remove(ANA, "checkout", if_match=f'"{service.revision}"')
    assert tower.projector.advance() == 1
    assert tower.landing(VIEWER, Query())[0].fleet == 0
    with journal.read() as connection:
        assert [type(row) for row in store.rows_since(connection, -1)] == [Removed]


def test_nothing_new_writes_nothing(catalog: Catalog, tower: Tower, journal: Journal) -> None:
    """An idle platform stays idle, and what says the same keeps its revision."""
    catalog.add(ANA, "checkout", {"owner": "a"})
    tower.projector.advance()
    before = _rows(journal)
    assert tower.projector.advance() == 0
    journal_size = journal.size()
    tower.projector.rebuild(ANA)
    assert _rows(journal) == before
    assert journal.size() == journal_size + 1


def test_a_rebuild_heals_the_projection_and_is_recorded(catalog: Catalog, tower: Tower, journal: Journal) -> None:
    """Rows that are wrong, missing or too many come right, with revisions that every reader notices."""
    for name in ("checkout", "search", "payments"):
        catalog.add(ANA, name, {"owner": "team-a"})
    tower.projector.advance()
    right = _rows(journal)
    tower.landing(VIEWER, Query())
    with journal.database.write() as connection:
        cursor = store.lock_cursor(connection)
        revision = cursor.revision + 9
        wrong = TowerRow(name="checkout", owner="mallory", revision=revision)
        store.replace(connection, [wrong, TowerRow(name="ghost", revision=revision)], [Removed("search", revision)])
        store.move_cursor(connection, Cursor(cursor.position, revision))
    assert {card.name for card in tower.landing(VIEWER, Query())[0].rows} == {"checkout", "ghost", "payments"}
    rebuilt = tower.projector.rebuild(ANA)
    assert (rebuilt.services, rebuilt.changed) == (3, 3)
    assert {name: row.owner for name, row in _rows(journal).items()} == dict.fromkeys(right, "team-a")
    view, _ = tower.landing(VIEWER, Query())
    assert {card.name: card.row.owner for card in view.rows} == dict.fromkeys(right, "team-a")
    page = tower.ledger(ANA, service=None, cursor=None)
    assert (page.lines[0].actor, page.lines[0].says) == ("user:ana", "rebuilt tower projection")
    assert tower.projector.advance() == 0


def test_a_rebuild_needs_the_right(tower: Tower) -> None:
    """A viewer can look, not rebuild."""
    with pytest.raises(Denied):
        tower.projector.rebuild(VIEWER)


def test_far_behind_it_projects_everything_at_once(
    catalog: Catalog, tower: Tower, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger of years is not read entry by entry."""
    catalog.add(ANA, "checkout", {})
    tower.projector.advance()
    monkeypatch.setattr(projector_module, "CATCH_UP_LIMIT", 1)
    catalog.add(ANA, "search", {})
    catalog.add(ANA, "payments", {})
    assert tower.projector.advance() == 2
    assert set(_rows(journal)) == {"checkout", "search", "payments"}


def test_two_projectors_do_no_harm(catalog: Catalog, operations: Operations, journal: Journal) -> None:
    """Whoever comes second finds nothing to do, and no row is lost."""
    projectors = [Projector(journal, catalog, operations) for _ in range(2)]
    for name in ("checkout", "search", "payments"):
        catalog.add(ANA, name, {})
        assert sorted(projector.advance() for projector in projectors) == [0, 1]
    assert set(_rows(journal)) == {"checkout", "search", "payments"}


def test_a_projector_that_was_overtaken_stands_back(
    catalog: Catalog, operations: Operations, tower: Tower, journal: Journal
) -> None:
    """What it read is older than what another one has written meanwhile."""

    class Overtaken(Projector):
        def _touched(self, position: int, size: int) -> projector_module.Touched:
            catalog.add(ANA, "payments", {})
            assert tower.projector.advance() == 2
            return super()._touched(position, size)

    catalog.add(ANA, "checkout", {})
    tower.projector.advance()
    catalog.add(ANA, "search", {})
    assert Overtaken(journal, catalog, operations).advance() == 0
    with journal.read() as connection:
        assert store.cursor(connection).position == journal.size()


def test_the_history_is_only_for_those_who_may_read_the_ledger(catalog: Catalog, tower: Tower) -> None:
    """A viewer sees the service; an operator also sees who did what to it."""
    catalog.add(ANA, "checkout", {"owner": "team-a"})
    tower.projector.advance()
    assert tower.service(VIEWER, "checkout")[0].lines is None
    lines = tower.service(ANA, "checkout")[0].lines
    assert lines is not None
    assert [(line.actor, line.says) for line in lines] == [("user:ana", "created service checkout")]


def test_a_service_that_is_not_projected_yet_has_a_page(catalog: Catalog, tower: Tower) -> None:
    """Whoever adds a service and looks at once sees it, judged by the same rule."""
    catalog.add(ANA, "checkout", {"depends_on": ("payments",)})
    page, _ = tower.service(VIEWER, "checkout")
    assert page.card.condition.label == "No data"
    assert [(neighbour.name, neighbour.card) for neighbour in page.needs] == [("payments", None)]


class Scene:
    """Two services to which things happen."""

    def __init__(self, home: Path) -> None:
        """Open a platform of its own."""
        self.clock = ManualClock(NOW)
        self.journal = open_journal(Settings(home=str(home)), self.clock)
        self.catalog, self.operations = Catalog(self.journal), Operations(self.journal)
        self.tower = Tower(self.journal)
        for name in ("alpha", "beta"):
            self.catalog.add(ANA, name, {"owner": "team"})

    def deploy(self, name: str) -> None:
        """See another version running."""
        self.catalog.record_deployment(ANA, name, _seen(f"1.{self.journal.size()}"))

    def hold(self, name: str) -> None:
        """Hold releases for an hour."""
        until = self.clock.now() + timedelta(hours=1)
        self.operations.place_hold(ANA, f"service:{name}", reason=f"{self.journal.size()}", until=until)

    def lift(self, name: str) -> None:
        """Lift what is held."""
        for hold in self.operations.list_holds(ANA, subject=f"service:{name}").items:
            self.operations.lift_hold(ANA, hold.id, reason="over")

    def incident(self, name: str) -> None:
        """Open an incident."""
        self.operations.open_incident(ANA, f"service:{name}", title="Slow", severity="sev1")

    def close(self, name: str) -> None:
        """Close what is open."""
        for incident in self.operations.list_incidents(ANA, subject=f"service:{name}", status="open").items:
            self.operations.close_incident(ANA, incident.id)

    def wait(self, _name: str) -> None:
        """Let half an hour pass."""
        self.clock.advance(1800)

    def advance(self, _name: str) -> None:
        """Let the projector look."""
        self.tower.projector.advance()

    def rebuild(self, _name: str) -> None:
        """Project everything anew."""
        self.tower.projector.rebuild(ANA)

    def says(self) -> list[tuple[str, str, str, int]]:
        """Return what the landing page says."""
        cards = self.tower.landing(VIEWER, Query())[0].map[0].cards
        return [(card.name, card.state, card.condition.why, card.condition.holds) for card in cards]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([Scene.deploy, Scene.hold, Scene.lift, Scene.incident, Scene.close, Scene.wait])
        | st.sampled_from([Scene.advance, Scene.rebuild]),
        st.sampled_from(["alpha", "beta"]),
    ),
    max_size=12,
)


@settings(max_examples=25)
@given(STEPS)
def test_following_the_ledger_gives_what_a_rebuild_gives(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Callable[[Scene, str], None], str]]
) -> None:
    """Whatever happened in whichever order, the projection that followed it says what one made from nothing says."""
    scene = Scene(tmp_path_factory.mktemp("steps"))
    for step, name in steps:
        step(scene, name)
    scene.tower.projector.advance()
    followed = scene.says()
    scene.tower.projector.rebuild(ANA)
    assert followed == scene.says()
    scene.journal.close()

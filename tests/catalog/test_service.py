from __future__ import annotations

from typing import Any

import msgspec
import pytest

from companyos.catalog import Catalog, Observed, ServiceQuery, SourceFile
from companyos.catalog.errors import DeploymentNotFound, NameTaken, ServiceNotFound, StillNeeded, TeamNotFound
from companyos.catalog.facts import CONFIRM_AFTER
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import (
    CompanyOSError,
    Denied,
    InvalidInput,
    PreconditionFailed,
    PreconditionRequired,
    TooLarge,
)
from companyos.ledger import Journal
from tests.catalog.documents import COMPONENT, MANIFEST
from tests.pillar import person, records

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
def catalog(journal: Journal) -> Catalog:
    """Return the use cases over an empty database."""
    return Catalog(journal)


def names(catalog: Catalog, **asked: Any) -> list[str]:
    """Return the names of the services that match, in their order."""
    page = catalog.list_services(person("v", "viewer"), ServiceQuery(**asked))
    assert page.total == len(page.items)
    return [service.name for service in page.items]


def source(text: str, path: str = "companyos.yaml") -> list[SourceFile]:
    """Return one file to import."""
    return [SourceFile(path=path, text=text)]


def outcomes(catalog: Catalog, caller: Caller, text: str) -> dict[str, str]:
    """Return what an import did, by kind and name."""
    report = catalog.import_documents(caller, source(text))
    return {f"{item.kind}:{item.name}": item.outcome for item in report.items}


# --- services ---------------------------------------------------------------------------------------------------------


def test_a_service_is_added_with_its_provenance(catalog: Catalog, journal: Journal, operator: Caller) -> None:
    """It is there as it was entered, by hand, and the ledger says by whom."""
    added = catalog.add(operator, "shop", {"owner": "team-a", "regions": ["us", "eu", "us"], "labels": {"a": "b"}})
    assert added == catalog.get(operator, "shop")
    assert (added.owner, added.regions, added.revision) == ("team-a", ("eu", "us"), 1)
    assert {fact: origin.source for fact, origin in added.provenance.items()} == {
        "owner": "manual",
        "regions": "manual",
        "labels": "manual",
    }
    (record,) = records(journal)
    assert (record.verb, record.actor, record.service, record.policy) == (
        "service.create",
        "user:olga",
        "shop",
        "roles:operator",
    )
    assert record.details["values"] == {"owner": "team-a", "regions": ["eu", "us"]}
    with pytest.raises(NameTaken):
        catalog.add(operator, "shop", {})


def test_what_may_name_people_is_not_in_the_ledger(catalog: Catalog, journal: Journal, operator: Caller) -> None:
    """Of descriptions, labels and members only the name of the fact is recorded."""
    catalog.add(operator, "shop", {"description": "Ask María", "labels": {"contact": "María"}})
    catalog.put_team(operator, "team-a", oncall="maria@example.org", members=("María",))
    assert "aría" not in str(records(journal))
    assert "maria" not in str(records(journal))
    assert records(journal)[1].details["changed"] == ["members", "oncall"]


def test_bad_names_and_facts_change_nothing(catalog: Catalog, journal: Journal, operator: Caller) -> None:
    """A name is checked before anything else; the address of the import is no name."""
    for name in ("", "x", "Shop", "shop\n", "../etc", "a" * 40, "shop/x", "import", "a\0b"):
        with pytest.raises(InvalidInput):
            catalog.add(operator, name, {})
    with pytest.raises(InvalidInput, match="depends on itself"):
        catalog.add(operator, "shop", {"depends_on": ["shop"]})
    with pytest.raises(InvalidInput, match="no fact 'colour'"):
        catalog.add(operator, "shop", {"colour": "red"})
    assert journal.size() == 0


def test_a_change_names_the_version_it_changes(catalog: Catalog, journal: Journal, operator: Caller) -> None:
    """Without one it is refused, with an old one too; with the right one it is made and the version grows."""
    catalog.add(operator, "shop", {"owner": "team-a", "tier": "1"})
    with pytest.raises(PreconditionRequired):
        catalog.update(operator, "shop", {"tier": "2"}, if_match=None)
    changed = catalog.update(operator, "shop", {"tier": "2", "owner": None}, if_match='"1"')
    assert (changed.tier, changed.owner, changed.revision) == ("2", None, 2)
    with pytest.raises(PreconditionFailed):
        catalog.update(operator, "shop", {"tier": "3"}, if_match='"1"')
    assert catalog.get(operator, "shop") == changed
    before = journal.size()
    assert catalog.update(operator, "shop", {"tier": "2"}, if_match='"2"').revision == 2
    assert journal.size() == before
    with pytest.raises(ServiceNotFound):
        catalog.update(operator, "nothing", {}, if_match="*")


def test_a_service_that_is_needed_stays(catalog: Catalog, admin: Caller) -> None:
    """While others depend on it, or it runs; there is no cascade."""
    catalog.add(admin, "shop", {"depends_on": ["cart", "unknown"]})
    catalog.add(admin, "cart", {"regions": ["eu"]})
    with pytest.raises(StillNeeded, match="shop depend on it"):
        catalog.remove(admin, "cart", if_match="*")
    catalog.update(admin, "shop", {"depends_on": []}, if_match="*")
    catalog.record_deployment(admin, "cart", Observed(environment="prod", digest=ONE, version="1"))
    with pytest.raises(StillNeeded, match="runs in prod"):
        catalog.remove(admin, "cart", if_match="*")
    catalog.end_deployment(admin, "cart", "prod", "stable")
    with pytest.raises(PreconditionRequired):
        catalog.remove(admin, "cart", if_match=None)
    catalog.remove(admin, "cart", if_match="*")
    with pytest.raises(ServiceNotFound):
        catalog.get(admin, "cart")
    assert names(catalog) == ["shop"]
    assert catalog.regions(admin).items == []


def test_lists_filter_sort_and_count(catalog: Catalog, operator: Caller) -> None:
    """Each filter alone, and together; no owner is a state of its own."""
    catalog.add(operator, "cart", {"owner": "team-b", "domain": "shop", "tier": "1", "regions": ["eu"]})
    catalog.add(operator, "mail", {"domain": "core", "regions": ["eu", "us"], "description": "100% of Post_Office"})
    catalog.add(operator, "auth", {"owner": "team-a", "tier": "1"})
    assert names(catalog) == ["auth", "cart", "mail"]
    assert names(catalog, domain="core") == ["mail"]
    assert names(catalog, region="eu") == ["cart", "mail"]
    assert names(catalog, region="eu", tier="1") == ["cart"]
    assert names(catalog, owner="team-a") == ["auth"]
    assert names(catalog, ownership="unowned") == ["mail"]
    assert names(catalog, ownership="owned") == ["auth", "cart"]
    assert names(catalog, text="post_o") == ["mail"]
    assert names(catalog, text="0%") == ["mail"]
    assert names(catalog, text="%a%") == []
    assert names(catalog, text="TEAM-A") == ["auth"]
    assert names(catalog, sort="-name") == ["mail", "cart", "auth"]
    assert names(catalog, sort="owner") == ["mail", "auth", "cart"]
    assert names(catalog, sort="-tier") == ["cart", "auth", "mail"]


def test_a_bad_list_is_refused(catalog: Catalog, viewer: Caller) -> None:
    """Words that are no names, an unknown order, and a cursor of another order."""
    for field, text in (("domain", "A B"), ("region", "\0"), ("text", "a\0"), ("text", "x" * 101), ("sort", "colour")):
        with pytest.raises(InvalidInput) as caught:
            catalog.list_services(viewer, msgspec.structs.replace(ServiceQuery(), **{field: text}))
        assert caught.value.field == field
    for cursor in ("x", "WyJhIl0", "WyJhXHUwMDAwIiwiYiJd", "WyJhIiwiYiJd"):
        with pytest.raises(InvalidInput) as caught:
            catalog.list_services(viewer, ServiceQuery(sort="updated_at"), cursor=cursor)
        assert caught.value.field == "cursor"


def test_pages_hold_each_service_once_in_every_order(catalog: Catalog, operator: Caller, clock: ManualClock) -> None:
    """Also where many have the same key, or none."""
    for number in range(11):
        clock.advance(number % 2)
        catalog.add(operator, f"s{number:02}", {"owner": f"team-{number % 3}"} if number % 4 else {})
    for sort in ("name", "-name", "owner", "-owner", "tier", "updated_at", "-updated_at"):
        asked, seen, cursor = ServiceQuery(sort=sort), [], None
        while True:
            page = catalog.list_services(operator, asked, cursor=cursor, limit=3)
            assert page.total == 11
            seen += [service.name for service in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert seen == names(catalog, sort=sort)
        assert len(set(seen)) == 11


# --- import -----------------------------------------------------------------------------------------------------------


def test_an_import_is_recorded_once(catalog: Catalog, journal: Journal, operator: Caller, clock: ManualClock) -> None:
    """The same files again change and record nothing; an hour later they confirm what they say."""
    text = f"{MANIFEST}---{COMPONENT}"
    assert set(outcomes(catalog, operator, text).values()) == {"created"}
    size, known = journal.size(), catalog.get(operator, "checkout")
    assert size == 2
    assert set(outcomes(catalog, operator, text).values()) == {"unchanged"}
    assert (journal.size(), catalog.get(operator, "checkout")) == (size, known)
    clock.advance(CONFIRM_AFTER.total_seconds())
    assert set(outcomes(catalog, operator, text).values()) == {"confirmed"}
    confirmed = catalog.get(operator, "checkout")
    assert (confirmed.owner, confirmed.revision) == ("team-pay", 2)
    assert confirmed.provenance["owner"].observed_at == clock.now()
    assert records(journal)[-1].verb == "service.confirm"


def test_an_import_withdraws_what_it_no_longer_says(catalog: Catalog, operator: Caller) -> None:
    """And leaves what a person has said."""
    catalog.import_documents(operator, source(MANIFEST))
    catalog.update(operator, "checkout", {"lifecycle": "production"}, if_match="*")
    assert outcomes(catalog, operator, MANIFEST.replace("  owner: team-pay\n", "")) == {"service:checkout": "updated"}
    service = catalog.get(operator, "checkout")
    assert (service.owner, service.lifecycle, service.tier) == (None, "production", "critical")
    assert catalog.counts(operator).unowned == 1
    assert names(catalog, region="eu-west-1") == ["checkout"]


def test_one_broken_document_imports_nothing(catalog: Catalog, journal: Journal, operator: Caller) -> None:
    """Neither what comes before it nor what comes after it."""
    for bad in (
        "---\napiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: X}\nspec: {}",
        "---\na: [",
        "---\n{}",
    ):
        with pytest.raises(InvalidInput):
            catalog.import_documents(operator, source(MANIFEST + bad))
    reserved = MANIFEST.replace("name: checkout", "name: import")
    with pytest.raises(InvalidInput, match="'import'"):
        catalog.import_documents(operator, source(f"{COMPONENT}---{reserved}"))
    with pytest.raises(TooLarge):
        catalog.import_documents(operator, source("#" * 10_000_000))
    assert journal.size() == 0
    assert names(catalog) == []


def test_backstage_fills_teams_and_domains(catalog: Catalog, operator: Caller) -> None:
    """What it says of them is shown with how many services are theirs; what it skips is in the report."""
    group = "{apiVersion: backstage.io/v1alpha1, kind: Group, metadata: {name: artist-relations}, spec: {members: [a]}}"
    domain = "{apiVersion: backstage.io/v1alpha1, kind: Domain, metadata: {name: music, title: Music}}"
    location = "{apiVersion: backstage.io/v1alpha1, kind: Location, metadata: {name: all}}"
    report = catalog.import_documents(
        operator, source("---\n".join(f"{one}\n" for one in (COMPONENT, group, domain, location)))
    )
    assert [skipped.entity for skipped in report.skipped][-1] == "Location:default/all"
    (team,) = catalog.teams(operator).items
    assert (team.name, team.services, team.team and team.team.members) == ("artist-relations", 1, ("a",))
    assert [
        (view.name, view.services, view.domain and view.domain.title) for view in catalog.domains(operator).items
    ] == [
        ("music", 0, "Music"),
        ("public-websites", 1, None),
    ]


# --- teams and words --------------------------------------------------------------------------------------------------


def test_a_team_is_described_and_changed(catalog: Catalog, operator: Caller) -> None:
    """The first description needs no version, a change does."""
    made = catalog.put_team(operator, "team-a", title="A", oncall="rota-a")
    assert (made.revision, catalog.get_team(operator, "team-a")) == (1, made)
    with pytest.raises(PreconditionRequired):
        catalog.put_team(operator, "team-a", title="B")
    changed = catalog.put_team(operator, "team-a", title="B", if_match='"1"')
    assert (changed.title, changed.oncall, changed.revision) == ("B", None, 2)
    with pytest.raises(TeamNotFound):
        catalog.get_team(operator, "team-b")


def test_words_are_counted_and_come_in_pages(catalog: Catalog, operator: Caller) -> None:
    """Regions, tiers, teams and domains, in the order of their names."""
    for number in range(5):
        catalog.add(operator, f"s{number}", {"regions": [f"r{number}", "all"], "tier": "1", "domain": f"d{number % 2}"})
    catalog.put_team(operator, "team-z")
    first = catalog.regions(operator, limit=4)
    assert [(word.name, word.services) for word in first.items] == [("all", 5), ("r0", 1), ("r1", 1), ("r2", 1)]
    assert [word.name for word in catalog.regions(operator, limit=4, cursor=first.next_cursor).items] == ["r3", "r4"]
    assert [(word.name, word.services) for word in catalog.tiers(operator).items] == [("1", 5)]
    assert [(view.name, view.services) for view in catalog.domains(operator).items] == [("d0", 3), ("d1", 2)]
    assert [(view.name, view.services) for view in catalog.teams(operator).items] == [("team-z", 0)]
    counts = catalog.counts(operator)
    assert (counts.services, counts.owned, counts.unowned, counts.teams, counts.domains) == (5, 0, 5, 1, 2)


# --- what runs where --------------------------------------------------------------------------------------------------


def seen(digest: str = ONE, version: str = "1.0.0", **more: Any) -> Observed:
    """Return an observation in production."""
    return Observed(environment="prod", digest=digest, version=version, **more)


def test_what_runs_is_replaced_and_remembered(
    catalog: Catalog, journal: Journal, admin: Caller, clock: ManualClock
) -> None:
    """Of an arm one thing runs; what ran before has its end, and each change its record with the release."""
    catalog.add(admin, "shop", {})
    first = catalog.record_deployment(admin, "shop", seen())
    clock.advance(60)
    second = catalog.record_deployment(admin, "shop", seen(TWO, "1.1.0"))
    canary = catalog.record_deployment(admin, "shop", seen(ONE, "1.2.0", arm="canary", weight_ratio=0.01))
    running = catalog.list_deployments(admin, "shop").items
    assert [(item.arm, item.version) for item in running] == [("canary", "1.2.0"), ("stable", "1.1.0")]
    everything = catalog.list_deployments(admin, "shop", ended=True, environment="prod").items
    assert [item.id for item in everything] == [canary.id, second.id, first.id]
    assert everything[2].until == second.since
    assert [(record.verb, record.release) for record in records(journal)[1:]] == [
        ("deployment.start", "shop@1.0.0"),
        ("deployment.replace", "shop@1.1.0"),
        ("deployment.start", "shop@1.2.0"),
    ]
    assert [(word.name, word.services) for word in catalog.environments(admin).items] == [("prod", 1)]
    catalog.end_deployment(admin, "shop", "prod", "canary")
    with pytest.raises(DeploymentNotFound):
        catalog.end_deployment(admin, "shop", "prod", "canary")


def test_the_source_is_who_says_it(catalog: Catalog, journal: Journal, admin: Caller) -> None:
    """A service speaks for the runtime, a person for themselves; the same again is not recorded."""
    catalog.add(admin, "shop", {})
    robot = person("k8s", "operator", type="service")
    assert catalog.record_deployment(robot, "shop", seen()).source == "runtime:k8s"
    before = journal.size()
    catalog.record_deployment(robot, "shop", seen())
    assert journal.size() == before
    assert catalog.record_deployment(admin, "shop", seen(TWO)).source == "manual"
    with pytest.raises(ServiceNotFound):
        catalog.record_deployment(admin, "nothing", seen())


def test_pages_about_services_get_everything_at_once(catalog: Catalog, admin: Caller, journal: Journal) -> None:
    """Facts, the owner's team and what runs, for the names that exist; also within a transaction."""
    catalog.add(admin, "shop", {"owner": "team-a"})
    catalog.add(admin, "cart", {"owner": "team-b"})
    catalog.put_team(admin, "team-a", oncall="rota-a")
    catalog.record_deployment(admin, "shop", seen())
    everything = {item.service.name: item for item in catalog.services_for_projection()}
    assert list(everything) == ["cart", "shop"]
    assert everything["shop"].team is not None
    assert everything["shop"].team.oncall == "rota-a"
    assert [item.digest for item in everything["shop"].deployments] == [ONE]
    assert (everything["cart"].team, everything["cart"].deployments) == (None, ())
    with journal.read() as connection:
        some = catalog.services_for_projection(["shop", "gone"], connection=connection)
    assert some == [everything["shop"]]
    assert catalog.services_for_projection([]) == []


# --- who may ----------------------------------------------------------------------------------------------------------


def test_looking_is_for_viewers_and_writing_for_operators(
    catalog: Catalog, journal: Journal, viewer: Caller, operator: Caller
) -> None:
    """Each use case asks before it looks; removing takes an admin."""
    nobody = person("nobody")
    for read in (
        lambda: catalog.list_services(nobody, ServiceQuery()),
        lambda: catalog.get(nobody, "shop"),
        lambda: catalog.list_deployments(nobody, "shop"),
        lambda: catalog.teams(nobody),
        lambda: catalog.get_team(nobody, "team-a"),
        lambda: catalog.domains(nobody),
        lambda: catalog.regions(nobody),
        lambda: catalog.tiers(nobody),
        lambda: catalog.environments(nobody),
        lambda: catalog.counts(nobody),
        lambda: catalog.add(viewer, "shop", {}),
        lambda: catalog.update(viewer, "shop", {}, if_match=None),
        lambda: catalog.import_documents(viewer, source("broken: [")),
        lambda: catalog.put_team(viewer, "team-a"),
        lambda: catalog.record_deployment(viewer, "shop", seen()),
        lambda: catalog.end_deployment(viewer, "shop", "prod", "stable"),
        lambda: catalog.remove(operator, "shop", if_match="*"),
    ):
        with pytest.raises(Denied):
            read()
    assert journal.size() == 0


def test_ten_thousand_odd_facts_are_kept_whole(catalog: Catalog, operator: Caller) -> None:
    """The largest service that the limits allow is stored, listed and projected on every database."""
    facts = {
        "description": "é" * 4000,
        "regions": [f"region-{number}" for number in range(64)],
        "depends_on": [f"service-{number}" for number in range(256)],
        "labels": {f"key-{number}": "ü" * 200 for number in range(64)},
        "annotations": {f"key-{number}": "\n" * 4000 for number in range(64)},
    }
    try:
        added = catalog.add(operator, "shop", facts)
    except CompanyOSError as fault:
        pytest.fail(str(fault))
    assert catalog.get(operator, "shop") == added
    assert catalog.services_for_projection()[0].service == added

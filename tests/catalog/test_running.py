"""What runs, written within the transaction of somebody else."""

from __future__ import annotations

import pytest

from companyos.catalog import Catalog, Deployment
from companyos.catalog.deployment import Observed
from companyos.catalog.errors import ServiceNotFound
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict
from companyos.ledger import Journal
from tests.pillar import records

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64
CONTROLLER = Caller(subject="system:delivery")
"""A loop of the platform, which has no role."""


@pytest.fixture
def catalog(journal: Journal, admin: Caller) -> Catalog:
    """Return a catalog with one service."""
    made = Catalog(journal)
    made.add(admin, "shop", {})
    return made


def canary(digest: str = TWO, weight: float = 0.01) -> Observed:
    """Return what the controller knows to run as a canary."""
    return Observed(environment="prod", arm="canary", digest=digest, version="1.1.0", weight_ratio=weight)


def running(catalog: Catalog, admin: Caller) -> list[Deployment]:
    """Return what runs of the service."""
    return catalog.list_deployments(admin, "shop").items


def test_a_controller_starts_weighs_and_ends(catalog: Catalog, journal: Journal, admin: Caller) -> None:
    """Each step with its record, by the name of the loop; no role is asked for."""
    with journal.write(CONTROLLER) as change:
        made = catalog.record_deployment_in(change, "shop", canary())
    assert (made.source, running(catalog, admin)) == ("runtime:delivery", [made])
    with journal.write(CONTROLLER) as change:
        assert catalog.record_deployment_in(change, "shop", canary(weight=0.1)).weight_ratio == 0.1
    with journal.write(CONTROLLER) as change:
        assert catalog.end_deployment_in(change, "shop", "prod", "canary")
    assert running(catalog, admin) == []
    assert [(record.verb, record.actor, record.release) for record in records(journal)[1:]] == [
        ("deployment.start", "system:delivery", "shop@1.1.0"),
        ("deployment.reweigh", "system:delivery", "shop@1.1.0"),
        ("deployment.end", "system:delivery", "shop@1.1.0"),
    ]


def test_the_same_again_writes_nothing(catalog: Catalog, journal: Journal, admin: Caller, clock: ManualClock) -> None:
    """Whoever resumes after a crash may say it again, and end again what has ended."""
    with journal.write(CONTROLLER) as change:
        made = catalog.record_deployment_in(change, "shop", canary())
    size = journal.size()
    clock.advance(60)
    with journal.write(CONTROLLER, unchanged_ok=True) as change:
        assert catalog.record_deployment_in(change, "shop", canary()) == made
        assert not catalog.end_deployment_in(change, "shop", "prod", "stable")
        assert change.entries == []
    assert (running(catalog, admin), journal.size()) == ([made], size)


def test_it_is_undone_with_the_transaction(catalog: Catalog, journal: Journal, admin: Caller) -> None:
    """What fails after it takes it along."""

    def failing() -> None:
        with journal.write(CONTROLLER) as change:
            catalog.record_deployment_in(change, "shop", canary())
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        failing()
    assert (running(catalog, admin), journal.size()) == ([], 1)


def test_the_rules_hold_here_too(catalog: Catalog, journal: Journal, clock: ManualClock) -> None:
    """A service that is not there, and what began before the one that it would replace."""
    since = clock.now()
    clock.advance(60)
    with journal.write(CONTROLLER, unchanged_ok=True) as change:
        with pytest.raises(ServiceNotFound):
            catalog.record_deployment_in(change, "gone", canary())
        with pytest.raises(ServiceNotFound):
            catalog.end_deployment_in(change, "gone", "prod", "canary")
        catalog.record_deployment_in(change, "shop", canary())
        older = Observed(environment="prod", arm="canary", digest=ONE, version="1.0.0", since=since)
        with pytest.raises(Conflict):
            catalog.record_deployment_in(change, "shop", older)


def test_a_service_is_there_or_not(catalog: Catalog, journal: Journal) -> None:
    """Also for a name that nothing could have."""
    with journal.read() as connection:
        assert catalog.has_service(connection, "shop")
        assert not catalog.has_service(connection, "cart")
        assert not catalog.has_service(connection, "no name")

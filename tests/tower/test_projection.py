from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.catalog import Deployment, Projected, Provenance, Service, Team
from companyos.operations import Hold, Incident
from companyos.tower.findings import findings
from companyos.tower.projection import judged_deployments, project
from tests.tower.rows import NOW, ago

NOTHING = findings({}, {})


def deployment(environment: str = "production", arm: str = "stable", **values: Any) -> Deployment:
    """What runs, since an hour, seen a minute ago."""
    given: dict[str, Any] = {
        "since": ago(hours=1),
        "observed_at": ago(minutes=1),
        "version": "1.4.2",
        "source": "runtime:keeper",
    }
    given |= values
    return Deployment(
        id=f"{environment}-{arm}",
        service="checkout",
        environment=environment,
        arm=arm,  # type: ignore[arg-type] # one of the two arms
        digest="sha256:" + "0" * 64,
        release=f"checkout@{given['version']}",
        **given,
    )


def known(*deployments: Deployment, **facts: Any) -> Projected:
    """A service that one source has described a day ago."""
    service = Service(
        name="checkout",
        provenance={fact: Provenance(source="manual", observed_at=ago(days=1)) for fact in facts},
        created_at=ago(days=3),
        updated_at=ago(days=2),
        **facts,
    )
    return Projected(service=service, team=None, deployments=deployments)


def hold(subject: str, id: str = "h1", at: datetime | None = None) -> Hold:
    """An active hold."""
    return Hold(id=id, subject=subject, reason="freeze", source="slo", placed_by="user:a", placed_at=at or ago(hours=2))


def incident(subject: str, **values: Any) -> Incident:
    """An open incident."""
    given: dict[str, Any] = {"severity": "sev2", "title": "Slow", "opened_by": "user:a", "opened_at": ago(hours=2)}
    given |= values
    return Incident(id="i1", subject=subject, **given)


def test_a_service_of_which_only_the_name_is_known() -> None:
    """Nothing is invented: no owner, no environment, no observation."""
    row = project(known(), NOTHING, revision=7)
    assert (row.name, row.owner, row.environment, row.arms, row.observed_at) == ("checkout", None, None, (), None)
    assert (row.recorded_at, row.sources, row.revision) == (ago(days=2), (), 7)


def test_the_row_holds_what_the_landing_page_needs() -> None:
    """Facts of the catalog, who is on call, what runs, and every source of it."""
    projected = known(
        deployment(), owner="team-a", domain="d", tier="critical", regions=("eu",), depends_on=("payments",)
    )
    team = Team(name="team-a", oncall="rota-a", created_at=NOW, updated_at=NOW)
    row = project(
        Projected(service=projected.service, team=team, deployments=projected.deployments), NOTHING, revision=1
    )
    assert (row.owner, row.oncall, row.domain, row.tier) == ("team-a", "rota-a", "d", "critical")
    assert (row.regions, row.depends_on) == (("eu",), ("payments",))
    assert [(arm.arm, arm.version, arm.source) for arm in row.arms] == [("stable", "1.4.2", "runtime:keeper")]
    assert (row.deployed_at, row.observed_at, row.recorded_at) == (ago(hours=1), ago(minutes=1), ago(days=1))
    assert row.sources == ("manual", "runtime:keeper")


def test_the_state_rests_on_what_was_seen_least_recently() -> None:
    """A canary that reports every second does not keep a silent stable arm fresh."""
    row = project(known(deployment(observed_at=ago(days=3)), deployment(arm="canary")), NOTHING, revision=1)
    assert row.observed_at == ago(days=3)


@pytest.mark.parametrize(
    ("deployments", "judged"),
    [
        pytest.param([deployment("staging", since=NOW), deployment("production")], "production", id="production wins"),
        pytest.param([deployment("prod"), deployment("staging", since=NOW)], "prod", id="by its short name"),
        pytest.param([deployment("test"), deployment("staging", since=NOW)], "staging", id="else the last deployed"),
    ],
)
def test_a_service_is_judged_by_production(deployments: list[Deployment], judged: str) -> None:
    """A green staging must not hide what production does."""
    assert {one.environment for one in judged_deployments(deployments)} == {judged}


def test_holds_reach_a_service_by_its_name_its_releases_and_the_fleet() -> None:
    """These are what delivery asks about; a hold on a domain or on another service is not among them."""
    holds = {
        "service:checkout": [hold("service:checkout", "a", ago(hours=3))],
        "release:checkout@2.0": [hold("release:checkout@2.0", "b", ago(hours=2))],
        "fleet": [hold("fleet", "c", ago(hours=1))],
        "domain:d": [hold("domain:d", "d")],
        "service:other": [hold("service:other", "e")],
    }
    row = project(known(domain="d"), findings(holds, {}), revision=1)
    assert [mark.id for mark in row.holds] == ["a", "b", "c"]


def test_only_an_incident_of_the_service_changes_its_state() -> None:
    """An incident about everything does not say which services fail."""
    incidents = {
        "release:checkout@2.0": [incident("release:checkout@2.0", severity="sev1", status="mitigated")],
        "fleet": [incident("fleet", severity="sev1")],
    }
    row = project(known(), findings({}, incidents), revision=1)
    assert [(mark.severity, mark.mitigated) for mark in row.incidents] == [("sev1", True)]


@given(st.permutations([deployment(), deployment(arm="canary"), deployment("staging"), deployment("eu-test")]))
def test_the_order_of_what_is_read_does_not_matter(deployments: list[Deployment]) -> None:
    """A rebuild gives the same row, so it changes nothing that was right."""
    first = project(known(deployment(), deployment(arm="canary")), NOTHING, revision=1)
    assert project(known(*deployments), NOTHING, revision=1).arms == first.arms

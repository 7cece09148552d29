from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from companyos.catalog.deployment import Observed, observe
from companyos.catalog.facts import CONFIRM_AFTER
from companyos.catalog.model import Deployment
from companyos.core.errors import Conflict, InvalidInput

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def seen(digest: str = ONE, version: str = "1.0.0", **more: object) -> Observed:
    """Return an observation in production."""
    return Observed(environment="prod", digest=digest, version=version, **more)  # type: ignore[arg-type] # test data


def running() -> Deployment:
    """Return what runs there since NOW."""
    return observe(None, seen(weight_ratio=0.1), service="shop", source="runtime:k8s", id="d1", now=NOW).deployment


def test_the_first_observation_starts() -> None:
    """Since now, unless it says since when; the release is named after service and version."""
    step = observe(None, seen(), service="shop", source="runtime:k8s", id="d1", now=NOW)
    assert (step.change, step.deployment.since, step.deployment.release) == ("start", NOW, "shop@1.0.0")
    earlier = NOW - timedelta(hours=2)
    dated = observe(None, seen(since=earlier), service="shop", source="s", id="d1", now=NOW)
    assert (dated.deployment.since, dated.deployment.observed_at) == (earlier, NOW)


@pytest.mark.parametrize(("digest", "version"), [(TWO, "1.0.0"), (ONE, "1.0.1"), (TWO, "2.0.0")])
def test_another_artifact_or_version_replaces(digest: str, version: str) -> None:
    """A new row, so that the history tells them apart."""
    later = NOW + timedelta(minutes=1)
    step = observe(running(), seen(digest, version), service="shop", source="s", id="d2", now=later)
    assert (step.change, step.deployment.id, step.deployment.since) == ("replace", "d2", later)


def test_a_new_weight_moves_the_same_deployment() -> None:
    """It keeps its id and its beginning; saying nothing about the weight leaves it."""
    later = NOW + timedelta(minutes=1)
    step = observe(running(), seen(weight_ratio=0.5), service="shop", source="s", id="d2", now=later)
    assert (step.change, step.deployment.id, step.deployment.since) == ("reweigh", "d1", NOW)
    assert (step.deployment.weight_ratio, step.deployment.observed_at) == (0.5, later)
    assert observe(running(), seen(), service="shop", source="s", id="d2", now=later).change == "nothing"


def test_the_same_again_is_news_after_an_hour() -> None:
    """So that what runs stays fresh without a row for every heartbeat."""
    for late, change in ((CONFIRM_AFTER - timedelta(seconds=1), "nothing"), (CONFIRM_AFTER, "confirm")):
        step = observe(running(), seen(weight_ratio=0.1), service="shop", source="s", id="d2", now=NOW + late)
        assert step.change == change
        assert step.deployment.observed_at == NOW + (late if change == "confirm" else timedelta())


def test_an_observation_from_the_past_does_not_turn_time_back() -> None:
    """A late report of the version before is a conflict, not a deployment."""
    with pytest.raises(Conflict, match=r"1\.0\.0 replaced"):
        observe(
            running(),
            seen(TWO, "0.9.0", since=NOW - timedelta(hours=1)),
            service="shop",
            source="s",
            id="d2",
            now=NOW + timedelta(minutes=1),
        )


@pytest.mark.parametrize("since", [NOW + timedelta(seconds=1), datetime(2026, 5, 1)])  # noqa: DTZ001 - naive on purpose
def test_a_beginning_must_be_a_past_moment(since: datetime) -> None:
    """With a time zone."""
    with pytest.raises(InvalidInput) as caught:
        observe(None, seen(since=since), service="shop", source="s", id="d1", now=NOW)
    assert caught.value.field == "since"

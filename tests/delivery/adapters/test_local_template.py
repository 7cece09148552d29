"""The runtime, the prober and the template together: a real service in its real environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.clock import SystemClock
from companyos.delivery.adapters.prober import HttpProber
from companyos.delivery.environments import Environments
from tests.delivery import templated
from tests.delivery.running import LocalWorld, get, launch_of
from tests.needs import needs
from tests.waiting import until

pytestmark = needs("template")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LocalWorld]:
    """Return a world with the environments of this user."""
    made = LocalWorld(tmp_path, Environments())
    yield made
    made.close()


def test_a_service_of_the_template_runs_and_passes_its_own_checks(world: LocalWorld) -> None:
    """It says which build answers, and ends without being killed."""
    launch = launch_of(world.put(templated.artifact()), memory_mb=512, open_files=1024, environment="production")
    world.runtime.start(launch)
    ready = world.until_state(launch, "ready", "failed")
    assert ready.state == "ready", ready.reason
    assert ready.address is not None
    _, health = get(ready, "/health")
    assert health["build"]["version"] == "1.0.0"
    assert health["build"]["commit"] == "c0ffee" + "0" * 34
    prober = HttpProber(world.artifacts, SystemClock())
    try:
        prober.watch(launch.release_id, ready.address, launch.digest, 600.0)
        results = until(prober.results, "the smoke checks")
        assert [result.failure for result in results] == [""]
    finally:
        prober.close()
    world.runtime.stop(launch.release_id, 10.0)
    world.until_state(launch, "absent")
    assert "server.stop" in world.runtime.log_tail(launch.release_id, 1)[0]

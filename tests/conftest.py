"""What holds for every test: where its parts come from, how it may skip, and how properties are searched."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.skipping", "tests.postgres"]

settings.register_profile(
    "house",
    deadline=None,  # machines differ in speed; a number belongs into `make bench`, never into a test
    suppress_health_check=[HealthCheck.too_slow],
    derandomize="CI" in os.environ,  # the same commit gives the same verdict in CI; laptops keep searching
)
settings.load_profile("house")

# A developer's own platform must not be what a test finds.
for _name in [name for name in os.environ if name.startswith("COMPANYOS_")]:
    del os.environ[_name]

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core import access
from companyos.identity import RoleAuthorizer
from tests.faults.platform import Platform, opened


@pytest.fixture(scope="module", autouse=True)
def bound() -> Iterator[None]:
    """Let the table of roles decide, as in a running platform, and nothing afterwards."""
    access.bind(RoleAuthorizer())
    yield
    access.bind(access.DenyAll())


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache in which the one environment of all these services is made."""
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, environments: Path, bound: None) -> Iterator[Platform]:
    """Return one platform for all tests of the module; every test has services of its own."""
    with opened(Platform(tmp_path_factory.mktemp("home"), environments)) as made:
        made.start()
        yield made

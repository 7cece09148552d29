from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.evidence import Artifact, Evidence
from companyos.ledger import Journal
from tests.evidence.artifacts import tar
from tests.evidence.repositories import Repository
from tests.pillar import (
    admin,
    bound,
    clock,
    database,
    journal,
    migrated_postgres,
    operator,
    viewer,
)

__all__ = [
    "admin",
    "bound",
    "clock",
    "database",
    "journal",
    "migrated_postgres",
    "operator",
    "viewer",
]


@pytest.fixture
def evidence(journal: Journal) -> Evidence:
    """Return the use cases over an empty journal."""
    return Evidence(journal)


@pytest.fixture
def stored(evidence: Evidence, operator: Caller) -> Callable[..., Artifact]:
    """Return what stores an artifact with these files."""
    return lambda **files: evidence.put_artifact(operator, tar(**files))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return a repository with one commit that can be shipped."""
    made = Repository.new(tmp_path / "shop")
    made.write("companyos.yaml", "apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n")
    made.write("requirements.lock", "httpx==0.27.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    made.write("src/app.py", "print('hello')\n")
    made.commit("Begin")
    return made

from __future__ import annotations

import os
from pathlib import Path

import pytest

from companyos.goldenpath.creating import create
from tests.goldenpath.scaffolding import working_folder


@pytest.fixture(autouse=True)
def git_of_nobody(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that nobody has configured, whatever the developer's own one says; returns its configuration file."""
    configuration = tmp_path_factory.mktemp("git") / "config"
    configuration.touch()
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    return configuration


@pytest.fixture(scope="session")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service made from the working folder of api-python with the defaults; tests only read it."""
    folder = tmp_path_factory.mktemp("services")
    create(working_folder(), "orders", folder, {})
    return folder / "orders"

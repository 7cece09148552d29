"""A keeper of its own for each test, and the promise that nothing a test started outlives it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from companyos.core.keeper import ChildSpec, Keeper
from tests.program import end_all

SpecOf = Callable[..., ChildSpec]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with its run and log folders."""
    for name in ("run", "logs"):
        (tmp_path / name).mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def keeper(home: Path) -> Iterator[Keeper]:
    """The keeper of that home, not started; what runs at the end is ended by process id."""
    keeper = Keeper(home / "run", home / "logs")
    yield keeper
    end_all(home)


@pytest.fixture
def spec_of(home: Path) -> SpecOf:
    """Makes the spec of a child that runs a Python program."""

    def make(program: str = "import time; time.sleep(600)", name: str = "server", **changes: object) -> ChildSpec:
        spec = ChildSpec(
            name=name,
            argv=(sys.executable, "-S", "-c", program),
            cwd="/",
            env={"PATH": "/bin:/usr/bin", "GREETING": "hello"},
            log=str(home / "logs" / f"{name}.log"),
        )
        return spec._replace(**changes)  # type: ignore[arg-type]

    return make

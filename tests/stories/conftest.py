"""A home of its own for each story, on a free port, and the promise that nothing outlives it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.keeper import Keeper
from tests.program import Program, end_all


@pytest.fixture
def port() -> int:
    """A port of this machine that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
        return found


@pytest.fixture
def program(tmp_path: Path, port: int) -> Iterator[Program]:
    """The command line for a home that does not exist yet, whose server listens on that port."""
    program = Program(tmp_path / "home", {"COMPANYOS_PORT": str(port)})
    yield program
    end_all(program.home)


@pytest.fixture
def keeper(program: Program) -> Keeper:
    """The keeper of that home, to look at what it runs."""
    return Keeper(program.home / "run", program.home / "logs")

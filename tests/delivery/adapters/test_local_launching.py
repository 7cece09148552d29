"""From a launch to a command line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from companyos.core.home import Home
from companyos.delivery.adapters import listening
from companyos.delivery.adapters.listening import free_port, port_is_taken
from companyos.delivery.adapters.local.launching import Folders, Prepared, spec_of
from companyos.delivery.section import RunSection
from tests.delivery.running import launch_of


@pytest.mark.parametrize(
    ("command", "program"),
    [(("python", "-m", "src.main"), "/env/bin/python"), (("./bin/run", "x"), "APP/bin/run")],
)
def test_the_program_is_the_own_python_or_a_file_of_the_artifact(
    tmp_path: Path, command: tuple[str, ...], program: str
) -> None:
    """Behind two limits."""
    launch = launch_of(f"sha256:{'ab' * 32}", memory_mb=100, open_files=77)
    folders = Folders(Home(tmp_path), launch.release_id)
    run = RunSection(command=command, port_env="LISTEN")
    prepared = Prepared(folders.app, folders.work, Path("/env/bin/python"), run)
    spec = spec_of(launch, folders, prepared, 20_123, 7.0)
    assert spec.argv[:2] == ("/bin/sh", "-c")
    assert spec.argv[4:6] == ("77", str((2 * 100 + 512) * 1024))
    assert spec.argv[6:] == (program.replace("APP", str(folders.app)), *command[1:])
    assert (spec.name, spec.cwd, spec.grace_s) == (f"release-{launch.release_id}", str(folders.app), 7.0)
    assert spec.log == str(tmp_path / "logs" / f"release-{launch.release_id}.log")
    assert spec.env["LISTEN"] == "20123"
    assert "PORT" not in spec.env
    assert "COMPANYOS_COMMIT" not in spec.env


def test_a_port_is_free_and_none_of_the_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither one that somebody listens on, nor one that is promised already."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        used = listener.getsockname()[1]
        assert port_is_taken(used)
        other = free_port(())
        assert not port_is_taken(other)
        monkeypatch.setattr(listening, "_PORTS", [used, other])
        assert {free_port(()) for _ in range(20)} == {other}
        monkeypatch.setattr(listening, "_PORTS", [used])
        assert free_port(()) not in {used, 0}
        monkeypatch.setattr(listening, "_PORTS", [other])
        assert free_port({other}) != other

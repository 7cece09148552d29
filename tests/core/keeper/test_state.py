from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from companyos.core.keeper import state
from companyos.core.keeper.protocol import ChildSpec, Refused, environment_hash

ENVIRONMENT = {"COMPANYOS_DATABASE_URL": "postgresql://user:a-secret@db/companyos"}
SPEC = ChildSpec("server", ("/bin/sleep", "1"), "/", ENVIRONMENT, "/tmp/server.log")


def records() -> tuple[state.Record, ...]:
    """One recorded child."""
    hashed = environment_hash(ENVIRONMENT)
    return (state.record_of(SPEC, env_hash=hashed, pid=4711, started="boot:1", since=12.5, restarts=3),)


def test_state_comes_back_without_the_environment(tmp_path: Path) -> None:
    """Everything but the environment is stored; of that only the hash, because it may hold secrets."""
    path = tmp_path / "keeper.json"
    state.write(path, records())
    assert state.read(path) == records()
    assert records()[0].spec.env == {}
    assert "a-secret" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_file_means_no_children(tmp_path: Path) -> None:
    """The first start finds nothing to adopt."""
    assert state.read(tmp_path / "keeper.json") == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 2, "children": []}',
        '{"format": 1}',
        '{"format": 1, "children": [1]}',
        "[" * 9999,
    ],
)
def test_file_that_is_no_state_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing is guessed from a damaged file."""
    path = tmp_path / "keeper.json"
    path.write_text(text)
    with pytest.raises(Refused):
        state.read(path)


@pytest.mark.parametrize("pid", [0, 1, -1, "4711", None, 3.5])
def test_process_id_that_means_more_than_one_process_is_refused(tmp_path: Path, pid: Any) -> None:
    """A signal to 0 or -1 would reach processes that are none of ours, and 1 is init."""
    path = tmp_path / "keeper.json"
    state.write(path, records())
    content = json.loads(path.read_text())
    content["children"][0]["pid"] = pid
    path.write_text(json.dumps(content))
    with pytest.raises(Refused):
        state.read(path)

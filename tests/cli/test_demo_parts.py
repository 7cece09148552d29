"""The repositories of the story, and what the commands say where it cannot be told; nothing of the platform runs."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from companyos.cli import demo, main, steps
from companyos.cli.guard import Local
from companyos.cli.story import playing, repositories
from companyos.cli.story.cast import CAST
from companyos.cli.up import Running
from companyos.core import access
from companyos.core.access import Verdict
from companyos.core.client import ServerAddress, local_caller
from companyos.core.errors import Conflict
from companyos.core.home import Home
from companyos.core.keeper import Keeper
from companyos.core.settings import load
from companyos.evidence import packing


def test_rounds_in_one_repository(tmp_path: Path) -> None:
    """Each service gets a repository of its own, even inside a checkout, and each round a new version to ship."""
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    folder = tmp_path / ".companyos" / "demo"
    folder.mkdir(parents=True)
    part = CAST[1]
    repository = repositories.make(part, folder)
    assert repositories.make(part, folder) == repository
    first = packing.pack(repository)
    assert repositories.commit_change(part, repository) == "1.1.0"
    second = packing.pack(repository)
    assert repositories.commit_change(part, repository) == "1.2.0"
    third = packing.pack(repository)
    assert [packed.version for packed in (first, second, third)] == ["1.0.0", "1.1.0", "1.2.0"]
    assert len({packed.digest for packed in (first, second, third)}) == 3
    assert packing.dirty(repository) == []


def test_a_changed_handler_is_left_alone(tmp_path: Path) -> None:
    """A service that somebody has rewritten is not written over, and nothing is committed."""
    repository = repositories.make(CAST[0], tmp_path)
    before = packing.pack(repository).commit
    (repository / "src/handlers/documents.py").write_text("mine = 1\n")
    with pytest.raises(Conflict, match="orders is not as the story left it"):
        repositories.commit_change(CAST[0], repository)
    assert packing.pack(repository).commit == before
    assert (repository / "src/handlers/documents.py").read_text() == "mine = 1\n"


def test_no_router_no_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a router the command ends with 3 and a sentence, and makes no home."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(steps, "no_router", lambda: "Envoy is not installed.")
    try:
        assert main.run(["demo", "--headless", "--json"]) == 3
    finally:
        access.bind(access.DenyAll())
    out, err = capsys.readouterr()
    assert out == ""
    assert "Envoy is not installed" in json.loads(err)["detail"]
    assert list(tmp_path.glob("companyos-demo-*")) == []


def test_up_says_what_it_leaves_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where releases cannot be followed, `up --demo` says so in a line and leaves the platform as it is."""
    home = Home(tmp_path / "home")
    settings = load(home, {})
    local = Local(home, settings, local_caller(settings), Verdict(allowed=True, policy="test", reason=""))
    running = Running(ServerAddress("http://127.0.0.1:1", 1), 1, True, True, None, None)
    demo.tell(running, local, Keeper(home.run, home.logs))
    assert "left out" in "".join(capsys.readouterr())
    assert not home.path.exists()


def test_services_of_others_are_left_alone(tmp_path: Path) -> None:
    """A service is the story's own when a fact of it comes from the story's manifest, whatever else was added."""
    ours = {"source": f"manifest:{tmp_path}/orders/companyos.yaml"}
    manual = {"source": "manual"}
    assert playing.is_from({"provenance": {"owner": manual, "tier": ours}}, tmp_path / "orders")
    assert not playing.is_from({"provenance": {"owner": manual}}, tmp_path / "orders")
    assert not playing.is_from({"provenance": {"tier": ours}}, tmp_path / "payments")


def test_one_story_at_a_time(tmp_path: Path) -> None:
    """A second teller in the same home is refused while the first one tells, and not afterwards."""
    with playing.only_teller(tmp_path), pytest.raises(Conflict, match="told already"), playing.only_teller(tmp_path):
        pass
    with playing.only_teller(tmp_path):
        pass

from __future__ import annotations

from pathlib import Path

import pytest

from companyos.goldenpath.creating import create
from tests.goldenpath.scaffolding import contents, git, template


def test_everything_is_in_the_first_commit(tmp_path: Path) -> None:
    """One commit on main, with every file, and its message names the template."""
    made = create(template(), "orders", tmp_path, {})
    place = tmp_path / "orders"
    assert made.git.state == "committed"
    assert git(place, "rev-parse", "HEAD") == made.git.commit
    assert git(place, "branch", "--show-current") == "main"
    assert git(place, "rev-list", "--count", "HEAD") == "1"
    assert git(place, "status", "--porcelain") == ""
    assert set(git(place, "ls-files").splitlines()) == set(contents(place))
    assert f"small 1.0.0\n\nTemplate digest: {template().digest}" in git(place, "log", "--format=%B")


def test_the_author_is_the_user(tmp_path: Path, git_of_nobody: Path) -> None:
    """Who has told git a name commits under it."""
    git_of_nobody.write_text("[user]\n\tname = Maja\n\temail = maja@example.com\n", encoding="utf-8")
    create(template(), "orders", tmp_path, {})
    said = git(tmp_path / "orders", "log", "--format=%an %ae %cn %ce")
    assert said == "Maja maja@example.com Maja maja@example.com"


def test_the_author_is_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in CI, where variables say who commits."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", role.lower())
        monkeypatch.setenv(f"GIT_{role}_EMAIL", f"{role.lower()}@example.com")
    create(template(), "orders", tmp_path, {})
    assert git(tmp_path / "orders", "log", "--format=%an %ae %cn") == "author author@example.com committer"


def test_who_has_no_name_commits_all_the_same(tmp_path: Path) -> None:
    """On a fresh machine the author is always the same one."""
    create(template(), "orders", tmp_path, {})
    assert git(tmp_path / "orders", "log", "--format=%an %ae %cn") == "CompanyOS companyos@localhost CompanyOS"


def test_a_repository_around_it_is_left_alone(tmp_path: Path) -> None:
    """Inside a repository nothing is begun and nothing is staged."""
    git(tmp_path, "init", "--quiet")
    assert create(template(), "orders", tmp_path, {}).git.state == "inside-a-repository"
    assert not (tmp_path / "orders" / ".git").exists()
    assert git(tmp_path, "diff", "--cached", "--name-only") == ""


def test_without_git_the_service_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git is a convenience."""
    monkeypatch.setenv("PATH", str(tmp_path))
    made = create(template(), "orders", tmp_path, {})
    assert made.git.state == "no-git"
    assert "README.md" in contents(tmp_path / "orders")


def test_a_git_that_fails_leaves_no_half_repository(tmp_path: Path, git_of_nobody: Path) -> None:
    """What it said is passed on, and the service is whole without it."""
    git_of_nobody.write_text(
        "[user]\n\tsigningkey = nobody\n[commit]\n\tgpgsign = true\n[gpg]\n\tprogram = no-such-program\n",
        encoding="utf-8",
    )
    made = create(template(), "orders", tmp_path, {})
    assert made.git.state == "failed"
    assert made.git.detail
    assert not (tmp_path / "orders" / ".git").exists()
    assert "README.md" in contents(tmp_path / "orders")


def test_hooks_and_variables_of_other_repositories_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git_of_nobody: Path
) -> None:
    """Called from a hook of another repository, and with hooks for all repositories: neither is touched or run."""
    other, hooks, services = (tmp_path / name for name in ("other", "hooks", "services"))
    for folder in (other, hooks, services):
        folder.mkdir()
    git(other, "init", "--quiet")
    for hook in ("pre-commit", "post-commit"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n", encoding="utf-8")
        (hooks / hook).chmod(0o755)
    git_of_nobody.write_text(f"[core]\n\thooksPath = {hooks}\n[init]\n\ttemplateDir = {hooks}\n", encoding="utf-8")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    made = create(template(), "orders", services, {})
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_INDEX_FILE")
    assert made.git.state == "committed"
    assert git(services / "orders", "rev-parse", "HEAD") == made.git.commit
    assert not (tmp_path / "ran").exists()
    assert git(other, "status", "--porcelain") == ""

"""A new service begins as a git repository with one commit, unless it lies in one already or there is no git.

git is told to run nothing of the user's: no hooks and no template folder, because they belong to other repositories.
Who signs commits by default signs this one too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

BRANCH: Final = "main"
FALLBACK: Final = {"NAME": "CompanyOS", "EMAIL": "companyos@localhost"}
"""Who commits where the user has not told git a name or an address."""
TIMEOUT_S: Final = 30.0

_FOREIGN: Final = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_TEMPLATE_DIR",
)
"""What git sets for its hooks: it would lead into the repository of the hook."""


class Git(msgspec.Struct, frozen=True, kw_only=True):
    """What became of git."""

    state: Literal["committed", "inside-a-repository", "no-git", "failed"]
    commit: str | None = None
    detail: str | None = None
    """What git said, when it failed; the service is whole all the same."""


def begin(folder: Path, *, around: Path, message: str) -> Git:
    """Make the folder a repository with one commit of everything in it, and return how that went.

    ``around`` is the folder in which it will lie: a repository there is left alone, and then nothing is done.
    """
    if (git := shutil.which("git")) is None:
        return Git(state="no-git")
    environment = _environment(os.environ)
    try:
        if _run(git, around, environment, "rev-parse", "--is-inside-work-tree").stdout.strip() == "true":
            return Git(state="inside-a-repository")
        environment |= _identity(git, folder, environment)
        for arguments in (
            ("-c", f"init.defaultBranch={BRANCH}", "init", "--quiet", "--template="),
            ("-c", "core.autocrlf=false", "add", "--all", "--force"),
            ("-c", f"core.hooksPath={os.devnull}", "commit", "--quiet", "--message", message),
        ):
            _run(git, folder, environment, *arguments).check_returncode()
        commit = _run(git, folder, environment, "rev-parse", "HEAD")
        commit.check_returncode()
    except subprocess.CalledProcessError as fault:
        return _failed(folder, str(fault.stderr or fault.stdout or "").strip() or f"exit code {fault.returncode}")
    except subprocess.TimeoutExpired:
        return _failed(folder, f"git did not end within {TIMEOUT_S:.0f} s")
    except OSError as fault:
        return _failed(folder, f"git cannot be started: {fault.strerror}")
    return Git(state="committed", commit=commit.stdout.strip())


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if name not in _FOREIGN}
    return {**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}


def _identity(git: str, folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that say who commits, for each part that neither the environment nor git's files say."""
    missing: dict[str, str] = {}
    for part, value in FALLBACK.items():
        configured = _run(git, folder, environment, "config", f"user.{part.lower()}").stdout.strip()
        for role in ("AUTHOR", "COMMITTER"):
            said = _run(git, folder, environment, "config", f"{role.lower()}.{part.lower()}").stdout.strip()
            if not (configured or said or environment.get(f"GIT_{role}_{part}")):
                missing[f"GIT_{role}_{part}"] = value
    return missing


def _run(git: str, folder: Path, environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - a list of our own, and the path of git was looked up
        [git, *arguments],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_S,
        check=False,
    )


def _failed(folder: Path, detail: str) -> Git:
    shutil.rmtree(folder / ".git", ignore_errors=True)
    return Git(state="failed", detail=detail.splitlines()[0][:300] if detail else None)

"""Git repositories for tests, which no setting of this machine touches."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_WHEN = "1700000000 +0000"


class Repository:
    """A repository whose commits are the same on every machine."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def new(cls, path: Path) -> Repository:
        """Return a new, empty one."""
        path.mkdir(parents=True)
        made = cls(path)
        made.git("init", "--initial-branch", "main")
        return made

    def git(self, *words: str, given: str | None = None, check: bool = True) -> str:
        """Return what git prints."""
        program = shutil.which("git")
        assert program
        alone = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
        alone |= {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "GIT_AUTHOR_NAME": "Olga",
            "GIT_AUTHOR_EMAIL": "olga@example.org",
            "GIT_AUTHOR_DATE": _WHEN,
            "GIT_COMMITTER_NAME": "Olga",
            "GIT_COMMITTER_EMAIL": "olga@example.org",
            "GIT_COMMITTER_DATE": _WHEN,
        }
        return subprocess.run(
            [program, "-C", str(self.path), *words],
            check=check,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env=alone,
            input=given,
            timeout=60,
        ).stdout.strip()

    def write(self, path: str, text: str | bytes, *, mode: int = 0o644) -> None:
        """Write a file of the working tree."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
        target.chmod(mode)

    def commit(self, subject: str) -> str:
        """Commit everything, and return the id."""
        self.git("add", "--all")
        self.git("commit", "--allow-empty", "--message", subject)
        return self.git("rev-parse", "HEAD")

    def commit_tree(self, listing: str) -> str:
        """Make the branch a commit of what ``git mktree`` makes of a listing, which checks no name."""
        tree = self.git("mktree", "--missing", given=listing)
        made = self.git("commit-tree", tree, "-m", "made by hand")
        self.git("update-ref", "HEAD", made)
        return made

    def blob(self, text: str) -> str:
        """Return the id of a new object with this text."""
        return self.git("hash-object", "-w", "--stdin", given=text)

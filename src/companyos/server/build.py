"""Which program this is: its version, and the revision of its source when it runs from a checkout."""

from __future__ import annotations

import platform
import re
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

import companyos

_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")
_REFERENCE: Final = re.compile(r"ref: (refs/heads/[A-Za-z0-9._/-]{1,200})")


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """Which program answers, and since when."""

    name: str
    version: str
    python: str
    started_at: datetime
    commit: str | None = None
    """The revision of the source; None for an installed package, which knows only its version."""


def build(started_at: datetime) -> Build:
    """Return what is known of the running program."""
    return Build(
        name="companyos",
        version=companyos.__version__,
        python=platform.python_version(),
        started_at=started_at,
        commit=commit_of(Path(companyos.__file__).parents[2]),
    )


def commit_of(checkout: Path) -> str | None:
    """Return the commit that a checkout stands on, or None when the folder is no plain checkout."""
    head = _text(checkout / ".git" / "HEAD")
    if reference := _REFERENCE.fullmatch(head):
        if ".." in reference[1]:
            return None
        head = _text(checkout / ".git" / reference[1])
    return head if _COMMIT.fullmatch(head) else None


def _text(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            return file.read(256).strip()
    except (OSError, UnicodeDecodeError):
        return ""

"""What one version of a policy has that another has not."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

import msgspec

from companyos.policy.authoring.layout import Policy

_CONTEXT: Final = 3
"""Rows around a change."""
_MAX_LINES: Final = 2000
"""Rows of one comparison; the rest is counted."""
_MISSING: Final = object()


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not the same in both."""

    file: str
    kind: Literal["added", "removed", "changed"]
    lines: tuple[str, ...]
    """A unified diff without its two lines at the top."""
    left_out: int = 0
    """How many lines of it are not shown."""


class DataChange(msgspec.Struct, frozen=True, kw_only=True):
    """A value of the data that is not the same in both."""

    path: str
    """``companyos.documents.config.actions``."""
    before: Any = None
    after: Any = None
    kind: Literal["added", "removed", "changed"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All that differs between two versions."""

    before: str
    """``companyos/documents@1.0.0``."""
    after: str
    policies: tuple[FileChange, ...]
    tests: tuple[FileChange, ...]
    data: tuple[DataChange, ...]
    obligations_added: tuple[str, ...]
    obligations_removed: tuple[str, ...]
    entrypoint: tuple[str, str] | None
    """Before and after; None when it is the same."""
    owner: tuple[str, str] | None

    @property
    def same(self) -> bool:
        """Whether both decide alike and are tested alike."""
        parts = (self.policies, self.tests, self.data, self.obligations_added, self.obligations_removed)
        return not any(parts) and self.entrypoint is None


def diff(before: Policy, after: Policy) -> Difference:
    """What is different in ``after``."""
    had, has = set(before.about.obligations), set(after.about.obligations)
    return Difference(
        before=f"{before.bundle_id}@{before.version}",
        after=f"{after.bundle_id}@{after.version}",
        policies=tuple(_files(before.modules, after.modules)),
        tests=tuple(_files(before.tests, after.tests)),
        data=tuple(_values(before.data, after.data, "")),
        obligations_added=tuple(sorted(has - had)),
        obligations_removed=tuple(sorted(had - has)),
        entrypoint=_pair(before.about.entrypoint, after.about.entrypoint),
        owner=_pair(before.about.owner, after.about.owner),
    )


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[FileChange]:
    for file in sorted(before.keys() | after.keys()):
        old, new = before.get(file), after.get(file)
        if old == new:
            continue
        found = difflib.unified_diff((old or "").splitlines(), (new or "").splitlines(), lineterm="", n=_CONTEXT)
        lines = list(found)[2:]
        kind: Literal["added", "removed", "changed"] = (
            "added" if old is None else "removed" if new is None else "changed"
        )
        yield FileChange(
            file=file, kind=kind, lines=tuple(lines[:_MAX_LINES]), left_out=max(0, len(lines) - _MAX_LINES)
        )


def _values(before: object, after: object, path: str) -> Iterator[DataChange]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            inner = f"{path}.{key}" if path else key
            yield from _values(before.get(key, _MISSING), after.get(key, _MISSING), inner)
    elif before is _MISSING:
        yield DataChange(path=path, after=after, kind="added")
    elif after is _MISSING:
        yield DataChange(path=path, before=before, kind="removed")
    elif not _same(before, after):
        yield DataChange(path=path, before=before, after=after, kind="changed")


def _same(before: object, after: object) -> bool:
    """Whether two JSON values are equal; unlike in Python, true is not one."""
    return msgspec.json.encode(before, order="sorted") == msgspec.json.encode(after, order="sorted")


def _pair(before: str, after: str) -> tuple[str, str] | None:
    return None if before == after else (before, after)

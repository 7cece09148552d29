"""What is different between two artifacts: files, versions of dependencies, commits. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from companyos.evidence.model import Commit

NAMED: Final = 200
"""How many names of each list are kept; the counts are always whole."""

# Every repetition has a limit, because the text is somebody else's.
_PIN: Final = re.compile(
    r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})[ \t]{0,9}(?:\[[^\]\n]{0,200}\])?[ \t]{0,9}==[ \t]{0,9}"
    r"([A-Za-z0-9.!+_-]{1,100})",
    re.MULTILINE,
)
_SEPARATORS: Final = re.compile(r"[-_.]+")


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """Some paths, and how many there are in all."""

    count: int
    names: tuple[str, ...]
    """The first ``NAMED``, in order."""


class DependencyChange(msgspec.Struct, frozen=True, kw_only=True):
    """A dependency that came, went or moved to another version."""

    name: str
    before: str | None
    after: str | None


class Changelog(msgspec.Struct, frozen=True, kw_only=True):
    """What the later artifact has that the earlier one has not, and the other way round."""

    base: str | None
    """The digest of the earlier artifact; None when there is none."""
    digest: str
    added: Names
    removed: Names
    changed: Names
    dependencies: tuple[DependencyChange, ...] = ()
    commits: tuple[Commit, ...] = ()
    note: str = ""
    """Why something is missing here, in one sentence."""


def compare(
    before: Mapping[str, str],
    after: Mapping[str, str],
    *,
    base: str | None,
    digest: str,
    commits: Sequence[Commit] = (),
) -> Changelog:
    """Return the changelog between two indexes (path to what it holds), without dependencies."""
    return Changelog(
        base=base,
        digest=digest,
        added=_names(after.keys() - before.keys()),
        removed=_names(before.keys() - after.keys()),
        changed=_names({path for path in before.keys() & after.keys() if before[path] != after[path]}),
        commits=tuple(commits),
    )


def dependencies(before: str, after: str) -> tuple[DependencyChange, ...]:
    """Return what is different between two hash-pinned dependency lists, by name."""
    old, new = _pins(before), _pins(after)
    return tuple(
        DependencyChange(name=name, before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def with_dependencies(changelog: Changelog, moved: Sequence[DependencyChange]) -> Changelog:
    """Return the changelog with what came of ``dependencies``; a note says when there is more than is kept."""
    note = f"{len(moved):,} dependencies moved; the first {NAMED} are listed." if len(moved) > NAMED else ""
    return msgspec.structs.replace(changelog, dependencies=tuple(moved[:NAMED]), note=note)


def as_document(changelog: Changelog) -> dict[str, Any]:
    """Return the changelog as JSON."""
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(changelog))
    return document


def _pins(text: str) -> dict[str, str]:
    """Return versions by normal names (PEP 503); one name under several markers has all of its versions."""
    found: dict[str, str] = {}
    for name, version in _PIN.findall(text):
        normal = _SEPARATORS.sub("-", name).lower()
        known = found.get(normal)
        found[normal] = version if known in (None, version) else f"{known}, {version}"
    return found


def _names(paths: set[str]) -> Names:
    return Names(count=len(paths), names=tuple(sorted(paths)[:NAMED]))

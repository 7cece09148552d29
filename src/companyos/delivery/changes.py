"""What is different between two artifacts, as short lists for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FILES: Final = ("added", "changed", "removed")
_COMMIT_CHARACTERS: Final = 12


def for_people(changelog: Mapping[str, Any]) -> dict[str, Any]:
    """Return a changelog without digests and without what is empty: commits, dependencies, then files.

    What has another shape than that of ``evidence.changelog`` comes back as it is.
    """
    if not all(isinstance(changelog.get(name), Mapping) for name in _FILES):
        return dict(changelog)
    told: dict[str, Any] = {
        "commits": [_commit(one) for one in changelog.get("commits", ())],
        "dependencies": {
            one["name"]: f"{one.get('before') or 'new'} → {one.get('after') or 'gone'}"
            for one in changelog.get("dependencies", ())
        },
    }
    for name in _FILES:
        found = changelog[name]
        listed = list(found.get("names", ()))
        more = found.get("count", len(listed)) - len(listed)
        told[f"{name} files"] = [*listed, f"and {more:,} more"] if more > 0 else listed
    told["note"] = changelog.get("note", "")
    return {name: value for name, value in told.items() if value}


def _commit(one: Mapping[str, Any]) -> str:
    return f"{str(one.get('id', ''))[:_COMMIT_CHARACTERS]} {one.get('subject', '')}".strip()

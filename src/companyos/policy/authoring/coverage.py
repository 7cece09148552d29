"""Which rows of a policy its tests reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec


class FileCoverage(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    file: str
    reached: tuple[int, ...]
    """Rows, counted from one."""
    missed: tuple[int, ...]

    @property
    def ratio(self) -> float:
        """The share of rows that were reached, 0 to 1; 1 for a file without any."""
        rows = len(self.reached) + len(self.missed)
        return len(self.reached) / rows if rows else 1.0


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """All files of a policy, its tests left out."""

    files: tuple[FileCoverage, ...]

    @property
    def ratio(self) -> float:
        """The share of rows that were reached, 0 to 1; 1 when there are none."""
        reached = sum(len(file.reached) for file in self.files)
        rows = reached + sum(len(file.missed) for file in self.files)
        return reached / rows if rows else 1.0

    def missed(self) -> list[str]:
        """``file:row`` of every row that was not reached."""
        return [f"{file.file}:{row}" for file in self.files for row in file.missed]


def coverage(
    names: Mapping[str, str], coverable: Iterable[tuple[str, int]], visited: Iterable[tuple[str, int]]
) -> Coverage:
    """The rows of these files (name in the plan to path) that can be reached, split by whether they were.

    A file of which no row can be reached by any test has one row, its first, and it is missed: what is never compiled
    was never tested.
    """
    reached = set(visited)
    rows: dict[str, set[int]] = {name: set() for name in names}
    for name, row in coverable:
        if name in rows:
            rows[name].add(row)
    return Coverage(
        files=tuple(
            FileCoverage(
                file=names[name],
                reached=tuple(sorted(row for row in found if (name, row) in reached)),
                missed=tuple(sorted(row for row in found if (name, row) not in reached)) if found else (1,),
            )
            for name, found in sorted(rows.items(), key=lambda one: names[one[0]])
        )
    )

"""What is installed in an environment, read cheaply enough to be proven on each use."""

from __future__ import annotations

import csv
import os
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from companyos.delivery.lockfile import normal_name

_DIST_INFO: Final = ".dist-info"
_RECORD_LIMIT_BYTES: Final = 16 * 1024 * 1024


class Installed(NamedTuple):
    """One installed distribution."""

    name: str
    version: str
    record: str
    """SHA-256 of its list of files, which holds the hash of each."""
    changed: str
    """Those of its files that have another size, or none, each with that size (-1: gone); usually empty."""


def read_installed(path: Path) -> tuple[Installed, ...]:
    """Return the distributions of the environment in this folder, by name. Raises OSError."""
    found = []
    for site in sorted(path.glob("lib/python*/site-packages")):
        found += [_distribution(folder) for folder in sorted(site.iterdir()) if folder.name.endswith(_DIST_INFO)]
    return tuple(sorted(found))


def installed_digest(found: tuple[Installed, ...]) -> str:
    """Return the SHA-256 over names, versions and records, as hex."""
    return sha256("\n".join("\t".join(package) for package in found).encode("utf-8", "surrogateescape")).hexdigest()


def _distribution(folder: Path) -> Installed:
    name, _, version = folder.name.removesuffix(_DIST_INFO).partition("-")
    try:
        with (folder / "RECORD").open("rb") as file:
            data = file.read(_RECORD_LIMIT_BYTES)
    except FileNotFoundError:
        data = b""
    return Installed(normal_name(name), version, sha256(data).hexdigest(), _changed(folder.parent, data))


def _changed(site: Path, record: bytes) -> str:
    """Compare sizes only: reading every file would take seconds, and a size costs one question to the system."""
    base = f"{site}{os.sep}"
    found = []
    for row in csv.reader(record.decode("utf-8", "replace").splitlines()):
        if len(row) == 3 and row[2].isdigit():  # noqa: PLR2004 - path, hash, size (the spec of RECORD)
            try:
                size = os.stat(base + row[0]).st_size  # noqa: PTH116 - thousands of them; a Path takes longer
            except (OSError, ValueError):
                size = -1
            if size != int(row[2]):
                found.append(f"{row[0]} {size}")
    return "\n".join(found)

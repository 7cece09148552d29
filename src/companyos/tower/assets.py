"""The static files of the pages, each under a name with the digest of its content, so that it may be kept for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec

_DIGEST_CHARACTERS: Final = 10
_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
FOLDER: Final = "/static/"


class Asset(msgspec.Struct, frozen=True):
    """One static file."""

    path: str
    """Where a page finds it, for example ``/static/tower.0f3a….css``."""
    content: bytes
    media_type: str


@cache
def assets() -> dict[str, Asset]:
    """Return the assets by their plain name (``tower.css``)."""
    found = {}
    for file in sorted(files("companyos.tower").joinpath("static").iterdir(), key=lambda file: file.name):
        stem, _, kind = file.name.rpartition(".")
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()[:_DIGEST_CHARACTERS]
        found[file.name] = Asset(f"{FOLDER}{stem}.{digest}.{kind}", content, _TYPES[kind])
    return found


@cache
def by_path() -> dict[str, Asset]:
    """Return the assets by the path that a page asks for."""
    return {asset.path: asset for asset in assets().values()}


def asset_path(name: str) -> str:
    """Return where a page finds the asset with this plain name; raises KeyError when there is none."""
    return assets()[name].path


def digest() -> str:
    """Return a digest of all assets, which changes when any of them does."""
    return hashlib.sha256("".join(sorted(by_path())).encode()).hexdigest()[:_DIGEST_CHARACTERS]

"""Hash-pinned dependency lists (``requirements.lock``): which are accepted, and what they pin. Pure.

Only what names one version of one package by its hashes is accepted. Options, addresses and paths would let a list
bring code that no hash vouches for, or send the installer elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple, NoReturn

from companyos.core.errors import InvalidInput, TooLarge

FILE_NAME: Final = "requirements.lock"
LIMIT_BYTES: Final = 1_048_576
LIMIT_REQUIREMENTS: Final = 2_000

_REQUIREMENT: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)(?:\[[A-Za-z0-9,._ -]{1,200}\])?"
    r" ?== ?(?P<version>[A-Za-z0-9.!+_-]{1,60})(?: ?;(?P<marker>[A-Za-z0-9_.'\"<>=!()~ ,-]{1,500}?))?"
    r"(?P<hashes>(?: --hash=[a-z0-9]+:[0-9a-f]+)*)"
)
_HASH: Final = re.compile(r" --hash=(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_SPACES: Final = re.compile(r"\s+")
_SEPARATORS: Final = re.compile(r"[-_.]+")


class Pin(NamedTuple):
    """One package at one version."""

    name: str
    """In its normal form, in which case and separators do not count (PEP 503)."""
    version: str
    conditional: bool
    """Whether a marker may leave it out on this system."""


class Lock(NamedTuple):
    """An accepted dependency list."""

    digest: str
    """SHA-256 of its bytes, 64 lower-case hexadecimal digits."""
    pins: tuple[Pin, ...]


def read_lock(data: bytes, *, where: str = FILE_NAME) -> Lock:
    """Return what a dependency list pins. Raises TooLarge, and InvalidInput that names the line at fault."""
    if len(data) > LIMIT_BYTES:
        raise TooLarge(f"{where} is larger than {LIMIT_BYTES} bytes.", next_step="Depend on less.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"{where} is not UTF-8 (byte {fault.start}).", next_step="Save it as UTF-8.") from fault
    pins = tuple(_pin(line, number, where) for number, line in _logical_lines(text))
    if len(pins) > LIMIT_REQUIREMENTS:
        raise TooLarge(f"{where} pins more than {LIMIT_REQUIREMENTS} packages.", next_step="Depend on less.")
    return Lock(sha256(data).hexdigest(), pins)


def normal_name(name: str) -> str:
    """Return a package's name in its normal form (PEP 503)."""
    return _SEPARATORS.sub("-", name).lower()


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines that say something, with the number of their first; a backslash at the end joins two lines."""
    parts: list[str] = []
    begins = 1
    for number, physical in enumerate(text.splitlines(), start=1):
        begins = begins if parts else number
        line = _COMMENT.sub("", physical)
        joined = line.rstrip().endswith("\\")
        parts.append(line.rstrip().removesuffix("\\") if joined else line)
        if not joined:
            if whole := _SPACES.sub(" ", " ".join(parts)).strip():
                yield begins, whole
            parts = []
    if whole := _SPACES.sub(" ", " ".join(parts)).strip():
        yield begins, whole


def _pin(line: str, number: int, where: str) -> Pin:
    if line.startswith("-"):
        _refuse(where, number, f"holds the option {line.split(maxsplit=1)[0][:40]!r}; a lock file holds packages only")
    if " @ " in line or "://" in line or line.startswith((".", "/")):
        _refuse(where, number, "names an address or a path; a lock file holds packages by version and hash only")
    match = _REQUIREMENT.fullmatch(line)
    if match is None:
        _refuse(where, number, f"is no package pinned by ==version and --hash: {line[:60]!r}")
    hashes = match["hashes"]
    if not hashes:
        _refuse(where, number, f"pins {match['name']} without a hash")
    if _HASH.sub("", hashes):
        _refuse(where, number, f"has a hash of {match['name']} that is no SHA-256, SHA-384 or SHA-512")
    return Pin(normal_name(match["name"]), match["version"], conditional=match["marker"] is not None)


def _refuse(where: str, number: int, what: str) -> NoReturn:
    raise InvalidInput(
        f"{where}, line {number}, {what}.", next_step="Make the file again with hashes, for example with make lock."
    )

"""The locks of a template, taken from those of the platform: the same versions and hashes, so nothing new is fetched.

    python -m tests.goldenpath.pins    # writes them into the template's working folder

A lock holds what its ``.in`` file names and everything that needs, on every system and Python that a service runs on.
"""

from __future__ import annotations

import re
from importlib.metadata import requires
from itertools import product
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from companyos.delivery.lockfile import read_lock
from companyos.goldenpath.archives import TEMPLATES
from tests.needs import ROOT

FILES = TEMPLATES / "api-python" / "files"
LOCKS = ("requirements.lock", "requirements-dev.lock")
SYSTEMS = tuple(
    {"sys_platform": system, "platform_system": name, "python_version": python, "python_full_version": f"{python}.0"}
    for (system, name), python in product((("linux", "Linux"), ("darwin", "Darwin")), ("3.11", "3.12", "3.13", "3.14"))
)
_HEAD = "# Made from {source}: every package that is installed, with the hashes of its files.\n"


def platform_entries() -> dict[str, str]:
    """The lines of each package in the locks of the platform, by name; the comments are left out."""
    entries: dict[str, str] = {}
    for lock in ("requirements-optional.lock", "requirements.lock"):
        text = re.sub(r"^ *#.*\n", "", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE)
        for entry in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
            entries[canonicalize_name(re.split(r"[=\[ ]", entry, maxsplit=1)[0])] = entry.rstrip() + "\n"
    return entries


def roots(source: str) -> list[Requirement]:
    """What an ``.in`` file of the template names."""
    lines = (FILES / f"{source}.jinja").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def closure(needed: list[Requirement]) -> set[str]:
    """The names of these packages and of all that they need on some system that a service runs on."""
    found: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(each.name), extra) for each in needed for extra in ("", *each.extras)]
    while waiting:
        if (package := waiting.pop()) in found:
            continue
        found.add(package)
        name, extra = package
        for requirement in map(Requirement, _requires(name)):
            if requirement.marker is None or any(requirement.marker.evaluate({**s, "extra": extra}) for s in SYSTEMS):
                waiting += [(canonicalize_name(requirement.name), more) for more in ("", *requirement.extras)]
    return {name for name, _ in found}


def _requires(name: str) -> list[str]:
    return requires(name) or []


def lock_of(name: str) -> str:
    """The text of one lock of the template."""
    run = closure(roots("requirements.in"))
    wanted = run if name == "requirements.lock" else closure(roots("requirements-dev.in")) - run
    entries = platform_entries()
    return _HEAD.format(source=name.replace(".lock", ".in")) + "".join(entries[each] for each in sorted(wanted))


def main() -> None:
    """Write the locks into the template's working folder."""
    for name in LOCKS:
        text = lock_of(name)
        read_lock(text.encode())
        path: Path = FILES / f"{name}.jinja"
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

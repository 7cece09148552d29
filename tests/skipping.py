"""How a test may skip: only through `tests.needs.needs()`, named at the end of the run, never under `REQUIRE_ALL=1`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator
from typing import get_args

import pytest

from tests.needs import Need, missing

_left_out = pytest.StashKey[Counter[str]]()
_by_need = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Start counting what this run leaves out."""
    config.stash[_left_out] = Counter()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose need is missing, before any of its fixtures runs; under `REQUIRE_ALL=1` fail it."""
    for name in _needs_of(item):
        reason = missing(name)
        if reason is None:
            continue
        if _all_required():
            pytest.fail(f"REQUIRE_ALL is set and this test needs {name}: {reason}", pytrace=False)
        item.stash[_by_need] = True
        item.config.stash[_left_out][f"{name}: {reason}"] += 1
        pytest.skip(f"needs {name}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip that did not come from `needs()` into a failure."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not item.stash.get(_by_need, False):
        report.outcome = "failed"
        report.longrepr = f"A test may skip only through tests.needs.needs(); this one did with: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module (`importorskip`, `allow_module_level`) into a failure."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
        report.longrepr = f"A module may skip only through pytestmark = needs(...): {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name at the end of the run what it left out, so that a green line never hides a missing part."""
    left_out = config.stash[_left_out]
    if not left_out:
        return
    terminalreporter.section("left out on this machine")
    for reason, count in sorted(left_out.items()):
        terminalreporter.line(f"{count:4d} tests need {reason}")


def _needs_of(item: pytest.Item) -> Iterator[Need]:
    known = get_args(Need)
    for marker in item.iter_markers("needs"):
        for name in marker.args:
            if name not in known:
                pytest.fail(f"Unknown need {name!r}; use tests.needs.needs().", pytrace=False)
            yield name


def _all_required() -> bool:
    return os.environ.get("REQUIRE_ALL", "") not in ("", "0")

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from companyos.core.clock import ManualClock
from companyos.core.errors import Unavailable
from companyos.server.app import Application
from companyos.server.checks import FRESH_S, Checks, Finding, loop_findings
from companyos.server.health import overall
from companyos.server.loops import Report
from tests.server.web import Web


def checks(clock: ManualClock, timeout_s: float = 5.0, **probes: Callable[[], str]) -> Checks:
    """Return checks of nothing but these probes."""
    return Checks(probes, list, clock, timeout_s)


def states(found: Checks) -> dict[str, str]:
    """Return the state of each check."""
    return {finding.name: finding.state for finding in asyncio.run(found.findings())}


def test_each_probe_is_a_finding(caplog: pytest.LogCaptureFixture) -> None:
    """What answers is up, what refuses is down with its sentence, and what breaks is unknown and logged."""

    def down() -> str:
        raise Unavailable("The disk is gone.")

    def broken() -> str:
        raise ZeroDivisionError("secret")

    found = checks(ManualClock(), good=lambda: "Fine.", down=down, broken=broken)
    findings = {finding.name: finding for finding in asyncio.run(found.findings())}
    found.close()
    assert findings["good"] == Finding(name="good", state="up", detail="Fine.")
    assert findings["down"] == Finding(name="down", state="down", detail="The disk is gone.")
    assert findings["broken"].state == "unknown"
    assert "secret" not in findings["broken"].detail
    assert [record.getMessage() for record in caplog.records] == ["check failed"]


def test_a_probe_that_hangs_is_unknown_and_is_not_asked_again() -> None:
    """A dependency that does not answer costs one thread and one wait, however often somebody asks."""
    release, asked = threading.Event(), []
    clock = ManualClock()

    def hangs() -> str:
        asked.append(1)
        release.wait(30)
        return "Back."

    found = checks(clock, 0.01, hangs=hangs, good=lambda: "Fine.")
    try:
        for _ in range(3):
            assert states(found) == {"hangs": "unknown", "good": "up"}
            clock.advance(FRESH_S)
        assert len(asked) == 1
    finally:
        release.set()
        found.close()


def test_findings_are_fresh_for_a_second_for_everybody() -> None:
    """Anybody may ask for the status, so asking often must not cause work."""
    asked: list[int] = []
    clock = ManualClock()

    def counted() -> str:
        asked.append(1)
        return "Counted."

    found = checks(clock, counted=counted)
    for _ in range(5):
        states(found)
    assert len(asked) == 1
    clock.advance(FRESH_S)
    states(found)
    assert len(asked) == 2
    found.close()


@pytest.mark.parametrize(
    ("parts", "expected"),
    [(["up", "up"], "up"), (["up", "unknown"], "unknown"), (["unknown", "down"], "down"), ([], "up")],
)
def test_the_whole_is_as_good_as_its_worst_part(parts: list[str], expected: str) -> None:
    """Unknown is not up: no data never passes."""
    assert overall([Finding(name="x", state=part, detail="") for part in parts]) == expected  # type: ignore[arg-type]


def test_loops_are_findings_too() -> None:
    """A loop that has not run yet is unknown, and its finding says so."""
    findings = loop_findings([Report(name="tick", interval_s=1.0)], ManualClock().now())
    assert findings == [Finding(name="loop tick", state="unknown", detail="Has not run yet.")]


def test_the_status_is_503_when_a_part_is_not_up(app: Application, nobody: Web, admin: Web) -> None:
    """Without its loops the whole is unknown; a ledger that contradicts its signature is down."""
    answer = nobody("GET", "/status")
    assert answer.status_code == 503
    assert answer.json()["status"] == "unknown"
    parts = {part["name"]: part["state"] for part in answer.json()["components"]}
    assert (parts["database"], parts["ledger"], parts["keys"], parts["disk"]) == ("up", "up", "up", "up")
    with app.journal.database.write() as connection:
        connection.exec_driver_sql("UPDATE ledger_head SET checkpoint = replace(checkpoint, char(10), 'x')")
    app.journal.clock.advance(FRESH_S)  # type: ignore[attr-defined] # a ManualClock
    answer = admin("GET", "/status")
    assert answer.status_code == 503
    found = {part["name"]: part for part in answer.json()["components"]}
    assert found["ledger"]["state"] == "down"
    assert found["ledger"]["detail"]

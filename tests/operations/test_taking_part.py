"""Incidents within the transaction of somebody else."""

from __future__ import annotations

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict, InvalidInput
from companyos.ledger import Journal
from companyos.operations import IncidentLink, Operations
from companyos.operations.errors import IncidentNotFound
from tests.pillar import person, records

CONTROLLER = Caller(subject="system:delivery")
"""A loop of the platform, which has no role."""

LINK = IncidentLink(url="https://example.org/releases/1")


def test_an_incident_is_opened_worked_on_and_mitigated(
    operations: Operations, journal: Journal, clock: ManualClock
) -> None:
    """All in one transaction, by whoever wrote it, with a record for each step."""
    with journal.write(CONTROLLER) as change:
        opened = operations.open_incident_in(
            change, "release:shop@1.2.0", title="Rolled back", severity="sev2", links=[LINK]
        )
        operations.add_timeline_in(change, opened.id, "12 of 240 requests failed.")
        changed = operations.change_incident_in(change, opened.id, status="mitigated", text="Traffic is back.")
    lead = person("lea", "sre_lead")
    assert operations.get_incident(lead, opened.id) == changed
    assert (changed.status, changed.mitigated_at, changed.opened_by) == ("mitigated", clock.now(), "system:delivery")
    assert changed.links == (LINK,)
    entries = operations.timeline(lead, opened.id).items
    assert [(entry.kind, entry.text, entry.actor) for entry in entries] == [
        ("opened", "Rolled back", "system:delivery"),
        ("note", "12 of 240 requests failed.", "system:delivery"),
        ("status", "Traffic is back.", "system:delivery"),
    ]
    told = records(journal)
    assert [record.verb for record in told] == ["incident.open", "incident.note", "incident.mitigate"]
    assert {(record.actor, record.policy, record.release) for record in told} == {
        ("system:delivery", None, "shop@1.2.0")
    }


def test_it_is_undone_with_the_transaction(operations: Operations, journal: Journal) -> None:
    """What fails after it takes it along."""

    def failing() -> None:
        with journal.write(CONTROLLER) as change:
            operations.open_incident_in(change, "service:shop", title="x", severity="sev3")
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        failing()
    assert operations.list_incidents(person("lea", "sre_lead")).items == []
    assert journal.size() == 0


def test_the_rules_hold_here_too(operations: Operations, journal: Journal) -> None:
    """Subjects, ids and steps that are none are refused."""
    with journal.write(CONTROLLER) as change:
        opened = operations.open_incident_in(change, "fleet", title="x", severity="sev3")
        operations.change_incident_in(change, opened.id, status="mitigated")
        with pytest.raises(Conflict):
            operations.change_incident_in(change, opened.id, status="mitigated")
        with pytest.raises(InvalidInput):
            operations.open_incident_in(change, "shop", title="x", severity="sev3")
        with pytest.raises(IncidentNotFound):
            operations.change_incident_in(change, "x", status="closed")
        with pytest.raises(IncidentNotFound):
            operations.add_timeline_in(change, "x", "y")
    assert [record.verb for record in records(journal)] == ["incident.open", "incident.mitigate"]

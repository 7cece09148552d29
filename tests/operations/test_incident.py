from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import Conflict
from companyos.operations import Incident, IncidentLink
from companyos.operations.incident import MAX_LINKS, NEXT, grade, link, move

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
OPEN = Incident(id="i1", severity="sev2", title="x", subject="service:shop", opened_by="user:ann", opened_at=NOW)
LATER = NOW + timedelta(minutes=5)


def test_an_incident_is_mitigated_and_closed() -> None:
    """Each step keeps its moment."""
    mitigated = move(OPEN, "mitigated", NOW)
    closed = move(mitigated, "closed", LATER)
    assert (closed.status, closed.mitigated_at, closed.closed_at) == ("closed", NOW, LATER)


def test_what_comes_back_was_not_mitigated() -> None:
    """Opened again, the moment of the mitigation is gone."""
    assert move(move(OPEN, "mitigated", NOW), "open", LATER) == OPEN


@given(st.lists(st.sampled_from(["open", "mitigated", "closed"]), max_size=8))
def test_no_way_leads_out_of_closed(wanted: list[str]) -> None:
    """Whatever is tried, in whichever order; and only the ways of the table are taken."""
    incident = OPEN
    for status in wanted:
        before = incident.status
        try:
            incident = move(incident, status, NOW)  # type: ignore[arg-type] # one of the three
        except Conflict:
            assert status not in NEXT[before]
        else:
            assert before != "closed"
            assert status in NEXT[before]


def test_severity_changes_while_it_is_open() -> None:
    """The same again, and after the end, are conflicts."""
    assert grade(OPEN, "sev1").severity == "sev1"
    with pytest.raises(Conflict, match="sev2 already"):
        grade(OPEN, "sev2")
    with pytest.raises(Conflict, match="closed"):
        grade(move(OPEN, "closed", NOW), "sev1")


def test_links_are_added_once_and_not_without_end() -> None:
    """The list stays readable."""
    incident = OPEN
    for number in range(MAX_LINKS):
        incident = link(incident, IncidentLink(url=f"https://example.org/{number}"))
    assert len(incident.links) == MAX_LINKS
    for wrong in (incident.links[0], IncidentLink(url="https://example.org/more")):
        with pytest.raises(Conflict):
            link(incident, wrong)

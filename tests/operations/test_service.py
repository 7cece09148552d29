from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict, Denied, InvalidInput
from companyos.ledger import Journal
from companyos.operations import Hold, IncidentLink, Operations
from companyos.operations.errors import ApprovalNotFound, HoldNotFound, IncidentNotFound
from tests.pillar import person, records

NOBODY = "019a0000-0000-7000-8000-000000000000"


def active(operations: Operations, subject: str) -> list[Hold]:
    """Return what stops a subject now."""
    with operations.journal.read() as connection:
        return operations.active_holds(connection, subject)


@pytest.fixture
def lead() -> Caller:
    """Return somebody who may decide and lift."""
    return person("lea", "sre_lead")


# --- holds ------------------------------------------------------------------------------------------------------------


def test_a_hold_stops_what_it_covers(
    operations: Operations, journal: Journal, operator: Caller, lead: Caller, clock: ManualClock
) -> None:
    """The release and its service, until it is lifted; each step has its record."""
    hold = operations.place_hold(operator, "service:shop", reason="errors", evidence={"trace": "7f3a"})
    assert [found.id for found in active(operations, "release:shop@1.2.3")] == [hold.id]
    assert active(operations, "service:cart") == []
    lifted = operations.lift_hold(lead, hold.id, reason="fixed")
    assert (lifted.lifted_by, lifted.lifted_at) == ("user:lea", clock.now())
    assert active(operations, "service:shop") == []
    assert operations.get_hold(lead, hold.id) == lifted
    assert [(record.verb, record.target, record.service) for record in records(journal)] == [
        ("hold.place", "service:shop", "shop"),
        ("hold.lift", "service:shop", "shop"),
    ]
    assert records(journal)[0].details["evidence"] == {"trace": "7f3a"}


def test_a_hold_ends_by_itself(operations: Operations, operator: Caller, clock: ManualClock) -> None:
    """Nobody has to come back for it."""
    until = clock.now() + timedelta(minutes=5)
    operations.place_hold(operator, "fleet", reason="freeze", until=until)
    assert len(active(operations, "release:shop@1.0.0")) == 1
    clock.advance(300)
    assert active(operations, "release:shop@1.0.0") == []
    assert operations.list_holds(operator).items == []
    assert len(operations.list_holds(operator, active=False).items) == 1


def test_a_loop_that_finds_the_same_again_places_one_hold(
    operations: Operations, journal: Journal, clock: ManualClock
) -> None:
    """While it is active; afterwards it is placed anew."""
    loop = Caller(subject="system:slo", roles=frozenset({"admin"}))
    first = operations.place_hold(loop, "service:shop", reason="budget spent", source="slo:budget")
    clock.advance(60)
    assert operations.place_hold(loop, "service:shop", reason="budget spent", source="slo:budget") == first
    assert journal.size() == 1
    operations.lift_hold(person("lea", "sre_lead"), first.id, reason="x")
    again = operations.place_hold(loop, "service:shop", reason="budget spent", source="slo:budget")
    assert again.id != first.id


def test_a_hold_that_makes_no_sense_is_refused(
    operations: Operations, journal: Journal, operator: Caller, lead: Caller, clock: ManualClock
) -> None:
    """Wrong subject, an end that has passed, an id that is none."""
    with pytest.raises(InvalidInput):
        operations.place_hold(operator, "shop", reason="x")
    with pytest.raises(InvalidInput):
        operations.place_hold(operator, "fleet", reason="x", until=clock.now())
    for wrong in (NOBODY, "x", "a\0"):
        with pytest.raises(HoldNotFound):
            operations.lift_hold(lead, wrong, reason="x")
        with pytest.raises(HoldNotFound):
            operations.get_hold(lead, wrong)
    assert journal.size() == 0


def test_pages_about_services_get_all_marks_in_one_query(operations: Operations, operator: Caller) -> None:
    """Holds and incidents by the subject they are about, closed and lifted ones left out."""
    shop = operations.place_hold(operator, "service:shop", reason="a")
    operations.place_hold(operator, "service:shop", reason="b")
    fleet = operations.place_hold(operator, "fleet", reason="c")
    holds = operations.active_holds_by_subject()
    assert [len(holds["service:shop"]), len(holds["fleet"])] == [2, 1]
    assert holds["service:shop"][0] == shop
    assert operations.active_holds_by_subject(["fleet"]) == {"fleet": (fleet,)}
    first = operations.open_incident(operator, "service:shop", title="down", severity="sev1")
    second = operations.open_incident(operator, "service:shop", title="slow", severity="sev3")
    operations.change_incident(operator, first.id, status="mitigated")
    operations.close_incident(operator, second.id)
    assert [incident.id for incident in operations.open_incidents_by_subject()["service:shop"]] == [first.id]
    assert operations.open_incidents_by_subject(["fleet"]) == {}


@pytest.mark.parametrize("subject", ["release:shop@1.2.0", "service:shop", "fleet"])
def test_a_release_is_stopped_by_what_covers_it(operations: Operations, operator: Caller, subject: str) -> None:
    """A hold on itself, on its service, on everything; another release of another service goes on unless all stop."""
    hold = operations.place_hold(operator, subject, reason="x")
    assert active(operations, "release:shop@1.2.0") == [hold]
    assert active(operations, "release:cart@1.2.0") == ([hold] if subject == "fleet" else [])
    assert active(operations, "release:shop@1.2.1") == ([] if subject.startswith("release:") else [hold])


# --- approvals --------------------------------------------------------------------------------------------------------


def test_an_approval_takes_a_second_person(
    operations: Operations, journal: Journal, operator: Caller, lead: Caller
) -> None:
    """Asked, decided, in force; the ledger has both names."""
    asked = operations.request_approval(operator, "release:shop@2.0.0", kind="promotion", reason="ready")
    assert operations.standing_approval("release:shop@2.0.0", "promotion") is None
    decided = operations.decide_approval(lead, asked.id, "approve", reason="looks fine")
    assert operations.standing_approval("release:shop@2.0.0", "promotion") == decided
    assert operations.standing_approval("release:shop@2.0.0", "waiver") is None
    assert [(record.verb, record.actor, record.release) for record in records(journal)] == [
        ("approval.request", "user:olga", "shop@2.0.0"),
        ("approval.approve", "user:lea", "shop@2.0.0"),
    ]
    with pytest.raises(Conflict):
        operations.decide_approval(person("max", "sre_lead"), asked.id, "reject", reason="late")


def test_the_author_cannot_decide(operations: Operations, journal: Journal) -> None:
    """An admin who asks may decide all requests but this one."""
    ann = person("ann", "admin")
    asked = operations.request_approval(ann, "fleet", kind="freeze_override", reason="hotfix")
    with pytest.raises(Denied):
        operations.decide_approval(ann, asked.id, "approve", reason="me")
    assert operations.get_approval(ann, asked.id).status == "pending"
    assert journal.size() == 1


def test_approvals_are_listed_with_the_status_they_have_now(
    operations: Operations, operator: Caller, lead: Caller, clock: ManualClock
) -> None:
    """Each status finds its own, and together they find all."""
    end = clock.now() + timedelta(hours=1)
    made = [operations.request_approval(operator, "fleet", kind="waiver", reason="x", expires_at=end) for _ in range(3)]
    operations.decide_approval(lead, made[0].id, "approve", reason="x")
    operations.decide_approval(lead, made[1].id, "reject", reason="x")

    def by_status() -> dict[str, list[str]]:
        return {
            status: [found.id for found in operations.list_approvals(lead, status=status).items]
            for status in ("pending", "approved", "rejected", "expired")
        }

    assert by_status() == {
        "approved": [made[0].id],
        "rejected": [made[1].id],
        "pending": [made[2].id],
        "expired": [],
    }
    clock.advance(3600)
    assert by_status() == {
        "approved": [],
        "rejected": [made[1].id],
        "pending": [],
        "expired": [made[2].id, made[0].id],
    }
    assert [found.status for found in operations.list_approvals(lead).items] == ["expired", "rejected", "expired"]
    assert operations.standing_approval("fleet", "waiver") is None
    with pytest.raises(ApprovalNotFound):
        operations.get_approval(lead, NOBODY)


# --- incidents --------------------------------------------------------------------------------------------------------


def test_an_incident_has_a_timeline(
    operations: Operations, journal: Journal, operator: Caller, clock: ManualClock
) -> None:
    """Each step is an entry with who and when; the ledger holds the digest of what was written, not the text."""
    incident = operations.open_incident(operator, "service:shop", title="Checkout is down", severity="sev2")
    clock.advance(60)
    operations.add_timeline(operator, incident.id, "Called Ann.")
    link = IncidentLink(url="https://example.org/trace", title="trace")
    changed = operations.change_incident(operator, incident.id, severity="sev1", status="mitigated", links=[link])
    assert (changed.severity, changed.status, changed.links) == ("sev1", "mitigated", (link,))
    operations.close_incident(operator, incident.id, text="Fixed.")
    operations.add_timeline(operator, incident.id, "Review: more tests.")
    assert operations.get_incident(operator, incident.id).status == "closed"
    entries = operations.timeline(operator, incident.id).items
    assert [(entry.kind, entry.text) for entry in entries] == [
        ("opened", "Checkout is down"),
        ("note", "Called Ann."),
        ("severity", "sev2 to sev1"),
        ("status", "open to mitigated"),
        ("link", "trace https://example.org/trace"),
        ("status", "Fixed."),
        ("note", "Review: more tests."),
    ]
    assert (entries[1].at - entries[0].at, entries[1].actor) == (timedelta(seconds=60), "user:olga")
    told = records(journal)
    assert [record.verb for record in told] == [
        "incident.open",
        "incident.note",
        "incident.grade",
        "incident.mitigate",
        "incident.link",
        "incident.close",
        "incident.note",
    ]
    assert told[1].details["text_digest"] == f"sha256:{sha256(b'Called Ann.').hexdigest()}"
    assert "Ann" not in str(told)


def test_an_illegal_step_changes_nothing(operations: Operations, journal: Journal, operator: Caller) -> None:
    """Also not the part of it that would be legal."""
    incident = operations.open_incident(operator, "fleet", title="x", severity="sev4")
    operations.close_incident(operator, incident.id)
    before = journal.size()
    for status in ("open", "mitigated", "closed"):
        with pytest.raises(Conflict):
            operations.change_incident(operator, incident.id, status=status)
    with pytest.raises(Conflict):
        operations.change_incident(operator, incident.id, severity="sev1")
    with pytest.raises(Conflict):
        operations.close_incident(operator, incident.id)
    mitigated = operations.open_incident(operator, "fleet", title="x", severity="sev4")
    operations.change_incident(operator, mitigated.id, status="mitigated")
    before = journal.size()
    with pytest.raises(Conflict):
        operations.change_incident(operator, mitigated.id, severity="sev1", status="mitigated")
    assert operations.get_incident(operator, mitigated.id).severity == "sev4"
    assert operations.change_incident(operator, incident.id) == operations.get_incident(operator, incident.id)
    for wrong in (NOBODY, "x", "a\0"):
        with pytest.raises(IncidentNotFound):
            operations.add_timeline(operator, wrong, "x")
        with pytest.raises(IncidentNotFound):
            operations.timeline(operator, wrong)
    assert journal.size() == before


def test_lists_come_in_pages(operations: Operations, operator: Caller) -> None:
    """Newest first; a timeline from its beginning."""
    made = [operations.open_incident(operator, "fleet", title=f"{n}", severity="sev4") for n in range(5)]
    first = operations.list_incidents(operator, limit=3)
    assert [one.title for one in first.items] == ["4", "3", "2"]
    rest = operations.list_incidents(operator, limit=3, cursor=first.next_cursor)
    assert ([one.title for one in rest.items], rest.next_cursor) == (["1", "0"], None)
    assert operations.list_incidents(operator, subject="service:shop").items == []
    for number in range(4):
        operations.add_timeline(operator, made[0].id, f"{number}")
    page = operations.timeline(operator, made[0].id, limit=2)
    assert [entry.text for entry in page.items] == ["0", "0"]
    following = operations.timeline(operator, made[0].id, limit=9, cursor=page.next_cursor)
    assert [entry.text for entry in following.items] == ["1", "2", "3"]
    with pytest.raises(InvalidInput):
        operations.list_holds(operator, cursor="x")


def test_every_use_case_asks_for_a_role(operations: Operations, journal: Journal, viewer: Caller) -> None:
    """Looking is for viewers, the rest for those who may."""
    nobody, operator = person("nobody"), person("op", "operator")
    for attempt in (
        lambda: operations.list_holds(nobody),
        lambda: operations.get_hold(nobody, NOBODY),
        lambda: operations.place_hold(viewer, "fleet", reason="x"),
        lambda: operations.lift_hold(operator, NOBODY, reason="x"),
        lambda: operations.list_approvals(nobody),
        lambda: operations.get_approval(nobody, NOBODY),
        lambda: operations.request_approval(viewer, "fleet", kind="waiver", reason="x"),
        lambda: operations.decide_approval(operator, NOBODY, "approve", reason="x"),
        lambda: operations.list_incidents(nobody),
        lambda: operations.get_incident(nobody, NOBODY),
        lambda: operations.timeline(nobody, NOBODY),
        lambda: operations.open_incident(viewer, "fleet", title="x", severity="sev1"),
        lambda: operations.change_incident(viewer, NOBODY, status="closed"),
        lambda: operations.add_timeline(viewer, NOBODY, "x"),
    ):
        with pytest.raises(Denied):
            attempt()
    assert journal.size() == 0

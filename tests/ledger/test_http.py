from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from companyos.core.access import Caller
from companyos.core.api import Client
from companyos.core.clock import ManualClock
from companyos.core.errors import CompanyOSError, Conflict, Denied, InvalidInput, NotFound, Unavailable
from companyos.core.in_process import InProcessTransport
from companyos.core.settings import Settings
from companyos.ledger import Journal, open_journal
from companyos.ledger.offline import check
from companyos.server.app import create_app
from tests.ledger.conftest import fill

ADMIN = Caller(subject="user:ana", roles=frozenset({"admin"}), ip="192.0.2.7")
SIZE = 25


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Journal]:
    """Return a journal with some records."""
    journal = open_journal(Settings(home=str(tmp_path / "home")), ManualClock(datetime(2026, 1, 31, tzinfo=UTC)))
    fill(journal, SIZE, personal={"email": "ana@example.com"})
    yield journal
    journal.close()


@pytest.fixture
def app(opened: Journal) -> Iterator[Any]:
    """Return the whole application over that journal."""
    made = create_app(opened.settings, journal=opened)
    yield made
    made.close()


@pytest.fixture
def client(app: Any) -> Client:
    """Return an admin's client, without a network."""
    return Client(InProcessTransport(app, ADMIN), "here")


def report_of(client: Client, **params: Any) -> dict[str, Any]:
    """Return the last line of a verification."""
    *steps, last = [json.loads(line) for line in b"".join(client.stream("/api/ledger/verify", params)).splitlines()]
    assert all(set(step) == {"progress"} for step in steps)
    assert set(last) == {"report"}
    report: dict[str, Any] = last["report"]
    return report


def test_lists_are_paged_and_filtered(client: Client) -> None:
    """Records come newest first in pages, or oldest first behind an index, and only those that match."""
    page = client.get("/api/ledger/entries", {"limit": 10})
    assert [record["index"] for record in page["items"]] == list(range(24, 14, -1))
    page = client.get("/api/ledger/entries", {"limit": 10, "cursor": page["next_cursor"]})
    assert [record["index"] for record in page["items"]] == list(range(14, 4, -1))
    page = client.get("/api/ledger/entries", {"after": 20})
    assert [record["index"] for record in page["items"]] == [21, 22, 23, 24]
    page = client.get("/api/ledger/entries", {"service": "svc-7", "decision": "allow", "since": "2026-01-31T00:00:00Z"})
    assert [record["index"] for record in page["items"]] == [7]
    assert client.get("/api/ledger/entries", {"until": "2026-01-31T00:00:00Z"})["items"] == []
    signed = client.get("/api/ledger/entries", {"limit": 1, "signed": True})["items"][0]
    assert signed["signature"]["proof"]["tree_size"] == SIZE


def test_a_record_its_proof_and_the_checkpoint(client: Client) -> None:
    """A record shows all fields of the playbook's audit log; its proof can be checked elsewhere."""
    record = client.get("/api/ledger/entries/3")
    for field in ("actor", "verb", "target", "policy", "decision", "obligations", "ip", "device", "signature"):
        assert field in record
    assert client.get(f"/api/ledger/entries/{record['id']}") == record
    proof = client.get(f"/api/ledger/entries/{record['id']}/proof")
    assert check([json.dumps(proof).encode()]).index == 3
    answer = client.ask("GET", "/api/ledger/checkpoint")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.value == record["signature"]["checkpoint"]
    found = client.get("/api/ledger/consistency", {"from": 7})
    assert (found["first"], found["second"]) == (7, SIZE)


def test_an_export_is_complete(client: Client) -> None:
    """The export comes as lines of JSON that are the whole ledger."""
    data = b"".join(client.stream("/api/ledger/export"))
    assert check(data.splitlines(keepends=True)).records == SIZE


def test_a_verification_reports_the_first_bad_index(client: Client, opened: Journal) -> None:
    """The last line of a verification is its report, good or bad."""
    assert report_of(client)["ok"] is True
    with opened.database.write() as connection:
        connection.execute(text("UPDATE ledger_entries SET body = replace(body, 'ana', 'eve') WHERE idx = 13"))
    report = report_of(client)
    assert (report["ok"], report["first_bad_index"], report["fault"]["kind"]) == (False, 13, "record")


def test_a_rewritten_history_fails_against_the_older_checkpoint(client: Client, opened: Journal) -> None:
    """A ledger that was written anew passes by itself and fails against a checkpoint from before."""
    old = client.get("/api/ledger/checkpoint")
    with opened.database.write() as connection:
        for table in ("entries", "personal", "tiles", "head"):
            connection.execute(text(f"DELETE FROM ledger_{table}"))
    fill(opened, SIZE + 3)
    opened.pin.path.unlink(missing_ok=True)
    assert report_of(client)["ok"] is True
    opened.pin.path.unlink()
    report = report_of(client, since=old)
    assert (report["ok"], report["fault"]["kind"], report["since"]) == (False, "history", [SIZE])


def test_a_verification_that_breaks_off_says_so(client: Client, opened: Journal) -> None:
    """When the database fails in the middle, the last line is a problem and no report."""
    with opened.database.write() as connection:
        connection.execute(text("ALTER TABLE ledger_tiles RENAME TO elsewhere"))
    *_, last = [json.loads(line) for line in b"".join(client.stream("/api/ledger/verify")).splitlines()]
    assert set(last) == {"problem"}
    assert last["problem"]["slug"] == "unavailable"


def test_an_erasure_over_http(client: Client) -> None:
    """A personal value is erased once, by its record's id, with a reason."""
    record = client.get("/api/ledger/entries/3")
    path = f"/api/ledger/entries/{record['id']}/erasures"
    done = client.post(path, {"field": "email", "reason": "asked by the person"})
    assert (done["field"], done["record_id"]) == ("email", record["id"])
    assert client.get(f"/api/ledger/entries/{done['recorded_as']}")["verb"] == "ledger.erase"
    after = client.get("/api/ledger/entries/3")
    assert (after["personal"], after["erased"]) == ({"email": None}, ["email"])
    with pytest.raises(Conflict):
        client.post(path, {"field": "email", "reason": "again"})
    assert report_of(client)["ok"] is True


@pytest.mark.parametrize(
    ("path", "params", "fault"),
    [
        ("/entries", {"limit": 0}, InvalidInput),
        ("/entries", {"limit": "x"}, InvalidInput),
        ("/entries", {"cursor": "x"}, InvalidInput),
        ("/entries", {"after": -2}, InvalidInput),
        ("/entries", {"after": 2**63}, InvalidInput),
        ("/entries", {"decision": "maybe"}, InvalidInput),
        ("/entries", {"since": "yesterday"}, InvalidInput),
        ("/entries", {"since": "2026-01-31T00:00:00"}, InvalidInput),
        ("/entries", {"actor": "\x00"}, InvalidInput),
        ("/entries", {"target": "t" * 600}, InvalidInput),
        ("/entries/99", {}, NotFound),
        ("/entries/none", {}, InvalidInput),
        ("/entries/..%2F..", {}, CompanyOSError),
        ("/entries/none/proof", {}, InvalidInput),
        ("/consistency", {}, InvalidInput),
        ("/consistency", {"from": 0}, InvalidInput),
        ("/consistency", {"from": 9, "to": 3}, InvalidInput),
        ("/consistency", {"from": 1, "to": 26}, InvalidInput),
        ("/verify", {"since": "nonsense"}, InvalidInput),
        ("/verify", {"since": "x" * 5000}, InvalidInput),
        ("/reads", {"cursor": "x"}, InvalidInput),
    ],
)
def test_what_cannot_be_answered_is_a_clear_problem(
    client: Client, path: str, params: dict[str, Any], fault: type[CompanyOSError]
) -> None:
    """Bad parameters and unknown records come back as the matching problem, never as an internal error."""
    with pytest.raises(fault) as caught:
        b"".join(client.stream(f"/api/ledger{path}", params))
    assert type(caught.value) is not CompanyOSError or fault is CompanyOSError
    assert not isinstance(caught.value, Unavailable)


def test_every_route_needs_its_permission(app: Any) -> None:
    """A caller without roles is denied everywhere, also where the answer would be a stream."""
    nobody = Client(InProcessTransport(app, Caller(subject="user:nobody")), "here")
    viewer = Client(InProcessTransport(app, Caller(subject="user:viewer", roles=frozenset({"viewer"}))), "here")
    paths = ("entries", "entries/1", "entries/1/proof", "checkpoint", "consistency", "export", "verify", "reads")
    for path, client in product(paths, (nobody, viewer)):
        with pytest.raises(Denied):
            b"".join(client.stream(f"/api/ledger/{path}", {"from": 1} if path == "consistency" else {}))
    with pytest.raises(Denied):
        nobody.post("/api/ledger/entries/1/erasures", {"field": "ip", "reason": "x"})


def test_nothing_but_reading_and_erasing_is_offered(app: Any) -> None:
    """No route appends, changes or deletes a record."""
    methods = {
        (route.path, method)
        for route in app.litestar.routes
        if route.path.startswith("/api/ledger")
        for method in route.methods - {"OPTIONS", "HEAD"}
    }
    assert {path for path, method in methods if method != "GET"} == {"/api/ledger/entries/{id:str}/erasures"}
    assert len(methods) == 9

from __future__ import annotations

from companyos.core.settings import Settings
from companyos.server.app import Application, create_app
from tests.policy.log.lines import decision, id_of
from tests.policy.point.conftest import SYSTEM, asker
from tests.server.web import Web, problem

PATH = "/v1/decisions"
NDJSON = {"content-type": "application/x-ndjson"}


def test_a_batch_is_stored_and_its_sender_is_known(app: Application, service: Web) -> None:
    """A 200 means that the records are on the disk, under the name of whoever has sent them."""
    line = decision("ana")
    answer = service("POST", PATH, content=line + b"\n", headers=NDJSON)
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "duplicates": 0, "rejected": []})
    assert app.decisions.find(SYSTEM, id_of(line))[0].source == "service:shop"


def test_a_batch_that_is_sent_again_after_a_restart_is_fine(settings: Settings, app: Application, service: Web) -> None:
    """The answer may get lost, and the server may start again in between: the records are stored once."""
    line = decision("ana")
    assert service("POST", PATH, content=line, headers=NDJSON).json()["accepted"] == 1
    app.close()
    again = create_app(settings, app.journal.clock)
    answer = asker(again)("POST", PATH, content=line, headers=NDJSON).json()
    assert (answer["accepted"], answer["duplicates"]) == (0, 1)
    again.close()


def test_a_rejected_batch_says_which_line_and_why(app: Application, service: Web) -> None:
    """Nothing is taken, and the problem names each line at fault."""
    good = decision("ana")
    answer = service("POST", PATH, content=good + b"\n{}\n", headers=NDJSON)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    found = answer.json()
    assert [one["line"] for one in found["rejected"]] == [2]
    assert "line 2" in found["detail"]
    assert app.decisions.reader.find(id_of(good)) == []


def test_what_it_refuses(app: Application, service: Web, viewer: Web) -> None:
    """It takes a credential, the permission, the type of lines of JSON, and a body within the limit."""
    line = decision("ana")
    problem(Web(app)("POST", PATH, content=line, headers=NDJSON), 401, "unauthenticated")
    problem(viewer("POST", PATH, content=line, headers=NDJSON), 403, "denied")
    problem(service("POST", PATH, content=line, headers={"content-type": "text/plain"}), 400, "invalid-input")
    problem(service("POST", PATH, content=b" " * (8 * 1024 * 1024 + 1), headers=NDJSON), 413, "too-large")
    problem(service("GET", PATH), 405, "method-not-allowed")


def test_a_batch_may_be_larger_than_other_bodies(service: Web) -> None:
    """A spool that was without network for a while brings much at once."""
    lines = [decision("ana", clearance="x" * 1000) for _ in range(300)]
    answer = service("POST", PATH, content=b"\n".join(lines), headers=NDJSON)
    assert answer.json()["accepted"] == 300

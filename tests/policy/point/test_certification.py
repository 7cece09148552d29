"""The certification scenario of the OpenID AuthZEN Authorization API 1.0: Basic, Batch and Discovery.

The cases are written from the scenario's requirements; the numbers of rules are those of its fixture policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from companyos.server.app import Application
from tests.policy.point.conftest import asker, serving
from tests.policy.point.programs import FIXTURE, bundle
from tests.server.web import Web

ONE = "/access/v1/evaluation"
MANY = "/access/v1/evaluations"


@pytest.fixture(scope="module")
def app(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Return one application for all cases."""
    with serving(empty_home, tmp_path_factory.mktemp("module"), bundle(FIXTURE)) as made:
        yield made


@pytest.fixture(scope="module")
def service(app: Application) -> Web:
    """Return a service that may ask for decisions."""
    return asker(app)


ALICE = {"type": "user", "id": "alice"}
BOB = {"type": "user", "id": "bob"}
BOSS = {**BOB, "properties": {"role": "admin"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
FIRST = {"type": "record", "id": "record-1"}
ARCHIVED = {"type": "record", "id": "record-2", "properties": {"status": "archived"}}
ACTIVE = {**FIRST, "properties": {"status": "active"}}
CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}


def question(subject: Any = ALICE, action: Any = READ, resource: Any = FIRST, **more: Any) -> dict[str, Any]:
    """Return a request; an entity that is None is left out."""
    entities = {"subject": subject, "action": action, "resource": resource, **more}
    return {name: value for name, value in entities.items() if value is not None}


def delete(*, soft: bool) -> dict[str, Any]:
    """Return the action of deleting."""
    return {"name": "delete", "properties": {"soft": soft}}


DECISIONS = {
    "rule 1": (question(), True),
    "rule 2": (question(action=WRITE), True),
    "rule 3": (question(BOB), True),
    "rule 4": (question(BOB, WRITE), False),
    "rule 5": (question(action=WRITE, resource=ARCHIVED), False),
    "rule 6": (question(BOSS, WRITE, ARCHIVED), True),
    "rule 7": (question(action=delete(soft=True)), True),
    "rule 8": (question(action=delete(soft=False)), False),
    "with context": (question(context=CONTEXT), True),
    "denied with context": (question(BOB, WRITE, context=CONTEXT), False),
    "more properties": (
        question(
            {**ALICE, "properties": {"department": "Sales", "role": "manager"}},
            {**READ, "properties": {"method": "GET"}},
            {**ACTIVE, "properties": {"status": "active", "owner": "bob"}},
        ),
        True,
    ),
    "unknown fields": (question(foo="bar", futureField={"nested": True}), True),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_the_fixture_policy_decides(service: Web, case: str) -> None:
    """Each required decision comes out as it must, as a boolean, and the same one each time."""
    asked, expected = DECISIONS[case]
    for _ in range(3):
        answer = service("POST", ONE, json=asked)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["decision"] is expected
        assert isinstance(answer.json()["context"], dict)


BAD = {
    "no subject": question(None),
    "no action": question(action=None),
    "no resource": question(resource=None),
    "subject without type": question({"id": "alice"}),
    "subject without id": question({"type": "user"}),
    "action without name": question(action={}),
    "resource without type": question(resource={"id": "record-1"}),
    "resource without id": question(resource={"type": "record"}),
    "subject is a text": question("alice"),
    "the name of the action is a number": question(action={"name": 123}),
    "an id that is a number": question({"type": "user", "id": 7}),
    "an empty id": question({"type": "user", "id": ""}),
    "properties are a list": question({**ALICE, "properties": []}),
    "context is a text": question(context="now"),
    "an array": [question()],
    "a text": "hello",
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("path", [ONE, MANY])
def test_a_bad_request_is_refused(service: Web, path: str, case: str) -> None:
    """A field that is missing or of another type is a 400 with one sentence, at both addresses."""
    answer = service("POST", path, json=BAD[case])
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"not json", b'{"subject": }'])
def test_a_body_that_is_no_json_is_refused(service: Web, body: bytes) -> None:
    """An empty body and a broken one are a 400."""
    answer = service("POST", ONE, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/jsonx", ""])
def test_another_content_type_is_refused(service: Web, kind: str) -> None:
    """Whatever is not said to be JSON is a 400, also what says nothing."""
    headers = {"content-type": kind} if kind else {}
    assert service("POST", ONE, content=b"{}", headers=headers).status_code == 400


def test_a_content_type_may_have_parameters(service: Web) -> None:
    """``application/json; charset=utf-8`` is JSON."""
    headers = {"content-type": "application/json; charset=utf-8"}
    body = b'{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"r","id":"1"}}'
    assert service("POST", ONE, content=body, headers=headers).json()["decision"] is True


@pytest.mark.parametrize("given", ["bfe9eb29-ab87-4ca3-be83-a1d5d8305716", "any text; of mine", "7"])
@pytest.mark.parametrize("asked", [question(), question(None)], ids=["good", "bad"])
def test_the_request_id_comes_back(service: Web, given: str, asked: dict[str, Any]) -> None:
    """Whatever a request calls itself is in the answer, once, also when the request is refused."""
    for _ in range(2):  # The first one goes through all layers, the second one takes the short way.
        answer = service("POST", ONE, json=asked, headers={"x-request-id": given})
        assert answer.headers.get_list("x-request-id") == [given]


def test_no_request_id_is_fine(service: Web) -> None:
    """Who does not name its request gets an answer too."""
    assert service("POST", ONE, json=question()).status_code == 200


BATCHES = {
    "two resources": (
        {"subject": ALICE, "action": READ, "evaluations": [{"resource": FIRST}, {"resource": ARCHIVED}]},
        [True, True],
    ),
    "rules 3 and 4 in order": (
        {"subject": BOB, "resource": FIRST, "evaluations": [{"action": READ}, {"action": WRITE}]},
        [True, False],
    ),
    "properties of each": (
        {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    "subjects of each": (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": BOSS}]},
        [False, True],
    ),
    "no defaults": ({"evaluations": [question(), question(BOB, WRITE)]}, [True, False]),
    "context inherited": (
        {
            "subject": ALICE,
            "action": READ,
            "context": CONTEXT,
            "evaluations": [{"resource": FIRST}, {"resource": ARCHIVED, "context": {"source": "override"}}],
        },
        [True, True],
    ),
    "an empty item inherits all": (
        {"subject": ALICE, "action": WRITE, "resource": ACTIVE, "evaluations": [{}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    "an entity is replaced as a whole": (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"resource": FIRST, "subject": ALICE}]},
        [True],
    ),
    "a bad item is closed": (
        {
            "subject": ALICE,
            "action": READ,
            "options": {"evaluations_semantic": "execute_all"},
            "evaluations": [{"resource": FIRST}, {}, {"resource": FIRST}],
        },
        [True, False, True],
    ),
}


@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_is_answered_in_order(service: Web, case: str) -> None:
    """As many answers as questions, in their order, and no decision at the top."""
    asked, expected = BATCHES[case]
    answer = service("POST", MANY, json=asked)
    assert answer.status_code == 200
    assert [one["decision"] for one in answer.json()["evaluations"]] == expected
    assert "decision" not in answer.json()


def test_the_error_of_an_item_is_in_its_context(service: Web) -> None:
    """The rest of the batch is decided, and the bad item says what is missing."""
    asked = {"subject": ALICE, "action": READ, "evaluations": [{}]}
    (answer,) = service("POST", MANY, json=asked).json()["evaluations"]
    assert answer["decision"] is False
    assert answer["context"]["error"]["status"] == 400
    assert "resource" in answer["context"]["error"]["message"]


@pytest.mark.parametrize("evaluations", [None, []])
def test_without_questions_a_batch_is_one_question(service: Web, evaluations: list[Any] | None) -> None:
    """Without the array, or with an empty one, the answer is that of a single evaluation."""
    asked = question() if evaluations is None else {**question(), "evaluations": evaluations}
    assert service("POST", MANY, json=asked).json()["decision"] is True


SEMANTICS = {
    "execute_all": [True, False, True],
    "deny_on_first_deny": [True, False],
    "permit_on_first_permit": [True],
}


@pytest.mark.parametrize("semantic", SEMANTICS)
def test_a_semantic_ends_the_batch(service: Web, semantic: str) -> None:
    """The answers stop behind the first denial, or the first permit, or not at all."""
    asked = {
        "resource": FIRST,
        "action": WRITE,
        "options": {"evaluations_semantic": semantic},
        "evaluations": [{"subject": ALICE}, {"subject": BOB}, {"subject": BOSS}],
    }
    answer = service("POST", MANY, json=asked).json()
    assert [one["decision"] for one in answer["evaluations"]] == SEMANTICS[semantic]


def test_a_failure_is_a_denial_for_the_semantic(service: Web) -> None:
    """``deny_on_first_deny`` ends at a question that is none."""
    options = {"evaluations_semantic": "deny_on_first_deny"}
    asked = {"subject": ALICE, "action": READ, "options": options, "evaluations": [{}, {"resource": FIRST}]}
    assert len(service("POST", MANY, json=asked).json()["evaluations"]) == 1


BAD_BATCHES: dict[str, dict[str, Any]] = {
    "evaluations are an object": {"evaluations": {}},
    "an item is a text": {"evaluations": ["x"]},
    "an unknown semantic": {"evaluations": [{}], "options": {"evaluations_semantic": "some"}},
    "a semantic that is a list": {"evaluations": [{}], "options": {"evaluations_semantic": ["execute_all"]}},
    "options are a list": {"evaluations": [{}], "options": []},
    "too many": {"evaluations": [{}] * 1001},
}


@pytest.mark.parametrize("case", BAD_BATCHES)
def test_a_batch_that_is_bad_as_a_whole_is_refused(service: Web, case: str) -> None:
    """What concerns all questions is a 400."""
    assert service("POST", MANY, json={**question(), **BAD_BATCHES[case]}).status_code == 400


def test_a_thousand_questions_are_answered(service: Web) -> None:
    """The largest batch is decided, each question by itself."""
    asked = {"subject": ALICE, "action": READ, "resource": FIRST, "evaluations": [{}] * 1000}
    answers = service("POST", MANY, json=asked).json()["evaluations"]
    assert len({one["context"]["audit_id"] for one in answers}) == 1000


def test_the_metadata_needs_no_credential(app: Application) -> None:
    """Anybody may read what this decision point can do; the addresses are below the one that was asked."""
    answer = Web(app)("GET", "/.well-known/authzen-configuration")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    base = "http://127.0.0.1:8700"
    assert answer.json() == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + ONE,
        "access_evaluations_endpoint": base + MANY,
        "supported_obligations": ["step-up", "custom"],
    }

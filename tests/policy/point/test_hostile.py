from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.server.app import Application
from tests.policy.point.conftest import asker, serving
from tests.policy.point.programs import Program, bundle
from tests.policy.point.test_authorize import PATH, REQUEST, cleared
from tests.server.web import Web, problem


@pytest.fixture(scope="module")
def app(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Return one application for all cases."""
    with serving(empty_home, tmp_path_factory.mktemp("module"), bundle(Program(cleared))) as made:
        yield made


@pytest.fixture(scope="module")
def service(app: Application) -> Web:
    """Return a service that may ask for decisions."""
    return asker(app)


SUBJECT = b'"subject":{"id":"a","type":"u"}'
REST = b'"action":"r","resource":{"type":"d"}'
HOSTILE = {
    "a key twice": b"{%b,%b,%b}" % (SUBJECT, REST, REST),
    "a key twice deep inside": b'{"subject":{"id":"a","type":"u","attributes":{"x":1,"x":2}},%b}' % REST,
    "NaN": b'{"subject":{"id":"a","type":"u","attributes":{"x":NaN}},%b}' % REST,
    "a huge number": b'{"subject":{"id":"a","type":"u","attributes":{"x":1e999}},%b}' % REST,
    "a long integer": b'{"x":' + b"9" * 5000 + b"}",
    "deep arrays": b'{"x":' + b"[" * 40 + b"]" * 40 + b"}",
    "very deep arrays": b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "a surrogate": b'{"subject":{"id":"\\ud800","type":"u"},%b}' % REST,
    "no UTF-8": b'{"subject":"\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "something behind": json.dumps(REQUEST).encode() + b"{}",
    "an array": b"[]",
    "control characters in the action": b'{%b,"action":"r\\u0000","resource":{"type":"d"}}' % SUBJECT,
    "a long action": b'{%b,"action":"%b","resource":{"type":"d"}}' % (SUBJECT, b"x" * 600),
    "attributes that are a list": b'{"subject":{"id":"a","type":"u","attributes":[]},%b}' % REST,
    "no subject id": b'{"subject":{"type":"u"},%b}' % REST,
    "no resource type": b'{%b,"action":"r","resource":{}}' % SUBJECT,
    "a resource id that is null": b'{%b,"action":"r","resource":{"type":"d","id":null}}' % SUBJECT,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_body_is_refused_with_one_sentence(service: Web, case: str) -> None:
    """The same answer on the long way and on the short one, and the next request is served."""
    assert service("POST", PATH, json=REQUEST).status_code == 200
    for _ in range(2):
        answer = service("POST", PATH, content=HOSTILE[case], headers={"content-type": "application/json"})
        found = problem(answer, 400, "invalid-input")
        assert found["detail"].count(". ") <= 1
    assert service("POST", PATH, json=REQUEST).status_code == 200


def test_a_body_that_is_too_large_is_refused(service: Web) -> None:
    """Also when the length is not said before."""
    assert service("POST", PATH, json=REQUEST).status_code == 200
    large = json.dumps({**REQUEST, "environment": {"x": "y" * 300_000}}).encode()
    problem(service("POST", PATH, content=large, headers={"content-type": "application/json"}), 413, "too-large")


def test_spaces_and_other_spellings_are_the_same_request(service: Web) -> None:
    """A body that is not written compactly is read by the strict reader, with the same outcome."""
    body = json.dumps(REQUEST, indent=3).replace('"read"', '"\\u0072ead"').encode()
    answer = service("POST", PATH, content=body, headers={"content-type": "application/json"})
    assert answer.json()["reason"] == "dlp.mask"

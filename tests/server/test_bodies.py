from __future__ import annotations

import pytest

from companyos.server.app import Application
from tests.server.web import Web, problem

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"name": 1}', "name"),
        ('{"name": "a", "ttl_s": "60"}', "ttl_s"),
        ('{"name": "a", "ttl_s": 60.5}', "ttl_s"),
        ('{"name": "a", "roles": ["nobody"]}', "roles[0]"),
        ('{"name": "a", "roles": "admin"}', "roles"),
        ('{"name": "a", "name": "b"}', None),
        ('{"name": "a", "ttl_s": 1e999}', None),
        ("null", None),
        ("[]", None),
        ('"text"', None),
    ],
)
def test_wrong_types_are_refused_and_the_field_is_named(admin: Web, body: str, field: str | None) -> None:
    """Nothing is guessed: a number in quotes is no number, and of two equal keys none wins."""
    found = problem(admin("POST", "/api/tokens", content=body, headers=JSON), 400, "invalid-input")
    assert found.get("field") == field


def test_an_empty_body_is_named(admin: Web) -> None:
    """A route that needs a body says so."""
    problem(admin("POST", "/api/tokens"), 400, "invalid-input")


def test_json_under_a_name_of_its_own_is_read(app: Application, admin: Web) -> None:
    """``application/…+json`` is JSON (RFC 6839)."""
    del app
    body = '{"name": "robot"}'
    answer = admin("POST", "/api/subjects", content=body, headers={"content-type": "application/x+json; charset=utf-8"})
    assert answer.status_code == 201

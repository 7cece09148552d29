from __future__ import annotations

import json
import logging

import pytest

from companyos.server.app import Application
from tests.server.web import Web, problem

TYPE = {"content-type": "application/csp-report"}


def report(**fields: str) -> str:
    """Return a report as browsers write it."""
    return json.dumps({"csp-report": {name.replace("_", "-"): value for name, value in fields.items()}})


def test_a_report_is_counted_and_logged_once_per_kind(browser: Web, caplog: pytest.LogCaptureFixture) -> None:
    """A browser reports with its cookie alone; a second report of the same kind is no second line."""
    body = report(
        document_uri="http://127.0.0.1:8700/services/checkout?token=secret",
        blocked_uri="https://evil.example/x.js?y",
        effective_directive="script-src",
    )
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert browser("POST", "/api/csp-reports", content=body, headers=TYPE).status_code == 204
    (line,) = caplog.records
    assert line.getMessage() == "content security policy stopped something"
    fields = vars(line)
    assert (fields["directive"], fields["blocked"], fields["page"]) == (
        "script-src",
        "https://evil.example",
        "/services/checkout",
    )


def test_kinds_are_bounded(app: Application, browser: Web, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody who makes up reports gets a hundred lines into the log, and one for all others."""
    with caplog.at_level(logging.WARNING):
        for number in range(150):
            body = report(blocked_uri=f"https://{number}.example/", violated_directive="img-src")
            assert browser("POST", "/api/csp-reports", content=body, headers=TYPE).status_code == 204
    assert len(caplog.records) == 101


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"csp-report": []}', "[" * 3000, '{"csp-report": {"blocked-uri": 1}}']
)
def test_nonsense_is_refused(browser: Web, body: str) -> None:
    """What is no report is invalid input."""
    problem(
        browser("POST", "/api/csp-reports", content=body, headers={**TYPE, "content-length": str(len(body))}),
        400,
        "invalid-input",
    )


def test_another_type_is_refused(admin: Web) -> None:
    """A report calls itself one."""
    problem(admin("POST", "/api/csp-reports", json={}), 415, "unsupported-media-type")


@pytest.mark.parametrize("url", ["http://[", "data:text/html,x\x1b[31m", "inline", ""])
def test_strange_addresses_do_no_harm(browser: Web, caplog: pytest.LogCaptureFixture, url: str) -> None:
    """An address that cannot be parsed is shortened to what is printable."""
    with caplog.at_level(logging.WARNING):
        body = report(blocked_uri=url, document_uri=url)
        assert browser("POST", "/api/csp-reports", content=body, headers=TYPE).status_code == 204
    assert "\x1b" not in str(vars(caplog.records[0]))

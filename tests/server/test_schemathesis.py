"""Schemathesis reads the OpenAPI document and sends what it allows and what it forbids, to the application itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.openapi import from_dict
from schemathesis.specs.openapi.checks import positive_data_acceptance

from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.server.app import Application, create_app
from tests.server.web import Web

# Its strategies call `random`, which Hypothesis seeds for each request and warns about.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")

schemathesis.serializer.alias("application/csp-report", "application/json")
schemathesis.serializer.alias("application/x-tar", "application/octet-stream")
schemathesis.serializer.alias("application/x-ndjson", "application/octet-stream")
schemathesis.serializer.alias("application/gzip", "application/octet-stream")

MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
# The same commit gives the same requests, everywhere.
BOUNDED = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.fixture(scope="module")
def application(empty_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """Return one application for all requests, so that they meet what others have made."""
    home = shutil.copytree(empty_home, tmp_path_factory.mktemp("schemathesis") / "home")
    app = create_app(Settings(home=str(home), public_url="http://testserver", sign_in_attempts=1000), ManualClock())
    yield app
    app.close()


@pytest.fixture(scope="module")
def token(application: Application) -> str:
    """Return the token of an admin."""
    issued = application.identity.bootstrap_admin()
    assert issued is not None
    return issued.secret


@pytest.fixture(scope="module")
def document(application: Application, token: str) -> dict[str, Any]:
    """Return the OpenAPI document as an admin gets it."""
    found: dict[str, Any] = Web(application, token)("GET", "/schema").json()
    return found


@pytest.mark.parametrize("mode", MODES, ids=["allowed", "forbidden"])
def test_every_answer_to_an_admin_is_as_documented(
    application: Application, document: dict[str, Any], token: str, mode: GenerationMode
) -> None:
    """No request of an admin causes a 5xx, an undocumented status or an answer of another shape."""
    # The stream never ends by itself; test_run and test_sse look at it.
    operations = {path: item for path, item in document["paths"].items() if path != "/events"}
    assert faults(application, {**document, "paths": operations}, mode, token) == {}


@pytest.mark.parametrize("mode", MODES, ids=["allowed", "forbidden"])
def test_every_answer_to_nobody_is_as_documented(
    application: Application, document: dict[str, Any], mode: GenerationMode
) -> None:
    """Without a credential every answer is documented too, and none is a 5xx."""
    assert faults(application, document, mode) == {}


def faults(
    application: Application, document: dict[str, Any], mode: GenerationMode, token: str | None = None
) -> dict[str, str]:
    """Return what is wrong, by operation, after sending requests of this mode to each."""
    schema = from_dict(document)
    schema.app = application
    headers = {"Authorization": f"Bearer {token}"} if token else None
    found = {}
    asked = 0
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()

        @settings(BOUNDED, max_examples=4 if token else 1)  # nobody gets past the first layer
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: schemathesis.Case[Any]) -> None:
            # What a cursor or a subject may be is no pattern, so a request that the document allows may be refused.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        try:
            ask()
        except Unsatisfiable:
            continue  # Nothing that this operation takes can be forbidden.
        except ExceptionGroup as fault:
            found[operation.label] = "\n".join(str(part) for part in fault.exceptions)
        asked += 1
    assert asked > len(document["paths"]) / 2
    return found

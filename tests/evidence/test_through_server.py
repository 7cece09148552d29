from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.settings import Settings
from companyos.server.app import Application, create_app
from tests.evidence.artifacts import tar
from tests.server.web import Web

SYSTEM = Caller(subject="system:test", roles=frozenset({"admin"}))
LARGE = tar(files={"large": b"x" * 100_000})
TAR = {"content-type": "application/x-tar"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Application]:
    """Return the whole application, whose other bodies have at most 4096 bytes."""
    made = create_app(Settings(home=str(tmp_path / "home"), body_limit_bytes=4096), ManualClock())
    yield made
    made.close()


def somebody(app: Application, *roles: str) -> Web:
    """Return somebody with a token and these roles."""
    return Web(app, app.identity.issue_token(SYSTEM, "somebody", type="user", roles=roles).secret)


def test_a_large_artifact_passes_every_layer(app: Application) -> None:
    """And is signed, and shown, by an operator."""
    web = somebody(app, "operator")
    made = web("POST", "/api/artifacts", content=LARGE, headers=TAR)
    digest = f"sha256:{hashlib.sha256(LARGE).hexdigest()}"
    assert (made.status_code, made.json()["digest"]) == (201, digest)
    assert web("POST", f"/api/artifacts/{digest}/signature").status_code == 200
    assert web("GET", f"/api/artifacts/{digest}").json()["signature"]["state"] == "verified"
    assert web("POST", "/api/services/import", content=LARGE, headers=TAR).status_code == 413


def test_whoever_may_not_store_is_told_so(app: Application) -> None:
    """401 without a credential, 403 without the role, and nothing is kept."""
    assert Web(app)("POST", "/api/artifacts", content=LARGE, headers=TAR).status_code == 401
    assert somebody(app, "viewer")("POST", "/api/artifacts", content=LARGE, headers=TAR).status_code == 403
    assert not list(app.settings.folder.artifacts.glob("sha256/*"))

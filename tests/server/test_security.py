from __future__ import annotations

import pytest

from companyos.tower.assets import asset_path
from tests.server.web import Web

STRICT = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/health", {}),
        ("/api/tokens", {}),
        ("/sign-in", {}),
        ("/nothing", {}),
        ("/", {"accept": "text/html"}),
        ("/health", {"host": "evil.example"}),
        (asset_path("tower.css"), {}),
    ],
)
def test_every_answer_carries_the_headers(nobody: Web, path: str, headers: dict[str, str]) -> None:
    """Answers, refusals and redirects alike: strict policy, no sniffing, no framing, no foreign readers."""
    answer = nobody("GET", path, headers=headers)
    policy = set(answer.headers["content-security-policy"].split("; "))
    assert policy >= STRICT
    assert not any("unsafe" in part or "*" in part or "http" in part for part in policy)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "geolocation=()" in answer.headers["permissions-policy"]
    assert "server" not in answer.headers


def test_only_static_files_may_be_kept(nobody: Web, admin: Web) -> None:
    """What depends on who asks is never stored; a file whose name is its digest is kept for ever."""
    assert admin("GET", "/api/tokens").headers.get_list("cache-control") == ["no-store"]
    assert admin("GET", "/").headers.get_list("cache-control") == ["no-store"]
    assert nobody("GET", "/health").headers.get_list("cache-control") == ["no-store"]
    assert "immutable" in nobody("GET", asset_path("tower.css")).headers["cache-control"]


def test_http_is_not_told_to_be_https(nobody: Web) -> None:
    """Strict-Transport-Security belongs to https only."""
    assert "strict-transport-security" not in nobody("GET", "/health").headers

from __future__ import annotations

from pathlib import Path

import pytest

from companyos.core.errors import CompanyOSError, InvalidInput, Unavailable
from companyos.identity.issuers import FILE, load_issuers
from companyos.server.app import create_app

GOOD = """\
issuers:
  - name: okta
    issuer: https://id.example
    audience: [companyos, other]
    jwks_url: https://id.example/keys
    algorithms: [ES256]
    attributes: {clearance: clearance, /realm/roles: roles}
  - {name: ci, issuer: "https://ci.example", audience: companyos, jwks_file: ci.json, subject_type: service}
"""


def written(home: Path, text: str) -> Path:
    """Write the file of issuers."""
    path = home / FILE
    path.write_text(text)
    path.chmod(0o600)
    return home


def test_a_file_names_issuers(tmp_path: Path) -> None:
    """Each has what it says and safe defaults for the rest; without a file there is none."""
    assert dict(load_issuers(tmp_path)) == {}
    found = load_issuers(written(tmp_path, GOOD))
    okta, ci = found["https://id.example"], found["https://ci.example"]
    assert (okta.audiences, okta.algorithms, okta.source) == (
        frozenset({"companyos", "other"}),
        ("ES256",),
        "jwt:https://id.example",
    )
    assert (ci.audiences, ci.algorithms, ci.subject_type) == (frozenset({"companyos"}), ("RS256", "ES256"), "service")
    assert dict(load_issuers(written(tmp_path, ""))) == {}


ONE = "issuers: [{{name: a, issuer: 'https://a', audience: c, {}}}]"


@pytest.mark.parametrize(
    "text",
    [
        ONE.format("jwks_file: a, algorithms: [HS256]"),
        ONE.format("jwks_file: a, algorithms: [none]"),
        ONE.format("jwks_file: a, algorithms: []"),
        ONE.format("jwks_file: a, types: []"),
        ONE.format("jwks_file: a, audience: []"),
        ONE.format("jwks_file: a, jwks_url: 'https://a'"),
        ONE.format("leeway_s: 0"),
        ONE.format("jwks_file: a, leeway_s: 301"),
        ONE.format("jwks_file: a, secret: x"),
        ONE.format("jwks_file: a, attributes: {x: A}"),
        ONE.format("jwks_file: a, attributes: {x: a, y: a}"),
        ONE.format("jwks_url: 'http://id.example/keys'"),
        ONE.format("jwks_url: 'file:///etc/passwd'"),
        ONE.format("jwks_url: 'https://user@id.example/keys'"),
        "issuers: [{name: a, issuer: x, audience: c, jwks_file: a}, {name: a, issuer: y, audience: c, jwks_file: a}]",
        "issuers: [{name: a, issuer: x, audience: c, jwks_file: a}, {name: b, issuer: x, audience: c, jwks_file: a}]",
        "issuers: {}",
        "issuer: []",
        "[]",
        "a: [",
    ],
)
def test_a_bad_file_stops_the_start(tmp_path: Path, text: str) -> None:
    """The sentence names the file; no issuer is taken half."""
    with pytest.raises(InvalidInput, match=FILE):
        load_issuers(written(tmp_path, text))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    """Whoever can write it can sign in as anybody."""
    (written(tmp_path, GOOD) / FILE).chmod(0o622)
    with pytest.raises(Unavailable, match="lets other users in"):
        load_issuers(tmp_path)


def test_the_platform_does_not_start_with_a_bad_file(tmp_path: Path) -> None:
    """Nobody finds out at the first sign-in."""
    from companyos.core.settings import Settings

    home = tmp_path / "home"
    home.mkdir()
    written(home, "issuers: 7")
    with pytest.raises(CompanyOSError, match=FILE):
        create_app(Settings(home=str(home)))

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from companyos.core.clock import ManualClock
from companyos.core.errors import InvalidInput, Unavailable
from companyos.identity.key_sets import AGAIN_S, FRESH_S, KEPT_S, LIMITS, FetchedKeys, FileKeys, fetch_keys, read_keys
from tests.identity.signing import ec_key, ed_key, jwk, jwks, number, rsa_key


def test_each_key_verifies_what_it_is_made_for() -> None:
    """RSA keys both RSA algorithms, the others one; what a key says of itself narrows that."""
    keys = read_keys(jwks(), "here")
    assert {(key.kid, tuple(sorted(key.algorithms))) for key in keys.keys} == {
        ("rsa", ("PS256", "RS256")),
        ("ec", ("ES256",)),
        ("ed", ("EdDSA",)),
    }
    narrowed = read_keys(jwks(jwk(rsa_key(), None, alg="RS256", use="sig", key_ops=["verify"])), "here")
    assert narrowed.keys[0].algorithms == {"RS256"}
    assert narrowed.find(None, "RS256") is narrowed.keys[0]
    assert narrowed.find("x", "RS256") is None
    assert narrowed.find(None, "PS256") is None
    assert read_keys(jwks(jwk(ed_key(), "e", alg="Ed25519")), "here").keys[0].algorithms == {"EdDSA"}


def test_keys_for_something_else_are_left_out() -> None:
    """Of encryption, of another curve, of an algorithm that is not ours, and of kinds that nobody knows."""
    others: tuple[dict[str, Any], ...] = (
        jwk(ec_key(), "a", use="enc"),
        jwk(ec_key(), "b", alg="ES384"),
        jwk(ec_key(), "c", key_ops=["sign"]),
        {"kty": "EC", "crv": "P-521", "kid": "d", "x": "AA", "y": "AA"},
        {"kty": "AKP", "alg": "ML-DSA-44", "kid": "e", "pub": "AA"},
        jwk(ec_key(), None) | {"kid": 7},
        {},
    )
    assert [key.kid for key in read_keys(jwks(*others, jwk(ec_key(), "good")), "here").keys] == ["good"]
    with pytest.raises(InvalidInput, match="no key that verifies"):
        read_keys(jwks(*others), "here")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": {}}',
        b'{"keys": [1]}',
        b'{"keys": [], "keys": []}',
        json.dumps({"keys": [{}] * 101}).encode(),
        jwks(jwk(ec_key(), "ec") | {"d": number(ec_key().private_numbers().private_value)}),
        jwks(jwk(ec_key(), "ec"), {"kty": "oct", "k": "c2VjcmV0", "kid": "s"}),
        jwks({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        jwks({"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
        jwks(jwk(rsa_key("short", 1024), "short")),
        b" " * (LIMITS.bytes + 1),
    ],
)
def test_broken_sets_are_refused(data: bytes) -> None:
    """Private and shared keys, short keys, points off the curve, too many, too long, and what is no set."""
    from companyos.core.errors import TooLarge

    with pytest.raises((InvalidInput, TooLarge)):
        read_keys(data, "here")


def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A key that is added or taken away counts at once, and a file that breaks gives no keys."""
    path = tmp_path / "keys.json"
    source = FileKeys(path)
    with pytest.raises(Unavailable):
        source.keys()
    path.write_bytes(jwks(jwk(ec_key(), "one")))
    path.chmod(0o600)
    first = source.keys()
    assert source.keys() is first
    path.write_bytes(jwks(jwk(ec_key("other"), "another")))
    assert [key.kid for key in source.keys().keys] == ["another"]
    assert source.keys().digest != first.digest
    path.write_bytes(b"{")
    with pytest.raises(Unavailable, match=r"keys\.json"):
        source.keys()
    path.write_bytes(jwks())
    path.chmod(0o666)
    with pytest.raises(Unavailable, match="lets other users in"):
        source.keys()


class Issuer:
    """An issuer whose keys and moods a test sets."""

    def __init__(self) -> None:
        self.data = jwks(jwk(ec_key(), "one"))
        self.down = False
        self.asked = 0

    def __call__(self, url: str) -> bytes:
        """Answer a request."""
        assert url == "https://id.example/keys"
        self.asked += 1
        if self.down:
            raise Unavailable("It is down.")
        return self.data


@pytest.fixture
def issuer() -> Issuer:
    """Return an issuer that answers."""
    return Issuer()


@pytest.fixture
def fetched(issuer: Issuer, clock: ManualClock) -> FetchedKeys:
    """Return its keys."""
    return FetchedKeys("https://id.example/keys", clock, issuer)


def test_fetched_keys_are_kept_for_a_while(issuer: Issuer, fetched: FetchedKeys, clock: ManualClock) -> None:
    """One request in ten minutes, unless a token names a key that is not there: then one in half a minute."""
    fetched.keys()
    clock.advance(FRESH_S - 1)
    fetched.keys()
    assert issuer.asked == 1
    clock.advance(1)
    fetched.keys()
    assert issuer.asked == 2
    for _ in range(100):
        fetched.keys(again=True)
    assert issuer.asked == 2, "somebody who makes up key ids must not make us ask each time"
    clock.advance(AGAIN_S)
    issuer.data = jwks(jwk(ec_key("other"), "two"))
    assert [key.kid for key in fetched.keys(again=True).keys] == ["two"]


def test_an_issuer_that_is_down_keeps_its_keys_for_a_day(
    issuer: Issuer, fetched: FetchedKeys, clock: ManualClock
) -> None:
    """After that nobody vouches for them, and the answer is neither yes nor no."""
    fetched.keys()
    issuer.down = True
    clock.advance(FRESH_S)
    assert fetched.keys().keys[0].kid == "one"
    issuer.down, issuer.data = False, b"garbage"
    clock.advance(AGAIN_S)
    assert fetched.keys().keys[0].kid == "one"
    clock.advance(KEPT_S)
    with pytest.raises(Unavailable, match="cannot be fetched"):
        fetched.keys()
    issuer.data = jwks(jwk(ec_key(), "three"))
    with pytest.raises(Unavailable):
        fetched.keys()
    clock.advance(AGAIN_S)
    assert fetched.keys().keys[0].kid == "three"


def test_one_thread_fetches_for_all(issuer: Issuer, fetched: FetchedKeys) -> None:
    """A crowd that comes at once makes one request."""
    threads = [threading.Thread(target=fetched.keys) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issuer.asked == 1


def test_a_slow_issuer_holds_up_nobody_who_has_its_keys(clock: ManualClock) -> None:
    """While one thread waits for newer keys, others go on with the ones that there are."""
    asked, go = threading.Event(), threading.Event()

    def fetch(url: str) -> bytes:
        del url
        if asked.is_set():
            waits.set()
            assert go.wait(30)
        asked.set()
        return jwks()

    waits = threading.Event()
    source = FetchedKeys("https://id.example/keys", clock, fetch)
    first = source.keys()
    clock.advance(FRESH_S)
    thread = threading.Thread(target=source.keys)
    thread.start()
    assert waits.wait(30)
    assert source.keys() is first
    go.set()
    thread.join()


class Answers(BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self) -> None:
        """Give keys, a redirect, an error, or more than is read."""
        status = {"/keys": 200, "/moved": 302, "/broken": 500, "/endless": 200}[self.path]
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/keys")
        self.end_headers()
        self.wfile.write(
            jwks() if self.path == "/keys" else b" " * (LIMITS.bytes + 1) if self.path == "/endless" else b""
        )

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[str]:
    """Return the address of a server of this test's own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_keys_are_fetched_without_following_anybody(site: str) -> None:
    """A redirect, an error, too much, and nobody there: each is one sentence."""
    assert read_keys(fetch_keys(f"{site}/keys"), "here").keys
    for path, said in (("/moved", "answered 302"), ("/broken", "answered 500"), ("/endless", "more than")):
        with pytest.raises(Unavailable, match=said):
            fetch_keys(site + path)
    with pytest.raises(Unavailable, match="did not answer"):
        fetch_keys("http://127.0.0.1:1/keys")

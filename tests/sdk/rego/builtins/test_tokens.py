"""`io.jwt.*`: reading, checking and signing tokens."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.errors import BuiltinError, EvaluationError, LimitExceeded

RSA: Final = rsa.generate_private_key(65_537, 2_048)
OTHER_RSA: Final = rsa.generate_private_key(65_537, 2_048)
CURVES: Final = {
    name: ec.generate_private_key(curve) for name, curve in (("256", ec.SECP256R1()), ("384", ec.SECP384R1()))
}
EDWARDS: Final = ed25519.Ed25519PrivateKey.generate()
SECRET: Final = "a secret that is long enough for an HMAC"
DIGESTS: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
NOW: Final = 1_000 * 10**9
REFUSED: Final = [False, {}, {}]


def call(name: str, *arguments: Any) -> Any:
    """What the function gives for these values."""
    return TABLE[name].function(*arguments)


def b64(data: bytes) -> str:
    """The data in base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signature(algorithm: str, message: bytes) -> bytes:
    """The signature of a message with our key for this algorithm."""
    family, size = algorithm[:2], algorithm[2:]
    if family == "HS":
        return hmac.digest(SECRET.encode(), message, f"sha{size}")
    if family == "RS":
        return RSA.sign(message, padding.PKCS1v15(), DIGESTS[size])
    if family == "PS":
        digest = DIGESTS[size]
        return RSA.sign(message, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    if family == "ES":
        one, two = decode_dss_signature(CURVES[size].sign(message, ec.ECDSA(DIGESTS[size])))
        length = CURVES[size].key_size // 8
        return one.to_bytes(length, "big") + two.to_bytes(length, "big")
    return EDWARDS.sign(message)


def token(algorithm: str, claims: Any, **header: Any) -> str:
    """A token that is signed as its header says, unless a field of the header is given."""
    return raw_token(algorithm, json.dumps({"alg": algorithm} | header), json.dumps(claims))


def raw_token(algorithm: str, header: str, claims: str) -> str:
    """A signed token of these texts."""
    message = f"{b64(header.encode())}.{b64(claims.encode())}"
    return f"{message}.{b64(signature(algorithm, message.encode()))}"


def pem(algorithm: str) -> str:
    """What checks a signature with this algorithm."""
    if algorithm.startswith("HS"):
        return SECRET
    private = {"RS": RSA, "PS": RSA, "ES": CURVES.get(algorithm[2:]), "Ed": EDWARDS}[algorithm[:2]]
    assert private is not None
    return (
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def jwk(private: rsa.RSAPrivateKey, **more: str) -> dict[str, str]:
    """The public half as a JSON Web Key."""
    numbers = private.public_key().public_numbers()
    return {"kty": "RSA", "n": b64(numbers.n.to_bytes(256, "big")), "e": b64(numbers.e.to_bytes(3, "big"))} | more


ALGORITHMS: Final = [
    "HS256",
    "HS384",
    "HS512",
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "EdDSA",
]


def test_a_token_is_read_with_its_signature_in_hexadecimal() -> None:
    """`decode` checks nothing; the last of two equal keys counts; a nested token is unwrapped."""
    made = raw_token("HS256", '{"alg":"HS256"}', '{"a":1,"a":2,"b":0.5}')
    header, payload, signed = call("io.jwt.decode", made)
    assert (header, payload) == ({"alg": "HS256"}, {"a": 2, "b": 0.5})
    assert bytes.fromhex(signed) == signature("HS256", made.rpartition(".")[0].encode())
    outer = raw_token("HS256", '{"alg":"HS256","cty":"JWT"}', f'"{made}"')
    assert call("io.jwt.decode", outer) == [header, payload, signed]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_the_key_and_the_algorithm_of_the_name_confirm_a_token(algorithm: str) -> None:
    """The own function says true; every other one, and a token with one letter changed, says false."""
    made = token(algorithm, {"sub": "ada"})
    assert call(f"io.jwt.verify_{algorithm.lower()}", made, pem(algorithm)) is True
    changed = token(algorithm, {"sub": "eve"}).rpartition(".")[0] + "." + made.rpartition(".")[2]
    assert call(f"io.jwt.verify_{algorithm.lower()}", changed, pem(algorithm)) is False
    for other in ALGORITHMS:
        if other != algorithm and (other.startswith("HS") or not algorithm.startswith("HS")):
            assert call(f"io.jwt.verify_{other.lower()}", made, pem(algorithm)) is False


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_token_that_meets_the_constraints_is_given_back(algorithm: str) -> None:
    """`decode_verify` confirms with the algorithm of the header, when the key is of its kind."""
    made = token(algorithm, {"sub": "ada"})
    kind = "secret" if algorithm.startswith("HS") else "cert"
    assert call("io.jwt.decode_verify", made, {kind: pem(algorithm), "time": NOW}) == [
        True,
        {"alg": algorithm},
        {"sub": "ada"},
    ]
    assert call("io.jwt.decode_verify", made, {kind: pem(algorithm), "time": NOW, "alg": "HS999"}) == REFUSED


@pytest.mark.parametrize("claimed", ["HS256", "none", "None", "", "ES256", "PS256"])
def test_the_header_cannot_choose_another_kind_of_key(claimed: str) -> None:
    """A public key is never taken for the secret of an HMAC, and `none` is no algorithm."""
    key = pem("RS256")
    message = f"{b64(json.dumps({'alg': claimed}).encode())}.{b64(b'{}')}"
    for signed in (b"", hmac.digest(key.encode(), message.encode(), "sha256")):
        forged = f"{message}.{b64(signed)}"
        assert call("io.jwt.decode_verify", forged, {"cert": key, "time": NOW}) == REFUSED
        assert call("io.jwt.verify_rs256", forged, key) is False


@pytest.mark.parametrize(
    ("claims", "constraints", "confirmed"),
    [
        ({"exp": 1_001}, {}, True),
        ({"exp": 1_000}, {}, False),
        ({"exp": 1_000.5}, {}, True),
        ({"nbf": 1_000}, {}, True),
        ({"nbf": 1_000.5}, {}, False),
        ({"iss": "us"}, {"iss": "us"}, True),
        ({"iss": "them"}, {"iss": "us"}, False),
        ({}, {"iss": "us"}, False),
        ({"aud": "us"}, {"aud": "us"}, True),
        ({"aud": ["them", "us"]}, {"aud": "us"}, True),
        ({"aud": ["them"]}, {"aud": "us"}, False),
        ({"aud": "us"}, {}, False),
        ({}, {"aud": "us"}, False),
        ({"aud": 1}, {"aud": "us"}, False),
    ],
)
def test_claims_count(claims: dict[str, Any], constraints: dict[str, Any], confirmed: bool) -> None:
    """Time, issuer and audience as OPA compares them; an audience that nobody expects is refused."""
    made = token("HS256", claims)
    result = call("io.jwt.decode_verify", made, {"secret": SECRET, "time": NOW} | constraints)
    assert result == ([True, {"alg": "HS256"}, claims] if confirmed else REFUSED)


@pytest.mark.parametrize(
    ("claims", "constraints"),
    [
        ({}, {"time": NOW}),
        ({}, {"secret": SECRET, "time": "now"}),
        ({}, {"secret": SECRET, "time": -1}),
        ({}, {"secret": SECRET, "cert": pem("RS256"), "time": NOW}),
        ({}, {"secret": SECRET, "time": NOW, "leeway": 1}),
        ({}, {"secret": SECRET, "time": NOW, "iss": 1}),
        ({"exp": "1001"}, {"secret": SECRET, "time": NOW}),
        ({"nbf": True}, {"secret": SECRET, "time": NOW}),
        ({"iss": 1}, {"secret": SECRET, "time": NOW, "iss": "us"}),
        ([], {"secret": SECRET, "time": NOW}),
    ],
)
def test_what_cannot_be_decided_is_an_error(claims: Any, constraints: dict[str, Any]) -> None:
    """As OPA says it: the call is undefined then."""
    with pytest.raises(BuiltinError, match=r"io\.jwt\.decode_verify"):
        call("io.jwt.decode_verify", token("HS256", claims), constraints)


@pytest.mark.parametrize("claims", [{"exp": 1_001}, {"nbf": 1}])
def test_without_a_time_a_token_that_has_one_ends_the_decision(claims: dict[str, int]) -> None:
    """A policy has no clock of its own; undefined would be a wrong answer, and `not` would turn it into an access."""
    with pytest.raises(EvaluationError, match="give the constraint time") as caught:
        call("io.jwt.decode_verify", token("HS256", claims), {"secret": SECRET})
    assert not isinstance(caught.value, BuiltinError)


@pytest.mark.parametrize("critical", [["b64"], ["zip", "b64"]])
def test_a_critical_part_that_nobody_knows_refuses_the_token(critical: list[str]) -> None:
    """RFC 7515: what is critical must be understood."""
    made = token("HS256", {}, crit=critical, b64=False)
    assert call("io.jwt.decode_verify", made, {"secret": SECRET, "time": NOW}) == REFUSED


def test_a_token_without_a_time_needs_none() -> None:
    """Nothing is compared with a clock, so the decision comes out the same when it is made again."""
    assert call("io.jwt.decode_verify", token("HS256", {"iat": 1}), {"secret": SECRET})[0] is True


def test_a_set_of_keys_is_searched_by_name_and_by_algorithm() -> None:
    """With a name only that key counts; a key for another algorithm is passed over."""
    both = json.dumps({"keys": [jwk(OTHER_RSA, kid="old"), jwk(RSA, kid="new")]})
    assert call("io.jwt.verify_rs256", token("RS256", {}), both) is True
    assert call("io.jwt.verify_rs256", token("RS256", {}, kid="new"), both) is True
    assert call("io.jwt.verify_rs256", token("RS256", {}, kid="old"), both) is False
    reserved = json.dumps({"keys": [jwk(RSA, alg="RS512")]})
    assert call("io.jwt.verify_rs256", token("RS256", {}), reserved) is False
    encrypting = json.dumps({"keys": [jwk(RSA, alg="RSA-OAEP")]})
    assert call("io.jwt.decode_verify", token("RS256", {}), {"cert": encrypting, "time": NOW}) == REFUSED


@pytest.mark.parametrize(
    "key",
    [
        "",
        "{}",
        "[]",
        '{"keys":{}}',
        '{"kty":"RSA","n":"AA"}',
        '{"kty":"EC","crv":"P-1","x":"AA","y":"AA"}',
        '{"kty":"what"}',
        '{"kty":"oct"}',
        '{"kty":"oct","k":"AA","alg":"what"}',
        pem("RS256") + "\n",
        pem("RS256").replace("PUBLIC KEY", "PRIVATE KEY"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "[" * 100_000,
    ],
)
def test_what_is_no_key_is_an_error(key: str) -> None:
    """Nothing is checked with half a key, or with one of several that is broken."""
    with pytest.raises(BuiltinError, match=r"io\.jwt\.verify_rs256"):
        call("io.jwt.verify_rs256", token("RS256", {}), key)


@pytest.mark.parametrize(
    "made",
    [
        "",
        "a.b",
        "a.b.c.d",
        "e30.e30.!",
        "e30.W10.",
        "W10.e30.",
        "eyJlbmMiOjF9.e30.",
        "e30.eyJhIjpOYU59.",
        "e30.eyJhIjoxZTk5OX0.",
        f"e30.{b64(b'[' * 5_000)}.",
        "e30.gICA.",
        "é.e30.e30",
    ],
)
def test_what_is_no_token_is_an_error(made: str) -> None:
    """Wrong sections, wrong base64, no JSON, no object, an encrypted token."""
    with pytest.raises(EvaluationError, match=r"io\.jwt\.decode"):
        call("io.jwt.decode", made)


def test_a_token_or_a_key_without_end_is_refused() -> None:
    """Sizes are bounded before anything is decoded."""
    with pytest.raises(LimitExceeded, match="characters"):
        call("io.jwt.decode", "a" * 200_000)
    with pytest.raises(LimitExceeded, match="characters"):
        call("io.jwt.verify_rs256", token("RS256", {}), "a" * 300_000)


def test_signing_is_that_of_rfc_7515() -> None:
    """Appendix A.1 of RFC 7515, to the letter, and the same from objects with sorted keys and Go's escapes."""
    key = {"kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}
    header = '{"typ":"JWT",\r\n "alg":"HS256"}'
    payload = '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}'
    made = call("io.jwt.encode_sign_raw", header, payload, json.dumps(key))
    assert made.endswith(".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    made = call("io.jwt.encode_sign", {"alg": "HS256"}, {"b": "<&>\u2028", "a": 1.0}, key)
    assert base64.urlsafe_b64decode(made.split(".")[1] + "==") == b'{"a":1,"b":"\\u003c\\u0026\\u003e\\u2028"}'


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "none", "HS256"])
def test_a_signature_that_differs_every_time_is_refused(algorithm: str) -> None:
    """A decision must come out the same when it is made again; a key of another kind signs nothing either."""
    private = EDWARDS.private_bytes_raw()
    key = {"kty": "OKP", "crv": "Ed25519", "x": b64(EDWARDS.public_key().public_bytes_raw()), "d": b64(private)}
    made = call("io.jwt.encode_sign", {"alg": "EdDSA"}, {}, key)
    assert call("io.jwt.verify_eddsa", made, pem("EdDSA")) is True
    with pytest.raises(BuiltinError, match=r"io\.jwt\.encode_sign"):
        call("io.jwt.encode_sign", {"alg": algorithm}, {}, key)


@given(st.text('abcXYZ019_-=.\n{}"é', max_size=60))
def test_any_text_is_a_token_or_an_error(text: str) -> None:
    """Hostile tokens and keys end in a value or one of our errors."""
    for name, arguments in (
        ("io.jwt.decode", (text,)),
        ("io.jwt.verify_hs256", (text, text)),
        ("io.jwt.verify_es256", (text, text)),
        ("io.jwt.decode_verify", (text, {"secret": "x", "time": NOW})),
    ):
        try:
            made = call(name, *arguments)
        except EvaluationError:
            continue
        assert made is False or made == REFUSED or len(made) == 3

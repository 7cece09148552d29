from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from companyos.identity.issuers import Issuer
from companyos.identity.jwt import MAX_CHARACTERS, TokenRefused, Verified, has_form, read_token, verify
from companyos.identity.key_sets import read_keys
from tests.identity.signing import AUDIENCE, ISSUER, b64, ec_key, jwk, jwks, rsa_key, token

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MOMENT = NOW.timestamp()


def issuer(**more: Any) -> Issuer:
    """An issuer that takes every algorithm."""
    known = {
        "name": "okta",
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks_file": "keys.json",
        "algorithms": ("RS256", "PS256", "ES256", "EdDSA"),
        "attributes": {"clearance": "clearance", "groups": "groups", "/realm/roles": "roles"},
    }
    return Issuer(**{**known, **more})


def take(text: str, *, keys: bytes | None = None, now: datetime = NOW, **more: Any) -> Verified:
    """Verify a token as a server would."""
    return verify(read_token(text), issuer(**more), read_keys(keys or jwks(), "the keys"), now)


def refusal(text: str, **more: Any) -> str:
    """Why a token is refused."""
    with pytest.raises(TokenRefused) as caught:
        take(text, **more)
    assert str(caught.value) == "The credential is not valid."
    return caught.value.why


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_a_good_token_is_taken(algorithm: str) -> None:
    """Signed with a private key of the issuer, for us, and in time."""
    found = take(token(MOMENT, algorithm=algorithm, clearance="high", groups=["a", 1], realm={"roles": ["x"]}))
    assert (found.sub, found.attributes) == ("pat", {"clearance": "high", "groups": ["a", 1], "roles": ["x"]})
    assert (found.issued_at.timestamp(), found.expires_at.timestamp()) == (MOMENT - 60, MOMENT + 3540)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_an_algorithm_that_is_not_allowed_is_refused(algorithm: str) -> None:
    """However good the signature is."""
    others = tuple(one for one in ("RS256", "PS256", "ES256", "EdDSA") if one != algorithm)
    assert refusal(token(MOMENT, algorithm=algorithm), algorithms=others) == "the algorithm is not allowed"


def unsigned(alg: str) -> str:
    """A token without a signature, as alg none would have it; one with an empty part has no form at all."""
    header = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    claims = token(MOMENT).split(".")[1]
    return f"{header}.{claims}."


def with_hmac(secret: bytes, kid: str = "rsa") -> str:
    """A token signed with a public key as the secret of HS256."""
    header = b64(json.dumps({"alg": "HS256", "typ": "JWT", "kid": kid}).encode())
    signed = f"{header}.{token(MOMENT).split('.')[1]}"
    return f"{signed}.{b64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def test_none_is_no_algorithm() -> None:
    """In any spelling, with and without something in the place of a signature."""
    for alg in ("none", "None", "NONE", "nOnE", ""):
        assert refusal(unsigned(alg)) == "it has no form"
        assert refusal(unsigned(alg) + "AAAA") == "the algorithm is not allowed"


def test_a_public_key_is_no_secret() -> None:
    """HS256 with the published key, in each form in which somebody may have it, is refused."""
    public = rsa_key().public_key()
    for form in (serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.PKCS1):
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
            assert refusal(with_hmac(public.public_bytes(encoding, form))) == "the algorithm is not allowed"
    assert refusal(with_hmac(jwks())) == "the algorithm is not allowed"


def test_an_algorithm_must_fit_its_key() -> None:
    """The kid of another kind of key, and a signature made with a key for something else."""
    assert refusal(token(MOMENT, algorithm="ES256", header={"kid": "rsa"})) == "no key fits"
    assert refusal(token(MOMENT, algorithm="RS256", header={"kid": "ec"})) == "no key fits"
    only_pss = jwks(jwk(rsa_key(), "rsa", alg="PS256"))
    assert refusal(token(MOMENT, algorithm="RS256"), keys=only_pss) == "no key fits"
    assert take(token(MOMENT, algorithm="PS256"), keys=only_pss).sub == "pat"


def test_a_kid_chooses_among_our_keys_only() -> None:
    """An unknown one, one that is no text, none at all while there are two, and two keys of one name."""
    for kid in ("other", "../../etc/passwd", "' OR 1=1", "ec\0"):
        assert refusal(token(MOMENT, header={"kid": kid})) == "no key fits"
    for wrong in (1, ["ec"], {"kid": "ec"}, True):
        assert refusal(token(MOMENT, header={"kid": wrong})) == "kid is no text"
    assert take(token(MOMENT, header={"kid": None})).sub == "pat"
    twice = jwks(jwk(ec_key(), "ec"), jwk(ec_key("other"), "ec"))
    assert refusal(token(MOMENT), keys=twice) == "no key fits"
    assert refusal(token(MOMENT, header={"kid": None}), keys=twice) == "no key fits"


def test_a_key_in_the_token_is_never_used() -> None:
    """Signed by somebody else who sends along how to check it: jwk, jku, x5u, x5c."""
    mallory = jwk(ec_key("mallory"), "ec")
    for more in ({"jwk": mallory}, {"jku": "https://evil.example/jwks"}, {"x5u": "https://evil.example"}):
        forged = token(MOMENT, header=more).rsplit(".", 1)[0]
        text = f"{forged}.{b64(_sign_es256(ec_key('mallory'), forged.encode()))}"
        assert refusal(text) == "the signature is wrong"


def _sign_es256(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32) + s.to_bytes(32)


def test_extensions_that_must_be_understood_are_refused() -> None:
    """We understand none (RFC 7515 §4.1.11), nor an unencoded payload (RFC 7797) or an encrypted one."""
    headers: tuple[dict[str, Any], ...] = (
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "x"},
        {"b64": False},
        {"b64": True},
        {"enc": "A128GCM"},
        {"zip": "DEF"},
    )
    for more in headers:
        assert refusal(token(MOMENT, header=more)) == f"the header has {min(more)}"


def test_the_type_must_be_one_of_ours() -> None:
    """A token that was made for something else is none for us; case and the prefix ``application/`` say nothing."""
    for typ in ("jwt", "JWT", "application/at+jwt", "at+JWT"):
        assert take(token(MOMENT, header={"typ": typ})).sub == "pat"
    for wrong in ("logout+jwt", "dpop+jwt", "", None, 1, ["JWT"]):
        assert refusal(token(MOMENT, header={"typ": wrong})) == "the type is not allowed"
    assert take(token(MOMENT, header={"typ": None}), types=("", "JWT")).sub == "pat"


WRONG_CLAIMS: list[tuple[dict[str, Any], str]] = [
    ({"iss": "https://id.example/"}, "it is of another issuer"),
    ({"iss": None}, "it is of another issuer"),
    ({"iss": [ISSUER]}, "it is of another issuer"),
    ({"aud": "other"}, "it is for somebody else"),
    ({"aud": None}, "it is for somebody else"),
    ({"aud": ["other", "another"]}, "it is for somebody else"),
    ({"aud": []}, "it is for somebody else"),
    ({"aud": ["companyos", 1]}, "it is for somebody else"),
    ({"aud": {"companyos": True}}, "it is for somebody else"),
    ({"aud": ["companyos"] * 65}, "it is for somebody else"),
    ({"exp": MOMENT - 30}, "it has expired"),
    ({"exp": None}, "exp is no moment"),
    ({"exp": "2030"}, "exp is no moment"),
    ({"exp": True}, "exp is no moment"),
    ({"exp": 1e300}, "exp is no moment"),
    ({"exp": -1}, "exp is no moment"),
    ({"exp": MOMENT + 90_000}, "it lives too long"),
    ({"exp": MOMENT, "iat": MOMENT}, "it lives too long"),
    ({"nbf": MOMENT + 31}, "it does not count yet"),
    ({"nbf": "now"}, "nbf is no moment"),
    ({"iat": MOMENT + 31}, "it is from the future"),
    ({"iat": None}, "iat is no moment"),
    ({"sub": None}, "it has no sub"),
    ({"sub": ""}, "it has no sub"),
    ({"sub": 7}, "it has no sub"),
    ({"sub": "x" * 256}, "it has no sub"),
    ({"sub": "a\nb"}, "it has no sub"),
]


@pytest.mark.parametrize(("claims", "why"), WRONG_CLAIMS)
def test_wrong_claims_are_refused(claims: dict[str, Any], why: str) -> None:
    """Of another issuer, for somebody else, too old, too young, too long, of nobody."""
    assert refusal(token(MOMENT, **claims)) == why


def test_clocks_may_differ_a_little() -> None:
    """By the leeway and not a second more."""
    assert take(token(MOMENT, exp=MOMENT - 29, iat=MOMENT - 100)).sub == "pat"
    assert take(token(MOMENT, iat=MOMENT + 30, nbf=MOMENT + 30)).sub == "pat"
    assert refusal(token(MOMENT, exp=MOMENT - 1), leeway_s=0) == "it has expired"
    assert take(token(MOMENT, aud=["other", AUDIENCE])).sub == "pat"


@pytest.mark.parametrize(
    "claims",
    [
        b'{"iss":"https://id.example","iss":"https://id.example"}',
        b'{"sub":"pat","exp":NaN}',
        b"[" * 5000,
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b'["iss"]',
        b"null",
        b"\xff\xfe",
        b'{"sub":"\\ud800"}',
        b"{}x",
        b'{"exp":1e999}',
    ],
)
def test_claims_that_can_be_read_in_two_ways_are_refused(claims: bytes) -> None:
    """Duplicate keys, NaN, deep nesting, other types, broken text: refused although the signature is right."""
    assert refusal(token(MOMENT, raw_claims=claims)) == "the claims cannot be read"


def test_a_header_that_can_be_read_in_two_ways_is_refused() -> None:
    """Two alg are one too many, whichever counts."""
    doubled = b'{"alg":"none","typ":"JWT","kid":"ec","alg":"ES256"}'
    assert refusal(token(MOMENT, raw_header=doubled)) == "the header cannot be read"


def test_a_token_that_was_touched_is_refused() -> None:
    """Every single bit of what is signed counts, and the signature has one spelling."""
    good = token(MOMENT)
    header, claims, signature = good.split(".")
    other = token(MOMENT, sub="root").split(".")
    assert refusal(f"{header}.{other[1]}.{signature}") == "the signature is wrong"
    assert refusal(f"{header}.{claims}.{other[2]}") == "the signature is wrong"
    assert refusal(f"{header}.{claims}.AA") == "the signature is wrong"
    for text in (
        good + "=",
        good + ".",
        "." + good,
        good.replace(".", "..", 1),
        good + "\n",
        " " + good,
        good + "A" * 3,
    ):
        assert refusal(text) in {"it has no form", "the signature cannot be read", "the signature is wrong"}, text
    last = signature[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(last) ^ 1]
    assert refusal(f"{header}.{claims}.{signature[:-1]}{twin}") == "the signature cannot be read"


def test_a_huge_token_is_not_even_read() -> None:
    """Its length is looked at first."""
    assert refusal(token(MOMENT, padding="x" * MAX_CHARACTERS)) == "it has no form"
    assert not has_form("a." * MAX_CHARACTERS)


def test_claims_that_are_no_attributes_are_left_out() -> None:
    """An object or a long text opens nothing, and keeps nobody out."""
    found = take(token(MOMENT, clearance={"level": 1}, groups=["x"] * 65, realm={"roles": "y" * 2000}))
    assert found.attributes == {}
    assert take(token(MOMENT, clearance=None, realm=[])).attributes == {}


@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True)
)
def test_any_text_is_refused_in_one_way(text: str) -> None:
    """Whatever comes in the header, it is no token and nothing else is raised."""
    refusal(text)


anything = st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.text(max_size=3))


@given(st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "x"]), anything, max_size=4))
def test_any_header_is_refused_in_one_way(header: dict[str, Any]) -> None:
    """A header of any shape, over claims that are signed, raises nothing else."""
    refusal(token(MOMENT, raw_header=json.dumps(header).encode()))

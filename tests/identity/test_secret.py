from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from companyos.core.ids import uuid7
from companyos.identity.secret import (
    csrf_token,
    hash_secret,
    is_secret,
    matches,
    new_secret,
    read_token,
    write_token,
)


def test_a_token_is_read_back() -> None:
    """Both parts survive, also when the secret holds the separator."""
    identifier, secret = uuid7(), "_" * 43
    found = read_token(write_token(identifier, secret))
    assert found is not None
    assert (found.id, found.secret) == (identifier, secret)


@given(st.text(max_size=120))
def test_any_other_text_is_no_token(text: str) -> None:
    """Whatever comes in the header, reading it raises nothing."""
    assert read_token(text) is None


def test_a_token_that_was_touched_is_no_token() -> None:
    """The form is exact: nothing before it, nothing behind it."""
    token = write_token(uuid7(), new_secret())
    for touched in (token.upper(), token + "\n", " " + token, token[:-1], token + "A", token.replace("_", "-", 1)):
        assert read_token(touched) is None


def test_secrets_differ_and_have_32_bytes() -> None:
    """43 characters of base64url are 256 bits."""
    secrets = {new_secret() for _ in range(200)}
    assert len(secrets) == 200
    assert all(is_secret(secret) for secret in secrets)


def test_only_the_secret_itself_matches() -> None:
    """One other character, an unknown id and a hash in place of the secret all fail."""
    secret = new_secret()
    stored = hash_secret(secret)
    other = ("B" if secret[0] == "A" else "A") + secret[1:]
    assert matches(secret, stored)
    assert not matches(other, stored)
    assert not matches(stored, stored)
    assert not matches(secret, None)


def test_nothing_matches_an_unknown_id() -> None:
    """The stand-in hash cannot be met, not even by who knows it."""
    assert not matches("0" * 64, None)


def test_the_form_token_follows_from_the_session_and_hides_it() -> None:
    """It is the same on each page of a session, differs between sessions, and does not hold the secret."""
    one, other = new_secret(), new_secret()
    assert csrf_token(one) == csrf_token(one)
    assert csrf_token(one) != csrf_token(other)
    assert one not in csrf_token(one)

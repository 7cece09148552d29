from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core import canonical, dsse, statement
from companyos.core.errors import InvalidInput, TooLarge
from companyos.core.signing import BadSignature, LocalSigner
from companyos.core.statement import Statement, Subject

SHA256 = "a" * 64
PROVENANCE = "https://slsa.dev/provenance/v1"


def one(**changes: object) -> bytes:
    """The JSON of a valid Statement with some fields replaced."""
    value = {
        "_type": statement.TYPE,
        "subject": [{"name": "checkout", "digest": {"sha256": SHA256}}],
        "predicateType": PROVENANCE,
        "predicate": {"buildDefinition": {}},
    }
    return json.dumps(value | changes).encode()


def test_the_json_is_what_in_toto_says() -> None:
    """A Statement is written in canonical form under the names of the specification."""
    made = Statement(
        subject=(Subject(name="checkout", digest={"sha256": SHA256}),),
        predicate_type=PROVENANCE,
        predicate={"b": 1, "a": [None]},
    )
    data = statement.encode(made)
    assert json.loads(data) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "checkout", "digest": {"sha256": SHA256}}],
        "predicateType": PROVENANCE,
        "predicate": {"b": 1, "a": [None]},
    }
    assert canonical.loads(data, must_be_canonical=True)
    assert statement.decode(data) == made


digests = st.dictionaries(
    st.sampled_from(sorted(set(statement.DIGEST_LENGTHS) - statement.WEAK_DIGESTS)), st.integers(0, 2**128), min_size=1
).map(lambda made: {name: f"{value:0{statement.DIGEST_LENGTHS[name][0]}x}" for name, value in made.items()})
subjects = st.builds(Subject, name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), digest=digests)
statements = st.builds(
    Statement,
    subject=st.lists(subjects, min_size=1, max_size=4).map(tuple),
    predicate_type=st.just(PROVENANCE),
    predicate=st.dictionaries(st.text("abc"), st.integers(-9, 9) | st.text("xyz") | st.lists(st.none()), max_size=3),
)


@given(statements)
def test_a_signed_statement_comes_back_equal(made: Statement) -> None:
    """What was signed is what is read, through the JSON of the envelope, by who has the key and nobody else."""
    signer = LocalSigner.generate("ecdsa-p256")
    envelope = dsse.decode(dsse.encode(statement.sign(made, signer)))
    assert envelope.payload_type == "application/vnd.in-toto+json"
    assert statement.verify(envelope, [signer.public_key]) == made
    with pytest.raises(BadSignature):
        statement.verify(envelope, [LocalSigner.generate("ecdsa-p256").public_key])


def test_only_a_statement_passes_for_one() -> None:
    """Well-signed bytes of another payload type are a bad signature; of this type, but no Statement, bad input."""
    signer = LocalSigner.generate("ed25519")
    with pytest.raises(BadSignature, match=r"holds 'text/plain' where 'application/vnd\.in-toto\+json'"):
        statement.verify(dsse.sign(one(), "text/plain", signer), [signer.public_key])
    with pytest.raises(InvalidInput, match="not an in-toto Statement"):
        statement.verify(dsse.sign(b"{}", statement.PAYLOAD_TYPE, signer), [signer.public_key])


def test_a_subject_is_found_by_its_digest() -> None:
    """A Statement is about an artifact when one of its subjects has exactly that digest."""
    made = Statement(
        subject=(Subject(digest={"sha256": "1" * 64}), Subject(digest={"sha256": SHA256, "sha1": "2" * 40})),
        predicate_type=PROVENANCE,
    )
    assert made.is_about("sha256", SHA256)
    assert made.is_about("sha1", "2" * 40)
    assert not made.is_about("sha256", "2" * 64)
    assert not made.is_about("sha512", SHA256)


def test_what_later_versions_add_is_ignored() -> None:
    """Fields that the specification may add, and those of resource descriptors, do not prevent reading."""
    subject = {"uri": "pkg:pypi/x@1", "digest": {"sha256": SHA256, "gitCommit": "b" * 40}, "annotations": {"a": 1}}
    made = statement.decode(one(subject=[subject], later=True))
    assert made.subject == (Subject(digest={"sha256": SHA256, "gitCommit": "b" * 40}, name="_"),)


def subject(**digest: object) -> list[Any]:
    """The subjects of a Statement about one artifact with these digests."""
    return [{"name": "checkout", "digest": digest}]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'{"predicateType":"x:y","subject":[]}', "has no _type"),
        (one(_type="https://in-toto.io/Statement/v0.1"), "_type: Invalid enum value"),
        (one(subject=[]), "1 to 4096 subjects"),
        (one(subject={}), "subject: Expected `array`"),
        (one(subject=[{"name": "checkout"}]), "missing required field `digest`"),
        (one(subject=[{"name": "", "digest": {"sha256": SHA256}}]), "name has 1 to 2048 characters"),
        (one(subject=[{"name": "n" * 2049, "digest": {"sha256": SHA256}}]), "name has 1 to 2048 characters"),
        (one(subject=subject()), "'checkout' has no strong digest"),
        (one(subject=subject(sha1="a" * 40, md5="a" * 32)), "'checkout' has no strong digest"),
        (one(subject=subject(sha256=SHA256[1:])), "sha256 digest of the subject 'checkout' is not 64"),
        (one(subject=subject(sha256=SHA256.upper())), "is not 64 lower-case hexadecimal digits"),
        (one(subject=subject(sha256=SHA256[1:] + "\n")), "is not 64"),
        (one(subject=subject(sha256=SHA256[1:] + "\u0663")), "is not 64"),
        (one(subject=subject(gitCommit="a" * 41)), "gitCommit digest .* is not 40 or 64"),
        (one(subject=subject(sha256=SHA256, crc32="aaaaaaaa")), "unknown algorithm 'crc32'"),
        (one(subject=subject(sha256=1)), "Expected `str`, got `int`"),
        (one(predicateType=""), "predicate type '' is not a URI"),
        (one(predicateType="not a uri"), "is not a URI"),
        (one(predicateType="x:" + "y" * 3000), "is not a URI"),
        (one(predicate=[]), "predicate: Expected `object`"),
        (one(predicate={"n": 2**53 + 1}), "does not hold exactly"),
    ],
)
def test_a_malformed_statement_is_refused(data: bytes, fault: str) -> None:
    """Each malformed Statement is refused as input, with the fault named."""
    with pytest.raises(InvalidInput, match=fault) as caught:
        statement.decode(data)
    assert caught.value.next_step


def test_a_malformed_statement_cannot_be_made() -> None:
    """The same rules hold for Statements that are built here."""
    good = Subject(digest={"sha256": SHA256})
    with pytest.raises(InvalidInput, match="subjects"):
        Statement(subject=(), predicate_type=PROVENANCE)
    with pytest.raises(InvalidInput, match="4096 subjects"):
        Statement(subject=(good,) * 4097, predicate_type=PROVENANCE)
    with pytest.raises(InvalidInput, match="strong"):
        Subject(digest={})
    with pytest.raises(InvalidInput, match="bytes, which JSON cannot say") as caught:
        statement.encode(Statement(subject=(good,), predicate_type=PROVENANCE, predicate={"a": b""}))
    assert caught.value.field == "$.predicate.a"


def test_size_is_bounded() -> None:
    """A Statement beyond the limit is too large."""
    with pytest.raises(TooLarge):
        statement.decode(one(), max_bytes=len(one()) - 1)

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from companyos.core import dsse, statement
from companyos.core.clock import ManualClock
from companyos.core.keys import PublishedKey
from companyos.core.signing import LocalSigner
from companyos.core.statement import Statement
from companyos.evidence import Artifact, Invalid, PromotionRecord, Verified, provenance
from tests.evidence.test_admission import ARTIFACT

SIGNER = LocalSigner.generate("ecdsa-p256")
NOW = ManualClock().now()


def published(signer: LocalSigner = SIGNER, *, begins: datetime = NOW, ends: datetime | None = None) -> PublishedKey:
    """Return the public half of a key with its window."""
    return PublishedKey(purpose="attestation", public_key=signer.public_key, not_before=begins, not_after=ends)


def signed(artifact: Artifact = ARTIFACT, at: datetime = NOW, signer: LocalSigner = SIGNER) -> dsse.Envelope:
    """Return the signed provenance of an artifact."""
    return statement.sign(provenance.provenance(artifact, requested_by="user:olga", at=at), signer)


def changed(change: dict[str, Any]) -> dsse.Envelope:
    """Return provenance in which one part of what is claimed is another, signed by the real key."""
    claim = provenance.provenance(ARTIFACT, requested_by="user:olga", at=NOW)
    return statement.sign(msgspec.structs.replace(claim, **change), SIGNER)


def test_what_a_key_of_the_platform_signed_is_verified() -> None:
    """With the key and the moment that were signed, also as another reader of in-toto sees it."""
    envelope = dsse.decode(dsse.encode(signed()))
    assert provenance.check(ARTIFACT, envelope, [published()]) == Verified(key_id=SIGNER.key_id, at=NOW)
    claim = statement.verify(envelope, [SIGNER.public_key])
    assert claim.predicate_type == "https://slsa.dev/provenance/v1"
    assert claim.subject[0].digest == {"sha256": "a" * 64}
    assert claim.predicate["buildDefinition"]["externalParameters"] == {
        "service": "shop",
        "version": "1.1",
        "commit": "c" * 40,
    }
    assert claim.predicate["buildDefinition"]["internalParameters"]["requestedBy"] == "user:olga"


def test_another_key_does_not_count() -> None:
    """Nor no key at all, nor one of ours whose id the envelope only claims."""
    other = LocalSigner.generate("ecdsa-p256")
    forged = signed(signer=other)
    assert isinstance(provenance.check(ARTIFACT, forged, [published()]), Invalid)
    assert isinstance(provenance.check(ARTIFACT, forged, []), Invalid)
    named = dsse.Signature(sig=forged.signatures[0].sig, keyid=SIGNER.key_id)
    claimed = msgspec.structs.replace(forged, signatures=(named,))
    assert isinstance(provenance.check(ARTIFACT, claimed, [published()]), Invalid)


def test_a_changed_payload_does_not_hold() -> None:
    """The signature is over all that is claimed."""
    envelope = signed()
    other = msgspec.structs.replace(envelope, payload=envelope.payload.replace(b'"shop"', b'"cart"'))
    assert other.payload != envelope.payload
    assert isinstance(provenance.check(ARTIFACT, other, [published()]), Invalid)
    other = msgspec.structs.replace(envelope, payload_type="application/json")
    assert isinstance(provenance.check(ARTIFACT, other, [published()]), Invalid)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("digest", "sha256:" + "b" * 64),
        ("service", "cart"),
        ("version", "1.2"),
        ("commit", "d" * 40),
        ("dependencies_digest", "sha256:" + "e" * 64),
    ],
)
def test_the_provenance_of_one_artifact_is_not_that_of_another(field: str, value: str) -> None:
    """What is written down of an artifact must be what was signed."""
    other = msgspec.structs.replace(ARTIFACT, **{field: value})
    assert isinstance(provenance.check(other, signed(), [published()]), Invalid)


@pytest.mark.parametrize(
    "change",
    [
        {"predicate_type": provenance.PROMOTION},
        {"predicate": {}},
        {"predicate": {"buildDefinition": [], "runDetails": {"metadata": {"finishedOn": "2026-01-01T00:00:00Z"}}}},
        {"predicate": {"runDetails": {"metadata": {"finishedOn": "yesterday"}}}},
        {"predicate": {"runDetails": {"metadata": {"finishedOn": "2026-01-01T00:00:00"}}}},
        {"predicate": {"runDetails": {"metadata": {"finishedOn": 5}}}},
        {"predicate": {"runDetails": "x"}},
    ],
)
def test_another_statement_of_the_same_key_is_not_provenance(change: dict[str, Any]) -> None:
    """A promotion record about the same digest, or provenance that leaves something out, proves nothing."""
    assert isinstance(provenance.check(ARTIFACT, changed(change), [published()]), Invalid)


def test_a_signature_counts_within_the_window_of_its_key() -> None:
    """From its first moment up to, and not at, its end."""
    key = published(begins=NOW, ends=NOW + timedelta(days=1))
    moments = {
        NOW - timedelta(microseconds=1): Invalid,
        NOW: Verified,
        NOW + timedelta(days=1) - timedelta(microseconds=1): Verified,
        NOW + timedelta(days=1): Invalid,
    }
    for at, kind in moments.items():
        assert isinstance(provenance.check(ARTIFACT, signed(at=at), [key]), kind), at


def test_a_promotion_record_says_what_it_was_decided_on() -> None:
    """Outcome, policy, evidence and the ids of ledger records, about the digest."""
    record = PromotionRecord(
        digest=ARTIFACT.digest,
        release="shop@1.1",
        release_id="r1",
        outcome="rolled_back",
        policy_digest="sha256:" + "f" * 64,
        decided_at=NOW,
        evidence={"errors": 3},
        ledger_ids=("l1", "l2"),
    )
    claim: Statement = provenance.promotion(record)
    assert claim.is_about("sha256", "a" * 64)
    assert claim.predicate == {
        "release": "shop@1.1",
        "releaseId": "r1",
        "outcome": "rolled_back",
        "policy": {"digest": {"sha256": "f" * 64}},
        "decidedAt": "2026-01-01T00:00:00.000000Z",
        "evidence": {"errors": 3},
        "ledgerRecords": ["l1", "l2"],
    }

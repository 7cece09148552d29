"""The Statements that are signed about an artifact, and what must hold for one to count. Pure.

Provenance follows https://slsa.dev/spec/v1.1/provenance. It claims what is true: the platform received this tar from
the caller who is named, read commit, service and version from it, and found its bytes to be exactly the form that
``packing`` gives to its content. It did not see the commit itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import companyos
from companyos.core import dsse, statement
from companyos.core.clock import rfc3339
from companyos.core.errors import CompanyOSError
from companyos.core.keys import PublishedKey
from companyos.core.statement import Statement, Subject
from companyos.evidence.model import Artifact, Invalid, PromotionRecord, Signature, Verified

PROVENANCE: Final = "https://slsa.dev/provenance/v1"
PROMOTION: Final = "https://companyos.dev/attestations/promotion-record/v1"
BUILD_TYPE: Final = "https://companyos.dev/builds/commit-tar/v1"
BUILDER: Final = "https://companyos.dev/builders/local/v1"


def provenance(artifact: Artifact, *, requested_by: str, at: datetime) -> Statement:
    """Return where an artifact comes from, to be signed at this moment."""
    return Statement(
        subject=(_subject(artifact.digest, artifact.release),),
        predicate_type=PROVENANCE,
        predicate={
            "buildDefinition": {
                **_definition(artifact),
                "internalParameters": {"sentBy": artifact.built_by, "requestedBy": requested_by},
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"companyos": companyos.__version__}},
                "metadata": {
                    "invocationId": artifact.id,
                    "startedOn": rfc3339(artifact.built_at),
                    "finishedOn": rfc3339(at),
                },
            },
        },
    )


def promotion(record: PromotionRecord) -> Statement:
    """Return what became of a release: its outcome, by which policy, on which evidence, in which ledger records."""
    return Statement(
        subject=(_subject(record.digest, record.release),),
        predicate_type=PROMOTION,
        predicate={
            "release": record.release,
            "releaseId": record.release_id,
            "outcome": record.outcome,
            "policy": {"digest": {"sha256": record.policy_digest.removeprefix("sha256:")}},
            "decidedAt": rfc3339(record.decided_at),
            "evidence": dict(record.evidence),
            "ledgerRecords": list(record.ledger_ids),
        },
    )


def check(artifact: Artifact, envelope: dsse.Envelope, keys: Iterable[PublishedKey]) -> Signature:
    """Return whether a published key signed, within its window, that exactly this artifact comes from where it says."""
    published = {key.public_key: key for key in keys}
    try:
        claimed = statement.verify(envelope, published)
        signer = published[next(dsse.signers(envelope, published))]
        at = _signed_at(claimed.predicate)
    except CompanyOSError as fault:
        return Invalid(reason=str(fault))
    if claimed.predicate_type != PROVENANCE or not claimed.is_about("sha256", artifact.digest[7:]):
        return Invalid(reason=f"What was signed is not the provenance of {artifact.digest}.")
    if at is None or not signer.valid_at(at):
        return Invalid(reason=f"The key {signer.key_id[:16]}… was not valid when it is said to have signed.")
    definition = claimed.predicate.get("buildDefinition")
    said = definition if isinstance(definition, dict) else {}
    if any(said.get(name) != value for name, value in _definition(artifact).items()):
        return Invalid(
            reason="Service, version, commit or dependencies of the artifact are not those that were signed."
        )
    return Verified(key_id=signer.key_id, at=at)


def _definition(artifact: Artifact) -> dict[str, Any]:
    """Return what of a build follows from the artifact alone."""
    return {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "service": artifact.service,
            "version": artifact.version,
            "commit": artifact.commit,
        },
        "resolvedDependencies": [
            {"name": "source", "digest": {"gitCommit": artifact.commit}},
            {"name": "requirements.lock", "digest": {"sha256": artifact.dependencies_digest.removeprefix("sha256:")}},
        ],
    }


def _subject(digest: str, name: str) -> Subject:
    return Subject(name=name, digest={"sha256": digest.removeprefix("sha256:")})


def _signed_at(predicate: Mapping[str, Any]) -> datetime | None:
    details = predicate.get("runDetails")
    metadata = details.get("metadata") if isinstance(details, dict) else None
    said = metadata.get("finishedOn") if isinstance(metadata, dict) else None
    try:
        moment = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None

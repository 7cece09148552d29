"""The use cases of evidence: artifacts are stored, signed, looked at, denied; outcomes are attested."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core import canonical, dsse, statement
from companyos.core.access import Caller, require
from companyos.core.artifacts import ArtifactStore, Digest
from companyos.core.errors import CompanyOSError, IntegrityFault, InvalidInput
from companyos.core.ids import check_service_name, uuid7
from companyos.core.keys import KeyStore
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.evidence import archive, changelog, packing, provenance, store
from companyos.evidence.errors import ArtifactNotFound, AttestationNotFound, DenialNotFound
from companyos.evidence.model import (
    Artifact,
    ArtifactView,
    Commit,
    Denial,
    Invalid,
    Missing,
    PromotionRecord,
    Signature,
    Verified,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from companyos.core.access import Verdict
    from companyos.core.statement import Statement
    from companyos.ledger import Change, Journal

PURPOSE: Final = "attestation"
MAX_COMMITS: Final = 200
_ENVELOPE_LIMIT_BYTES: Final = 1024 * 1024


class Evidence:
    """What is known of artifacts, for whoever may ask."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal, and the artifacts and keys of its home."""
        self.journal = journal
        self._store = ArtifactStore(journal.settings.folder.artifacts)
        self._keys = KeyStore(journal.settings.folder.keys, journal.clock)

    def put_artifact(self, caller: Caller, data: bytes, *, commits: Sequence[Commit] = ()) -> Artifact:
        """Return the artifact that these bytes are, stored; the same bytes again change nothing.

        Raises InvalidInput or TooLarge for a tar that ``packing.pack`` would not have made.
        """
        verdict = require(caller, "artifact.write", "artifacts")
        held = packing.contents(data)
        _check_commits(commits)
        digest = str(self._store.put(data, archive.MAX_BYTES))
        with self.journal.write(caller, unchanged_ok=True) as change:
            made = Artifact(
                digest=digest,
                id=uuid7(),
                size_bytes=len(data),
                commits=tuple(commits),
                built_by=caller.subject,
                built_at=self.journal.clock.now(),
                **msgspec.structs.asdict(held),
            )
            if store.add_artifact(change.connection, made):
                details = {"size_bytes": made.size_bytes, "dependencies_digest": made.dependencies_digest}
                _record(change, "artifact.store", made, verdict, commit=made.commit, **details)
                return made
            return _found(change.connection, digest)

    def set_commits(self, caller: Caller, digest: str, commits: Sequence[Commit]) -> Artifact:
        """Return the artifact with what is new in it, newest first; it is shown in changelogs and proves nothing.

        Raises ArtifactNotFound, and InvalidInput above ``MAX_COMMITS``.
        """
        verdict = require(caller, "artifact.write", f"artifact:{digest[:80]}")
        _check_commits(commits)
        with self.journal.write(caller, unchanged_ok=True) as change:
            known = store.artifact(change.connection, digest, lock=True)
            if known is None:
                raise ArtifactNotFound(digest)
            said = msgspec.structs.replace(known, commits=tuple(commits))
            if said != known:
                store.set_commits(change.connection, digest, commits)
                _record(change, "artifact.update", said, verdict, commits=[one.id for one in commits])
            return said

    def sign_artifact(self, caller: Caller, digest: str) -> Artifact:
        """Return the artifact with signed provenance; one whose signature holds is not signed again.

        Raises ArtifactNotFound, NotFound when the bytes are gone, and IntegrityFault when they are no longer the
        artifact: what nobody has is not signed.
        """
        verdict = require(caller, "artifact.sign", f"artifact:{digest[:80]}")
        with self.journal.read() as connection:
            known = _found(connection, digest)
        if isinstance(self.signature_of(digest), Verified):
            # Read again: somebody else may have signed it since.
            with self.journal.read() as connection:
                return _found(connection, digest)
        held = packing.contents(self._store.read(digest, archive.MAX_BYTES))
        if msgspec.structs.asdict(held).items() - msgspec.structs.asdict(known).items():
            raise IntegrityFault(
                f"What is written down of {digest} is not what its bytes say.", next_step="Verify the ledger."
            )
        now = self.journal.clock.now()
        envelope_digest = self._sign(provenance.provenance(known, requested_by=caller.subject, at=now))
        with self.journal.write(caller, unchanged_ok=True) as change:
            again = store.artifact(change.connection, digest, lock=True)
            if again is None or again.envelope_digest != known.envelope_digest:
                # Somebody else signed it meanwhile; one signature is enough.
                return _found(change.connection, digest)
            store.set_envelope(change.connection, digest, envelope_digest)
            signed = msgspec.structs.replace(again, envelope_digest=envelope_digest)
            _record(change, "artifact.sign", signed, verdict, envelope_digest=envelope_digest)
            return signed

    def artifact(self, digest: str) -> Artifact | None:
        """Return what is known of a digest, or None; it asks for no permission."""
        with self.journal.read() as connection:
            return store.artifact(connection, digest)

    def get_artifact(self, caller: Caller, digest: str) -> ArtifactView:
        """Return an artifact with its signature, checked now, and its denial. Raises ArtifactNotFound."""
        require(caller, "artifact.read", f"artifact:{digest[:80]}")
        with self.journal.read() as connection:
            known = _found(connection, digest)
            denied = store.denial(connection, digest)
        return ArtifactView(**msgspec.structs.asdict(known), signature=self._signature(known), denial=denied)

    def list_artifacts(
        self, caller: Caller, *, service: str | None = None, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Artifact]:
        """Return a page of artifacts, newest first."""
        require(caller, "artifact.read", f"service:{service}" if service else "artifacts")
        check_limit(limit)
        if service is not None:
            check_service_name(service, field="service")
        with self.journal.read() as connection:
            found = store.artifacts_page(connection, service=service, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda artifact: artifact.id)

    def signature_of(self, digest: str) -> Signature:
        """Return what is known of the signature of a digest: all of its bytes are read and hashed for it.

        It never raises for an artifact that is missing or altered: that is an answer too. It asks for no permission.
        """
        known = self.artifact(digest)
        return Missing() if known is None else self._signature(known)

    def denial(self, connection: Connection, digest: str) -> Denial | None:
        """Return the denial of a digest, or None; it asks for no permission."""
        return store.denial(connection, digest)

    def deny_in(
        self, change: Change, caller: Caller, digest: str, *, reason: str, release: str, release_id: str
    ) -> Denial:
        """Return the denial of a digest, as part of a transaction that has asked for permission; twice is once."""
        return self._deny(change, caller, digest, reason=reason, release=release, release_id=release_id)

    def deny(self, caller: Caller, digest: str, reason: str) -> Denial:
        """Return the denial of a digest by a person, whose reason no release has shown. Raises ArtifactNotFound."""
        verdict = require(caller, "artifact.deny", f"artifact:{digest[:80]}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            known = _found(change.connection, digest)
            return self._deny(
                change, caller, digest, reason=reason, release=known.release, release_id="", verdict=verdict
            )

    def _deny(
        self,
        change: Change,
        caller: Caller,
        digest: str,
        *,
        reason: str,
        release: str,
        release_id: str,
        verdict: Verdict | None = None,
    ) -> Denial:
        denied = Denial(
            digest=str(Digest.parse(digest)),
            reason=reason,
            release=release,
            release_id=release_id,
            denied_by=caller.subject,
            denied_at=self.journal.clock.now(),
        )
        if not store.add_denial(change.connection, denied):
            return store.denial(change.connection, digest) or denied
        change.record(
            verb="artifact.deny",
            target=f"artifact:{digest}",
            verdict=verdict,
            service=release.partition("@")[0],
            release=release,
            details={"digest": digest, "reason": reason, "release_id": release_id},
        )
        return denied

    def lift_denial(self, caller: Caller, digest: str, reason: str) -> None:
        """Let a digest be deployed again. Raises DenialNotFound."""
        verdict = require(caller, "artifact.allow", f"artifact:{digest[:80]}")
        with self.journal.write(caller) as change:
            denied = store.denial(change.connection, digest, lock=True)
            if denied is None:
                raise DenialNotFound(digest)
            store.remove_denial(change.connection, digest)
            change.record(
                verb="artifact.allow",
                target=f"artifact:{digest}",
                verdict=verdict,
                service=denied.release.partition("@")[0],
                release=denied.release,
                details={"digest": digest, "reason": reason, "denied_because": denied.reason},
            )

    def promotion_record_in(self, change: Change, record: PromotionRecord) -> str:
        """Return the digest of the envelope of a new signed Statement about what became of a release.

        It is part of the caller's transaction, which has asked for permission and remembers that this was done.
        """
        envelope_digest = self._sign(provenance.promotion(record))
        change.record(
            verb="attestation.sign",
            target=f"artifact:{record.digest}",
            service=record.release.partition("@")[0],
            release=record.release,
            details={
                "digest": record.digest,
                "release_id": record.release_id,
                "outcome": record.outcome,
                "envelope_digest": envelope_digest,
                "predicate_type": provenance.PROMOTION,
            },
        )
        return envelope_digest

    def attestation(self, caller: Caller, digest: str) -> bytes:
        """Return the JSON of the DSSE envelope with this digest. Raises AttestationNotFound for anything else."""
        require(caller, "artifact.read", f"attestation:{digest[:80]}")
        try:
            data = self._store.read(digest, _ENVELOPE_LIMIT_BYTES)
            if dsse.decode(data).payload_type != statement.PAYLOAD_TYPE:
                raise AttestationNotFound(digest)
        except IntegrityFault:
            raise
        except CompanyOSError as fault:
            raise AttestationNotFound(digest) from fault
        return data

    def changelog(self, base: str | None, digest: str) -> dict[str, Any]:
        """Return what is different between two artifacts, as JSON; without ``base`` everything is new.

        An artifact that can no longer be read leaves a note instead. It asks for no permission and reads both tars.
        """
        known = self.artifact(digest)
        commits = known.commits if known else ()
        try:
            after = archive.read(self._store.read(digest, archive.MAX_BYTES))
            before = archive.read(self._store.read(base, archive.MAX_BYTES)) if base else archive.Archive(entries=())
        except CompanyOSError as fault:
            found = changelog.compare({}, {}, base=base, digest=digest, commits=commits)
            return changelog.as_document(msgspec.structs.replace(found, note=f"Files cannot be compared: {fault}"))
        found = changelog.compare(
            packing.index_of(before), packing.index_of(after), base=base, digest=digest, commits=commits
        )
        moved = changelog.dependencies(_lock(before), _lock(after))
        return changelog.as_document(changelog.with_dependencies(found, moved))

    def file(self, digest: str, path: str) -> bytes | None:
        """Return a file of a stored artifact, None when it has none of this name; it asks for no permission.

        Raises NotFound for an artifact that is not here, and IntegrityFault for one that was altered.
        """
        return archive.read(self._store.read(digest, archive.MAX_BYTES)).file(path)

    def _signature(self, known: Artifact) -> Signature:
        if known.envelope_digest is None:
            return Missing()
        try:
            self._store.verify(known.digest)
            envelope = dsse.decode(self._store.read(known.envelope_digest, _ENVELOPE_LIMIT_BYTES))
            return provenance.check(known, envelope, self._keys.public_keys(PURPOSE))
        except CompanyOSError as fault:
            return Invalid(reason=str(fault))

    def _sign(self, claim: Statement) -> str:
        """Return the digest of a stored envelope. Raises InvalidInput when it says more than fits."""
        if len(canonical.dumps(claim.predicate)) > _ENVELOPE_LIMIT_BYTES // 2:
            raise InvalidInput("The Statement says too much to be signed.", next_step="Sign its digest instead.")
        envelope = statement.sign(claim, self._keys.signer(PURPOSE))
        return str(self._store.put(dsse.encode(envelope), _ENVELOPE_LIMIT_BYTES))


def _found(connection: Connection, digest: str) -> Artifact:
    known = store.artifact(connection, digest)
    if known is None:
        raise ArtifactNotFound(digest)
    return known


def _check_commits(commits: Sequence[Commit]) -> None:
    if len(commits) > MAX_COMMITS:
        raise InvalidInput(f"At most {MAX_COMMITS} commits are kept.", next_step="Send the newest.", field="commits")


def _record(change: Change, verb: str, artifact: Artifact, verdict: Verdict, **details: Any) -> None:  # noqa: ANN401 - JSON
    change.record(
        verb=verb,
        target=f"artifact:{artifact.digest}",
        verdict=verdict,
        service=artifact.service,
        release=artifact.release,
        details={"digest": artifact.digest, **details},
    )


def _lock(held: archive.Archive) -> str:
    return (held.file(packing.LOCK_NAME) or b"").decode("utf-8", "replace")

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from companyos.core import dsse, statement
from companyos.core.access import Caller
from companyos.core.artifacts import ArtifactStore, Digest
from companyos.core.clock import ManualClock
from companyos.core.errors import IntegrityFault, InvalidInput, NotFound, TooLarge
from companyos.core.keys import KeyStore
from companyos.evidence import Artifact, Commit, Evidence, Invalid, Missing, PromotionRecord, Verified, store
from companyos.evidence.errors import ArtifactNotFound, AttestationNotFound, DenialNotFound
from companyos.evidence.provenance import PROMOTION
from companyos.evidence.tables import artifacts
from companyos.ledger import Journal
from tests.evidence.artifacts import COMMIT, tar
from tests.pillar import person, records

UNKNOWN = "sha256:" + "0" * 64
NOT_DIGESTS = ["", "x", "sha256:", "sha256:" + "A" * 64, UNKNOWN + "\n", "a\0b", "sha256:" + "\0" * 64]


def file_of(journal: Journal, digest: str) -> Path:
    """Return where the bytes of a digest are kept."""
    hexadecimal = digest.removeprefix("sha256:")
    return journal.settings.folder.artifacts / "sha256" / hexadecimal[:2] / hexadecimal[2:]


def alter(journal: Journal, digest: str) -> None:
    """Change one byte of what is stored under a digest."""
    file = file_of(journal, digest)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.chmod(0o600)
    file.write_bytes(bytes(data))


def test_an_artifact_is_stored_once(evidence: Evidence, journal: Journal, operator: Caller) -> None:
    """The same bytes again, by whoever, change nothing and write no record."""
    data = tar()
    made = evidence.put_artifact(operator, data, commits=[Commit(id=COMMIT, subject="Begin")])
    assert evidence.put_artifact(person("otto", "operator"), data) == made
    assert evidence.artifact(made.digest) == made
    assert (made.digest, made.size_bytes, made.files) == (str(Digest.of(data)), len(data), 2)
    assert (made.release, made.built_by, made.commits[0].subject) == ("shop@1.0", "user:olga", "Begin")
    (record,) = records(journal)
    assert (record.verb, record.target, record.policy) == (
        "artifact.store",
        f"artifact:{made.digest}",
        "roles:operator",
    )
    assert (record.service, record.release, record.details["commit"]) == ("shop", "shop@1.0", COMMIT)


def test_what_is_no_artifact_leaves_nothing(evidence: Evidence, journal: Journal, operator: Caller) -> None:
    """No row, no record, no file."""
    for data in (b"", b"x" * 2000, tar()[:-512]):
        with pytest.raises(InvalidInput):
            evidence.put_artifact(operator, data)
    with pytest.raises(TooLarge):
        evidence.put_artifact(operator, bytes(32 * 1024 * 1024 + 1))
    with pytest.raises(InvalidInput, match="200 commits"):
        evidence.put_artifact(operator, tar(), commits=[Commit(id=COMMIT)] * 201)
    assert journal.size() == 0
    assert not list(journal.settings.folder.artifacts.rglob("*"))


def test_the_longest_names_fit_everywhere(evidence: Evidence, operator: Caller, journal: Journal) -> None:
    """Service, version, commits: in the row, the ledger and the Statement."""
    made = evidence.put_artifact(operator, tar("s" * 39, "1" * 128, "c" * 64))
    commits = [Commit(id=f"{number:064x}", subject="s" * 200) for number in range(200)]
    assert evidence.set_commits(operator, made.digest, commits).commits == tuple(commits)
    assert evidence.sign_artifact(operator, made.digest).release == f"{'s' * 39}@{'1' * 128}"
    assert isinstance(evidence.signature_of(made.digest), Verified)
    loop = Caller(subject="system:delivery")
    with journal.write(loop) as change:
        evidence.deny_in(change, loop, made.digest, reason="r" * 4000, release=made.release, release_id="r" * 36)
    assert len(records(journal)) == 4


def test_signing_is_done_once(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller
) -> None:
    """Missing, then verified; a second time nothing new is signed."""
    made = stored()
    assert evidence.signature_of(made.digest) == Missing()
    signed = evidence.sign_artifact(operator, made.digest)
    assert signed.envelope_digest
    assert evidence.sign_artifact(operator, made.digest) == signed
    assert [record.verb for record in records(journal)] == ["artifact.store", "artifact.sign"]
    signature = evidence.signature_of(made.digest)
    assert isinstance(signature, Verified)
    assert signature.at == journal.clock.now()
    shown = evidence.get_artifact(person("vera", "viewer"), made.digest)
    assert (shown.signature, shown.denial, shown.envelope_digest) == (signature, None, signed.envelope_digest)


def test_altered_bytes_are_said_to_be_altered_and_are_not_signed(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller
) -> None:
    """One bit is enough; and so is a file that is gone."""
    one, other, third = stored(version="1"), stored(version="2"), stored(version="3")
    evidence.sign_artifact(operator, one.digest)
    alter(journal, one.digest)
    signature = evidence.signature_of(one.digest)
    assert isinstance(signature, Invalid)
    assert "damaged" in signature.reason
    alter(journal, other.digest)
    with pytest.raises(IntegrityFault):
        evidence.sign_artifact(operator, other.digest)
    evidence.sign_artifact(operator, third.digest)
    file_of(journal, third.digest).unlink()
    assert isinstance(evidence.signature_of(third.digest), Invalid)
    with pytest.raises(NotFound):
        evidence.sign_artifact(operator, third.digest)
    assert [record.verb for record in records(journal)].count("artifact.sign") == 2


def test_an_altered_envelope_is_replaced_when_it_is_signed_again(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller
) -> None:
    """The bytes are still what they were, so a new signature may say so."""
    made = stored()
    first = evidence.sign_artifact(operator, made.digest)
    assert first.envelope_digest
    alter(journal, first.envelope_digest)
    assert isinstance(evidence.signature_of(made.digest), Invalid)
    again = evidence.sign_artifact(operator, made.digest)
    assert again.envelope_digest != first.envelope_digest
    assert isinstance(evidence.signature_of(made.digest), Verified)


def test_a_row_that_was_rewritten_is_not_signed(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller
) -> None:
    """Whoever can write to the database cannot have another version signed, nor move a signature."""
    made, other = stored(), stored(version="2.0")
    signed = evidence.sign_artifact(operator, other.digest)
    assert signed.envelope_digest
    with journal.database.write() as connection:
        store.set_envelope(connection, made.digest, signed.envelope_digest)
    assert isinstance(evidence.signature_of(made.digest), Invalid)
    with journal.database.write() as connection:
        connection.execute(artifacts.update().values(version="9.9", envelope_digest=None))
    with pytest.raises(IntegrityFault, match="not what its bytes say"):
        evidence.sign_artifact(operator, made.digest)


def test_a_forged_envelope_does_not_count(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller, tmp_path: Path
) -> None:
    """The keys of another home sign the same claim; the platform never published them."""
    made = stored()
    signed = evidence.sign_artifact(operator, made.digest)
    assert signed.envelope_digest
    kept = ArtifactStore(journal.settings.folder.artifacts)
    claim = statement.decode(dsse.decode(kept.read(signed.envelope_digest, 1_000_000)).payload)
    elsewhere = KeyStore(tmp_path / "keys", journal.clock)
    forged = kept.put(dsse.encode(statement.sign(claim, elsewhere.signer("attestation"))), 1_000_000)
    with journal.database.write() as connection:
        store.set_envelope(connection, made.digest, str(forged))
    signature = evidence.signature_of(made.digest)
    assert isinstance(signature, Invalid)
    assert "No accepted key" in signature.reason


def test_a_signature_outlives_the_rotation_of_its_key(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller, clock: ManualClock
) -> None:
    """It was made within the window, and says so."""
    made = stored()
    evidence.sign_artifact(operator, made.digest)
    KeyStore(journal.settings.folder.keys, journal.clock).rotate("attestation")
    clock.advance(10 * 86_400)
    assert isinstance(evidence.signature_of(made.digest), Verified)


def test_commits_are_told_afterwards(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, operator: Caller
) -> None:
    """Telling the same again changes nothing; a signature still holds, because they prove nothing."""
    made = stored()
    evidence.sign_artifact(operator, made.digest)
    told = [Commit(id="d" * 40, subject="Second"), Commit(id=COMMIT, subject="First")]
    assert evidence.set_commits(operator, made.digest, told).commits == tuple(told)
    evidence.set_commits(operator, made.digest, told)
    assert [record.verb for record in records(journal)] == ["artifact.store", "artifact.sign", "artifact.update"]
    assert isinstance(evidence.signature_of(made.digest), Verified)
    assert evidence.changelog(None, made.digest)["commits"][0] == {"id": "d" * 40, "subject": "Second"}
    with pytest.raises(ArtifactNotFound):
        evidence.set_commits(operator, UNKNOWN, told)
    with pytest.raises(InvalidInput):
        evidence.set_commits(operator, made.digest, told * 101)


def test_a_promotion_record_verifies(evidence: Evidence, stored: Callable[..., Artifact], journal: Journal) -> None:
    """With the published keys alone, from what the attestation address gives."""
    made, loop = stored(), Caller(subject="system:delivery")
    record = PromotionRecord(
        digest=made.digest,
        release=made.release,
        release_id="r1",
        outcome="promoted",
        policy_digest="sha256:" + "f" * 64,
        decided_at=journal.clock.now(),
        evidence={"errors": 3, "e_value": 0.25},
        ledger_ids=("l1",),
    )
    with journal.write(loop) as change:
        digest = evidence.promotion_record_in(change, record)
    envelope = dsse.decode(evidence.attestation(person("vera", "viewer"), digest))
    keys = KeyStore(journal.settings.folder.keys, journal.clock).public_keys("attestation")
    claim = statement.verify(envelope, [key.public_key for key in keys])
    assert (claim.predicate_type, claim.predicate["outcome"]) == (PROMOTION, "promoted")
    assert claim.is_about("sha256", made.digest.removeprefix("sha256:"))
    last = records(journal)[-1]
    assert (last.verb, last.details["envelope_digest"], last.release) == ("attestation.sign", digest, "shop@1.0")


def test_a_statement_that_says_too_much_is_not_signed(evidence: Evidence, journal: Journal) -> None:
    """It could not be read again."""
    loop = Caller(subject="system:delivery")
    record = PromotionRecord(
        digest=UNKNOWN,
        release="shop@1.0",
        release_id="r1",
        outcome="promoted",
        policy_digest="sha256:" + "f" * 64,
        decided_at=journal.clock.now(),
        evidence={"text": "x" * 600_000},
    )
    with pytest.raises(InvalidInput, match="too much"), journal.write(loop) as change:
        evidence.promotion_record_in(change, record)


def test_only_attestations_are_given_out_as_such(
    evidence: Evidence, stored: Callable[..., Artifact], journal: Journal, viewer: Caller, operator: Caller
) -> None:
    """Not artifacts, not other files, not what is no digest; a damaged one is said to be damaged."""
    made = stored()
    for digest in [made.digest, UNKNOWN, "../../keys", *NOT_DIGESTS]:
        with pytest.raises(AttestationNotFound):
            evidence.attestation(viewer, digest)
    signed = evidence.sign_artifact(operator, made.digest)
    assert signed.envelope_digest
    assert dsse.decode(evidence.attestation(viewer, signed.envelope_digest)).signatures
    alter(journal, signed.envelope_digest)
    with pytest.raises(IntegrityFault):
        evidence.attestation(viewer, signed.envelope_digest)


@pytest.mark.parametrize("digest", [UNKNOWN, *NOT_DIGESTS])
def test_what_is_not_known_is_not_found_on_every_database(evidence: Evidence, digest: str, admin: Caller) -> None:
    """Also a text that PostgreSQL would not take."""
    assert evidence.artifact(digest) is None
    assert evidence.signature_of(digest) == Missing()
    with evidence.journal.read() as connection:
        assert evidence.denial(connection, digest) is None
    for ask in (evidence.get_artifact, evidence.sign_artifact):
        with pytest.raises(ArtifactNotFound):
            ask(admin, digest)
    with pytest.raises(DenialNotFound):
        evidence.lift_denial(admin, digest, "x")


def test_pages_are_newest_first_and_whole(evidence: Evidence, operator: Caller) -> None:
    """Every artifact once, of all services or of one."""
    made = [
        evidence.put_artifact(operator, tar(service, str(number))) for number in range(3) for service in ("a1", "b1")
    ]
    seen: list[Artifact] = []
    cursor = None
    while True:
        page = evidence.list_artifacts(operator, cursor=cursor, limit=2)
        seen += page.items
        if (cursor := page.next_cursor) is None:
            break
    assert seen == made[::-1]
    assert [one.version for one in evidence.list_artifacts(operator, service="b1").items] == ["2", "1", "0"]
    with pytest.raises(InvalidInput):
        evidence.list_artifacts(operator, service="B\0")

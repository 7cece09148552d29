from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from companyos.core.errors import CompanyOSError, InvalidInput
from companyos.core.signing import LocalSigner
from companyos.ledger import Journal, LedgerReader
from companyos.ledger.checkpoint import Checkpoint, sign, verifier_key
from companyos.ledger.erasure import erase
from companyos.ledger.offline import check, note_in
from tests.ledger.conftest import ANA, ORIGIN, fill

SIZE = 30


@pytest.fixture
def filled(sqlite_journal: Journal) -> Journal:
    """Return a journal with some records."""
    fill(sqlite_journal, SIZE, personal={"email": "ana@example.com"})
    return sqlite_journal


def proof_of(journal: Journal, key: str) -> dict[str, Any]:
    """Return a proof as the JSON that ``ledger prove --json`` prints."""
    document: dict[str, Any] = json.loads(msgspec.json.encode(LedgerReader(journal).proof(ANA, key)))
    return document


def printed(document: dict[str, Any]) -> list[bytes]:
    """Return a document line by line, as a file has it."""
    return json.dumps(document, indent=2).encode().splitlines(keepends=True)


def exported(journal: Journal) -> list[bytes]:
    """Return the lines of an export."""
    return b"".join(LedgerReader(journal).export(ANA)).splitlines(keepends=True)


def test_a_proof_is_checked_without_the_platform(filled: Journal) -> None:
    """What ``prove`` prints is enough to check each record, however the JSON is laid out."""
    key = verifier_key(ORIGIN, filled.ledger.keys.signer("ledger").public_key)
    for index in range(SIZE):
        document = proof_of(filled, str(index))
        for lines in (printed(document), [json.dumps(document).encode()]):
            checked = check(lines)
            assert (checked.kind, checked.index, checked.size, checked.records) == ("proof", index, SIZE, 1)
            assert (checked.origin, checked.verifier_key, checked.key_was_given) == (ORIGIN, key, False)
    assert check(printed(proof_of(filled, "3")), key).key_was_given


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda d: d["body"].update(actor="user:eve"),
    lambda d: d["body"].update(extra=1),
    lambda d: d["body"]["details"].update(number=8),
    lambda d: d["body"].pop("policy"),
    lambda d: d.update(index=4),
    lambda d: d["proof"].update(index=4),
    lambda d: d["proof"].update(tree_size=29),
    lambda d: (d.update(index=4), d["proof"].update(index=4)),
    lambda d: d["proof"]["hashes"].reverse(),
    lambda d: d["proof"]["hashes"].pop(),
    lambda d: d["proof"]["hashes"].append(d["proof"]["hashes"][0]),
    lambda d: d["proof"]["hashes"].extend(d["proof"]["hashes"][:1] * 100),
    lambda d: d["proof"]["hashes"].__setitem__(0, "!"),
    lambda d: d["proof"]["hashes"].__setitem__(0, ""),
    lambda d: d.update(checkpoint=d["checkpoint"].replace(f"\n{SIZE}\n", "\n29\n")),
    lambda d: d.update(checkpoint="x"),
    lambda d: d["personal"]["ip"].update(value="192.0.2.8"),
    lambda d: d["personal"]["ip"].update(salt="AAAA"),
    lambda d: d["personal"].update(phone=d["personal"]["ip"]),
    lambda d: d["public_key"].update(verifier_key="a+b+c"),
    lambda d: d.pop("proof"),
    lambda d: d.update(body=[]),
]


@pytest.mark.parametrize("place", range(len(CHANGES)))
def test_a_changed_proof_proves_nothing(filled: Journal, place: int) -> None:
    """Any part of a proof that is changed makes it fail."""
    document = proof_of(filled, "3")
    CHANGES[place](document)
    with pytest.raises(CompanyOSError):
        check(printed(document))


def test_a_proof_by_another_key_fails_against_the_key_that_is_known(filled: Journal) -> None:
    """A forger can bring a checkpoint, a proof and a key that fit; the known key refuses them."""
    document = proof_of(filled, "3")
    forger = LocalSigner.generate("ed25519")
    signed, _ = filled.ledger.verify_checkpoint(document["checkpoint"])
    document["checkpoint"] = sign(Checkpoint(ORIGIN, signed.size, signed.root), forger)
    document["public_key"]["verifier_key"] = verifier_key(ORIGIN, forger.public_key)
    assert check(printed(document)).key_was_given is False
    with pytest.raises(CompanyOSError, match="not signed"):
        check(printed(document), verifier_key(ORIGIN, filled.ledger.keys.signer("ledger").public_key))


def test_an_export_is_checked_without_the_platform(filled: Journal) -> None:
    """An export leads to the root of its own checkpoint, also after values were erased."""
    checked = check(exported(filled))
    assert (checked.kind, checked.records, checked.size, checked.index) == ("export", SIZE, SIZE, None)
    record = LedgerReader(filled).entry(ANA, "4")
    erase(filled, ANA, record.id, "email", "asked")
    lines = exported(filled)
    assert check(lines).records == SIZE + 1
    assert b"email" not in lines[5].split(b'"personal":')[-1]


def test_every_line_of_an_export_counts(filled: Journal) -> None:
    """A line that is changed, removed, doubled or moved, or a cut end, makes the export fail."""
    lines = exported(filled)
    for place in range(1, SIZE + 1):
        changed = lines[place].replace(b"ana", b"eve")
        for damaged in (
            [*lines[:place], changed, *lines[place + 1 :]],
            [*lines[:place], *lines[place + 1 :]],
            [*lines[:place], lines[place], *lines[place:]],
            lines[:place],
        ):
            with pytest.raises(CompanyOSError):
                check(damaged)
    swapped = [*lines[:3], lines[4], lines[3], *lines[5:]]
    with pytest.raises(CompanyOSError):
        check(swapped)


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{}", b"[]", b"null", b"\xff", b"{" * 5000, b'{"body":1}', b"x" * 2_000_000]
)
def test_what_is_neither_is_refused(data: bytes) -> None:
    """A file that is no proof and no export is refused in a sentence."""
    with pytest.raises(InvalidInput if len(data) < 1_000_000 else CompanyOSError):
        check([data])


def test_the_checkpoint_is_found_in_whatever_holds_one(filled: Journal) -> None:
    """A checkpoint alone, a proof in one line or many and an export all give the same checkpoint."""
    note = LedgerReader(filled).checkpoint(ANA)
    document = proof_of(filled, "3")
    assert note_in(note.encode()) == note
    assert note_in(b"".join(printed(document))) == note
    assert note_in(json.dumps(document).encode() + b"\n") == note
    assert note_in(b"".join(exported(filled))) == note
    for data in (b"{}", b"{", b"\xff", b'{"checkpoint": 1}'):
        with pytest.raises(InvalidInput):
            note_in(data)

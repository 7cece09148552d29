from __future__ import annotations

import base64
import os

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import IntegrityFault
from companyos.ledger.body import commitment
from companyos.policy.log.keys import SubjectKey
from companyos.policy.log.sealing import NONCE_BYTES, SALT_BYTES, Sealer, opened, prepare, stored, unseal
from tests.policy.log.lines import MASK, decision, fulfilment, id_of

KEY = SubjectKey("key-1", AESGCM(os.urandom(32)))


def sealed(line: bytes) -> bytes:
    """Return the record as it is stored."""
    return Sealer().seal(prepare(line), KEY).text


def test_what_is_personal_cannot_be_read_without_the_key() -> None:
    """The subject, the resource, the values and the properties are sealed; what was decided stays readable."""
    text = sealed(decision("ana-maria", obligations=(MASK,), clearance="cosmic"))
    for secret in (b"ana-maria", b"dossier-7", b"cosmic", b"iban", b"clearance"):
        assert secret not in text
    record = stored(text)
    assert (record.action, record.decision, record.reason) == ("read", "allow", "role.bound")
    assert [(owed.id, owed.type) for owed in record.obligations] == [("mask_fields", "mask_fields")]
    assert (record.subject_type, record.resource_type, record.key) == ("user", "document", "key-1")


def test_with_the_key_everything_comes_back() -> None:
    """Whoever has the key reads exactly what was recorded."""
    line = decision("ana", obligations=(MASK,))
    record = stored(sealed(line))
    found = opened(record, unseal(record, KEY.cipher))
    said = msgspec.json.decode(line)
    assert found.inputs == said["inputs"]
    assert (found.subject.id, found.resource.id) == ("ana", "dossier-7")
    assert found.obligations[0].properties == {"fields": ["iban"]}
    assert (found.audit_id, found.at, found.latency_us) == (said["audit_id"], said["at"], said["latency_us"])
    assert not found.erased


def test_without_the_key_the_record_still_says_what_was_decided() -> None:
    """After an erasure the decision, its reason and its obligations stay, and the values are gone."""
    record = stored(sealed(decision("ana", obligations=(MASK,))))
    found = opened(record, unseal(record, None))
    assert found.erased
    assert (found.decision, found.reason, found.inputs, found.subject.id) == ("allow", "role.bound", None, None)
    assert [(owed.id, owed.properties) for owed in found.obligations] == [("mask_fields", None)]


def test_the_commitment_opens_with_salt_and_value() -> None:
    """Whoever is shown the salt and the value can check them against the chain, with the ledger's own rule."""
    record = stored(sealed(decision()))
    data = base64.b64decode(record.sealed)
    plain = KEY.cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], record.audit_id.encode())
    assert commitment(b"decision", plain[:SALT_BYTES], plain[SALT_BYTES:]) == record.commitment


def test_equal_values_do_not_look_equal() -> None:
    """Salt and nonce are fresh for each record, so that nobody sees who was asked about twice."""
    line = decision()
    first, second = stored(sealed(line)), stored(sealed(line))
    assert first.sealed != second.sealed
    assert first.commitment != second.commitment


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_sealed_part_is_found_out(place: int, change: int) -> None:
    """No byte of the sealed part can be changed, and it cannot be moved to another record."""
    record = stored(sealed(decision()))
    data = bytearray(base64.b64decode(record.sealed))
    data[place % len(data)] ^= change
    with pytest.raises(IntegrityFault, match=record.audit_id):
        unseal(msgspec.structs.replace(record, sealed=base64.b64encode(data).decode()), KEY.cipher)
    with pytest.raises(IntegrityFault):
        unseal(msgspec.structs.replace(record, audit_id="another"), KEY.cipher)
    with pytest.raises(IntegrityFault):
        unseal(msgspec.structs.replace(record, commitment="sha256:" + "0" * 64), KEY.cipher)


def test_a_receipt_is_sealed_too() -> None:
    """What became of obligations may name somebody, so the outcomes are sealed; that there was a receipt is not."""
    line = fulfilment(id_of(decision()))
    text = sealed(line)
    assert b"ana-exported" not in text
    record = stored(text)
    found = opened(record, unseal(record, KEY.cipher))
    assert (found.kind, found.phase, found.granted) == ("fulfilment", "before", True)
    assert found.outcomes == msgspec.json.decode(line)["outcomes"]
    assert found.receipt_id == msgspec.json.decode(line)["receipt_id"]


def test_a_field_of_a_later_release_is_not_lost() -> None:
    """A record that says more than this release knows keeps its whole line, sealed."""
    line = decision()[:-1] + b',"mood":"good"}'
    record = stored(sealed(line))
    assert b"good" not in sealed(line)
    found = opened(record, unseal(record, KEY.cipher))
    assert found.line == line.decode()
    assert found.reason == "role.bound"

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import CompanyOSError, IntegrityFault, InvalidInput
from companyos.core.signing import BadSignature, LocalSigner, PublicKey
from companyos.ledger.checkpoint import (
    Checkpoint,
    note_key_id,
    parse,
    parse_verifier_key,
    sign,
    verifier_key,
    verify,
)

ORIGIN = "companyos.test/ledger"
SIGNER = LocalSigner.generate("ed25519")
OTHER = LocalSigner.generate("ed25519")
CHECKPOINT = Checkpoint(ORIGIN, 42, bytes(range(32)))
NOTE = sign(CHECKPOINT, SIGNER)

# The example of Go's golang.org/x/mod/sumdb/note, and the key of Go's checksum database.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_SUM_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"


def edited(old: str, new: str) -> str:
    """Return the note with one part replaced."""
    assert old in NOTE
    return NOTE.replace(old, new, 1)


def test_the_text_is_that_of_the_specification() -> None:
    """A checkpoint is origin, size and root on lines of their own, an empty line, and a signature line."""
    lines = NOTE.split("\n")
    assert lines[:3] == [ORIGIN, "42", base64.b64encode(bytes(range(32))).decode()]
    assert lines[3] == ""
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    signature = base64.b64decode(lines[4].split(" ")[2])
    assert signature[:4] == note_key_id(ORIGIN, SIGNER.public_key)
    SIGNER.public_key.verify(signature[4:], "\n".join([*lines[:3], ""]).encode())


@pytest.mark.parametrize("text", [GO_KEY, GO_SUM_KEY])
def test_verifier_keys_of_others_are_read_and_written(text: str) -> None:
    """Keys that Go's note package made have the id that we compute, and come out as they went in."""
    name, key = parse_verifier_key(text)
    assert verifier_key(name, key) == text


def test_a_signature_of_another_implementation_holds() -> None:
    """The signature in the example of Go's note package holds for its key, behind the four bytes of its id."""
    name, key = parse_verifier_key(GO_KEY)
    data = base64.b64decode(GO_SIGNATURE)
    assert data[:4] == note_key_id(name, key)
    key.verify(data[4:], GO_TEXT.encode())


def test_what_was_signed_is_verified_and_names_its_key() -> None:
    """A checkpoint comes back as it was, with the one of several keys that signed it."""
    assert verify(NOTE, ORIGIN, [OTHER.public_key, SIGNER.public_key]) == (CHECKPOINT, SIGNER.public_key)


@given(st.integers(0, len(NOTE) - 1), st.characters(min_codepoint=0, max_codepoint=0x2FFF, exclude_categories=["Cs"]))
def test_no_character_can_be_changed(place: int, character: str) -> None:
    """A note with any one character replaced is refused."""
    changed = NOTE[:place] + character + NOTE[place + 1 :]
    if changed != NOTE:
        with pytest.raises(CompanyOSError):
            verify(changed, ORIGIN, [SIGNER.public_key])


@given(st.text(max_size=300))
def test_any_text_is_a_checkpoint_or_refused(text: str) -> None:
    """Nothing but InvalidInput comes out of reading text that is no checkpoint."""
    with pytest.raises(InvalidInput):
        parse(text)


def test_a_hash_has_one_spelling() -> None:
    """Base64 whose unused bits are set decodes to the same bytes, and is refused all the same."""
    root = base64.b64encode(bytes(range(32))).decode()
    other = root[:-2] + chr(ord(root[-2]) + 1) + "="
    assert base64.b64decode(other) == bytes(range(32))
    with pytest.raises(InvalidInput, match="root that is not base64"):
        parse(edited(root, other))


@pytest.mark.parametrize(
    ("note", "sentence"),
    [
        (edited("\n42\n", "\n042\n"), "size"),
        (edited("\n42\n", "\n-1\n"), "size"),
        (edited("\n42\n", "\n9223372036854775808\n"), "size"),
        (edited("\n42\n", "\n٤٢\n"), "size"),
        (edited(ORIGIN, "a b"), "origin"),
        (edited(ORIGIN, "a+b"), "origin"),
        (edited(ORIGIN, "a" * 201), "origin"),
        (edited("\n42\n", "\n42\r\n"), "control"),
        (edited("— ", "- "), "no signature"),
        (edited("— ", "—  "), "no signature"),
        (NOTE + NOTE.split("\n")[4], "end in signature lines"),
        (NOTE[:-1], "end in signature lines"),
        ("\n".join(NOTE.split("\n")[1:]), "lacks"),
        (NOTE.replace("\n\n", "\n"), "end in signature lines"),
        (edited("=\n\n", "\n\n"), "root that is not base64"),
        (edited(base64.b64encode(bytes(range(32))).decode(), "AAAA"), "3 bytes"),
        (NOTE.replace(NOTE.split(" ")[2], "AAAA\n"), "too short"),
        (NOTE + NOTE.split("\n")[4].join(["", "\n"]) * 32, "32 signatures"),
        ("x" * 20_000, "characters"),
    ],
)
def test_what_is_no_checkpoint_is_named(note: str, sentence: str) -> None:
    """A text that is not a checkpoint to the letter is refused with a sentence that says why."""
    with pytest.raises(InvalidInput, match=sentence):
        parse(note)


def test_a_checkpoint_of_another_ledger_is_refused() -> None:
    """A checkpoint that our key signed for another origin is not one of ours."""
    note = sign(Checkpoint("elsewhere", 42, bytes(32)), SIGNER)
    with pytest.raises(IntegrityFault, match="elsewhere"):
        verify(note, ORIGIN, [SIGNER.public_key])


def test_an_unknown_key_vouches_for_nothing() -> None:
    """A note that only others signed is refused."""
    with pytest.raises(BadSignature, match="not signed by a key of this ledger"):
        verify(NOTE, ORIGIN, [OTHER.public_key])


def test_witnesses_are_ignored_and_a_wrong_signature_of_ours_is_not() -> None:
    """A line of an unknown key changes nothing; a line of a known key that does not hold spoils the note."""
    other = sign(CHECKPOINT, OTHER).split("\n")[4]
    cosigned = f"{NOTE}{other}\n— witness.example/w1 {base64.b64encode(bytes(76)).decode()}\n"
    assert verify(cosigned, ORIGIN, [SIGNER.public_key])[0] == CHECKPOINT
    wrong = base64.b64encode(note_key_id(ORIGIN, OTHER.public_key) + bytes(64)).decode()
    with pytest.raises(BadSignature):
        verify(f"{NOTE}— {ORIGIN} {wrong}\n", ORIGIN, [SIGNER.public_key, OTHER.public_key])


def test_the_same_key_under_another_name_does_not_count() -> None:
    """A signature line is known by name and key id together (C2SP signed-note)."""
    with pytest.raises(BadSignature):
        verify(NOTE.replace(f"— {ORIGIN}", "— somebody.else"), ORIGIN, [SIGNER.public_key])


def test_extension_lines_are_signed_with_the_rest() -> None:
    """A checkpoint with extension lines holds, and without one of them it does not."""
    text = f"{CHECKPOINT.text()}extension\n"
    line = base64.b64encode(note_key_id(ORIGIN, SIGNER.public_key) + SIGNER.sign(text.encode())).decode()
    note = f"{text}\n— {ORIGIN} {line}\n"
    assert verify(note, ORIGIN, [SIGNER.public_key])[0] == CHECKPOINT
    with pytest.raises(BadSignature):
        verify(note.replace("extension\n", ""), ORIGIN, [SIGNER.public_key])


@pytest.mark.parametrize(
    "text",
    ["", "a+b", "a+00000000+AAAA", GO_KEY.replace("c74f20a3", "c74f20a4"), GO_KEY[:-1], f"{GO_KEY}!", f"+{GO_KEY}"],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    """A verifier key with a wrong id, a wrong kind or broken base64 is not read."""
    with pytest.raises(InvalidInput):
        parse_verifier_key(text)


def test_only_ed25519_signs_checkpoints() -> None:
    """A key of another kind has no id in a note."""
    key: PublicKey = LocalSigner.generate("ecdsa-p256").public_key
    with pytest.raises(InvalidInput, match="Ed25519"):
        note_key_id(ORIGIN, key)

from __future__ import annotations

import base64
import copy
import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as TheirEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # not listed, but documented

from companyos.core import dsse
from companyos.core.dsse import Envelope, Signature
from companyos.core.errors import InvalidInput, TooLarge
from companyos.core.signing import ALGORITHMS, Algorithm, BadSignature, LocalSigner, PublicKey, Signer

TYPE = "application/example"
SIGNERS: dict[Algorithm, LocalSigner] = {algorithm: LocalSigner.generate(algorithm) for algorithm in ALGORITHMS}
KEYS = [signer.public_key for signer in SIGNERS.values()]
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)


def their_key(key: PublicKey) -> SSlibKey:
    """The same key for securesystemslib, under our key id."""
    kinds = {"ed25519": ("ed25519", "ed25519"), "ecdsa-p256": ("ecdsa", "ecdsa-sha2-nistp256")}
    kind, scheme = kinds[key.algorithm]
    public = key.spki_der[-32:].hex() if kind == "ed25519" else key.pem
    return SSlibKey(key.key_id, kind, scheme, {"public": public})


def test_pae_of_the_specification() -> None:
    """The example of the DSSE protocol gets the bytes of the protocol."""
    assert dsse.pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.pae(b"", "\u00fc") == b"DSSEv1 2 \xc3\xbc 0 "


@given(st.binary(max_size=30), st.text(max_size=10), st.binary(max_size=30), st.text(max_size=10))
def test_no_two_payloads_share_a_pae(payload: bytes, kind: str, other_payload: bytes, other_kind: str) -> None:
    """Moving bytes between type and payload always changes what is signed."""
    same = dsse.pae(payload, kind) == dsse.pae(other_payload, other_kind)
    assert same == ((payload, kind) == (other_payload, other_kind))


@every_algorithm
@given(payload=st.binary(max_size=200))
def test_what_was_signed_is_given_back(algorithm: Algorithm, payload: bytes) -> None:
    """An envelope survives its JSON, and its payload comes out for any list of keys that holds the signer's."""
    envelope = dsse.sign(payload, TYPE, SIGNERS[algorithm])
    read = dsse.decode(dsse.encode(envelope))
    assert read == envelope
    assert dsse.verify(read, KEYS, TYPE) == payload
    assert dsse.verify(read, reversed(KEYS), TYPE) == payload


@every_algorithm
def test_a_change_of_anything_signed_is_refused(algorithm: Algorithm) -> None:
    """Another payload, type, signature or key is a bad signature; nothing is given back."""
    envelope = dsse.sign(b"payload", TYPE, SIGNERS[algorithm])
    (signature,) = envelope.signatures
    replace = msgspec.structs.replace
    forged: list[tuple[Envelope, str]] = [
        (replace(envelope, payload=b"Payload"), TYPE),
        (replace(envelope, payload_type="application/other"), "application/other"),
        (envelope, "application/other"),
        (
            replace(
                envelope, signatures=(replace(signature, sig=signature.sig[:-1] + bytes([signature.sig[-1] ^ 1])),)
            ),
            TYPE,
        ),
        (replace(envelope, signatures=(replace(signature, sig=b""),)), TYPE),
    ]
    for broken, expected in forged:
        with pytest.raises(BadSignature):
            dsse.verify(broken, KEYS, expected)
    others = [key for key in KEYS if key.algorithm != algorithm] + [LocalSigner.generate(algorithm).public_key]
    for keys in (others, []):
        with pytest.raises(BadSignature, match=f"its signatures name {signature.keyid[:16]}"):
            dsse.verify(envelope, keys, TYPE)


def test_a_key_id_is_only_a_hint() -> None:
    """A missing or lying key id neither prevents nor gives acceptance."""
    honest, stranger = LocalSigner.generate("ed25519"), LocalSigner.generate("ed25519")
    signed = dsse.sign(b"payload", TYPE, honest).signatures[0].sig
    for keyid in ("", "unknown", stranger.key_id):
        envelope = Envelope(payload=b"payload", payload_type=TYPE, signatures=(Signature(sig=signed, keyid=keyid),))
        assert dsse.verify(envelope, [stranger.public_key, honest.public_key], TYPE) == b"payload"
        with pytest.raises(BadSignature):
            dsse.verify(envelope, [stranger.public_key], TYPE)


def test_signers_are_told_once_each() -> None:
    """Of several signatures those by accepted keys count, a repeated one counts once."""
    first, second, third = (LocalSigner.generate("ed25519") for _ in range(3))
    made = [dsse.sign(b"payload", TYPE, signer).signatures[0] for signer in (first, second, first, third)]
    envelope = Envelope(payload=b"payload", payload_type=TYPE, signatures=tuple(made))
    accepted = [second.public_key, first.public_key, first.public_key]
    assert list(dsse.signers(envelope, accepted)) == [first.public_key, second.public_key]
    assert list(dsse.signers(envelope, [])) == []


@every_algorithm
def test_securesystemslib_accepts_ours(algorithm: Algorithm) -> None:
    """An independent implementation verifies our envelope, and refuses it once changed."""
    signer = SIGNERS[algorithm]
    data = json.loads(dsse.encode(dsse.sign(b"payload", TYPE, signer)))
    key = their_key(signer.public_key)
    theirs = TheirEnvelope.from_dict(copy.deepcopy(data))
    assert theirs.payload == b"payload"
    assert set(theirs.verify([key], 1)) == {signer.key_id}
    data["payload"] = base64.b64encode(b"Payload").decode()
    with pytest.raises(VerificationError):
        TheirEnvelope.from_dict(data).verify([key], 1)


@every_algorithm
def test_we_accept_securesystemslib(algorithm: Algorithm) -> None:
    """An envelope that the independent implementation made is verified by us."""
    theirs = CryptoSigner.generate_ed25519() if algorithm == "ed25519" else CryptoSigner.generate_ecdsa()
    made = TheirEnvelope(b"payload", TYPE, {})
    made.sign(theirs)
    envelope = dsse.decode(json.dumps(made.to_dict()).encode())
    public = cast("Any", theirs).public_key.keyval["public"]
    if algorithm == "ed25519":
        key = PublicKey.from_spki_der(bytes.fromhex("302a300506032b6570032100" + public))
    else:
        key = PublicKey.from_pem(public)
    assert dsse.verify(envelope, [key], TYPE) == b"payload"
    with pytest.raises(BadSignature):
        dsse.verify(envelope, KEYS, TYPE)


class RemoteSigner:
    """A signer as a key management service would be: no private key in sight."""

    def __init__(self, behind: LocalSigner) -> None:
        self.public_key, self._behind = behind.public_key, behind
        self.key_id, self.algorithm = behind.key_id, behind.algorithm

    def sign(self, data: bytes) -> bytes:
        """Ask the other side."""
        return self._behind.sign(data)


def test_any_signer_will_do() -> None:
    """What signs need not be ours, it only has to follow the protocol."""
    signer: Signer = RemoteSigner(LocalSigner.generate("ecdsa-p256"))
    assert dsse.verify(dsse.sign(b"x", TYPE, signer), [signer.public_key], TYPE) == b"x"


def wire(**changes: object) -> bytes:
    """The JSON of a valid envelope with some fields replaced."""
    envelope = json.loads(dsse.encode(dsse.sign(b"\xfb\xff\xfe?", TYPE, SIGNERS["ed25519"])))
    return json.dumps(envelope | changes).encode()


def test_both_base64_alphabets_and_unknown_fields_are_read() -> None:
    """The URL-safe alphabet, a missing key id and fields of a later version are accepted, as the rules demand."""
    standard = json.loads(wire())
    assert standard["payload"] == "+//+Pw=="
    (signature,) = standard["signatures"]
    other = wire(
        payload="-__-Pw==",
        signatures=[{"sig": signature["sig"].replace("+", "-").replace("/", "_"), "new": 1}],
        extension={"a": []},
    )
    envelope = dsse.decode(other)
    assert envelope.signatures[0].keyid == ""
    assert dsse.verify(envelope, KEYS, TYPE) == b"\xfb\xff\xfe?"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `payload`"),
        (wire(payload=1), "payload: Expected `str`, got `int`"),
        (wire(payload="+//+Pw"), "payload of the envelope is not base64"),
        (wire(payload="+//+Px=="), "payload of the envelope is not base64"),
        (wire(payload="+//+ Pw=="), "payload of the envelope is not base64"),
        (wire(payload="\u00fc"), "payload of the envelope is not base64"),
        (wire(payloadType=""), "payload type has 1 to 256 bytes"),
        (wire(payloadType="t" * 257), "payload type has 1 to 256 bytes"),
        (wire(signatures=[]), "has 0 signatures"),
        (wire(signatures=[{"sig": ""}] * 17), "has 17 signatures"),
        (wire(signatures=[{"keyid": "k"}]), "missing required field `sig`"),
        (wire(signatures=[{"sig": "A"}]), r"signatures\[0\].sig of the envelope is not base64"),
        (wire(signatures={"sig": ""}), "signatures: Expected `array`"),
        (b'{"payload":"","payload":"","payloadType":"x","signatures":[{"sig":""}]}', "more than once"),
        (wire(x=[[[[[[[[[]]]]]]]]]), "nested too deeply"),
    ],
)
def test_a_malformed_envelope_is_refused(data: bytes, fault: str) -> None:
    """Each malformed envelope is refused as input, with the fault named."""
    with pytest.raises(InvalidInput, match=fault) as caught:
        dsse.decode(data)
    assert caught.value.next_step


def test_sizes_are_bounded() -> None:
    """An envelope beyond the limit is too large, and one with too many signatures is not even tried."""
    data = wire()
    assert dsse.decode(data, max_bytes=len(data)).payload_type == TYPE
    with pytest.raises(TooLarge):
        dsse.decode(data, max_bytes=len(data) - 1)
    signature = dsse.sign(b"x", TYPE, SIGNERS["ed25519"]).signatures[0]
    crowded = Envelope(payload=b"x", payload_type=TYPE, signatures=(signature,) * 17)
    with pytest.raises(InvalidInput, match="17 signatures"):
        dsse.verify(crowded, KEYS, TYPE)
    with pytest.raises(InvalidInput, match="payload type"):
        dsse.sign(b"x", "", SIGNERS["ed25519"])


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever comes in, reading gives an envelope or InvalidInput."""
    with pytest.raises(InvalidInput):
        dsse.decode(data)

"""What trust costs: canonical JSON, signatures and envelopes, beside the packages that do the same."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rfc8785
from securesystemslib.dsse import Envelope as PeerEnvelope
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # not listed, but documented

from bench.harness import AtLeast, Row, best_of, elapsed_s, number
from companyos.core import canonical, dsse
from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import SystemClock
from companyos.core.keys import KeyStore
from companyos.core.signing import ALGORITHMS, LocalSigner

_TIMES = 5
_RECORD: dict[str, Any] = {
    "actor": "user:alice",
    "verb": "service.create",
    "target": "service:checkout",
    "decision": "allow",
    "policy": "role:operator",
    "obligations": ["log"],
    "ip": "127.0.0.1",
    "device": None,
    "service": "checkout",
    "release": "checkout@1.2.3",
    "request_id": "019aa1c2-5f00-7000-8000-000000000001",
    "details": {"owner": "team-payments", "tier": 1, "replicas": 12},
    "personal": {"email": "a" * 64},
    "id": "019aa1c2-5f00-7000-8000-000000000000",
    "time": "2026-11-22T10:00:00.000000Z",
}
_WITH_WHOLE_DOUBLE = _RECORD | {"ratio": 1.0}
_PAYLOAD = b"x" * 500
_TYPE = "application/vnd.in-toto+json"


def run(scale: float) -> Iterator[Row]:
    """Rows for canonical JSON, keys, envelopes and artifacts."""
    yield from _canonical(scale)
    yield from _signatures(scale)
    yield from _envelopes(scale)
    yield from _stores(scale)


def _canonical(scale: float) -> Iterator[Row]:
    data = canonical.dumps(_RECORD)
    assert data == rfc8785.dumps(_RECORD)
    note = f"a ledger record of {len(data)} bytes"
    package = _per_second(lambda: rfc8785.dumps(_RECORD), scale, 2_000)
    plain = _per_second(lambda: json.dumps(_RECORD, sort_keys=True, separators=(",", ":")), scale, 10_000)
    yield _row(
        "canonical.dumps",
        _per_second(lambda: canonical.dumps(_RECORD), scale, 20_000),
        target=AtLeast(20_000),
        note=note,
        peer=f"rfc8785 {number(package)}, json.dumps(sort_keys) {number(plain)}",
    )
    package = _per_second(lambda: rfc8785.dumps(_WITH_WHOLE_DOUBLE), scale, 2_000)
    yield _row(
        "canonical.dumps, slow road",
        _per_second(lambda: canonical.dumps(_WITH_WHOLE_DOUBLE), scale, 4_000),
        target=AtLeast(20_000),
        note="the same with a double that is a whole number",
        peer=f"rfc8785 {number(package)}",
    )
    parsed = _per_second(lambda: json.loads(data), scale, 10_000)
    yield _row("canonical.loads", _per_second(lambda: canonical.loads(data), scale, 10_000), note="any I-JSON")
    yield _row(
        "canonical.loads, canonical only",
        _per_second(lambda: canonical.loads(data, must_be_canonical=True), scale, 10_000),
        peer=f"json.loads, which proves nothing, {number(parsed)}",
    )


def _signatures(scale: float) -> Iterator[Row]:
    data = canonical.dumps(_RECORD)
    for algorithm in ALGORITHMS:
        signer = LocalSigner.generate(algorithm)
        signature, key = signer.sign(data), signer.public_key
        yield _row(f"{algorithm} sign", _per_second(lambda: signer.sign(data), scale, 2_000))  # noqa: B023 - called here
        yield _row(f"{algorithm} verify", _per_second(lambda: key.verify(signature, data), scale, 1_000))  # noqa: B023 - as above


def _envelopes(scale: float) -> Iterator[Row]:
    signer, peer_signer = LocalSigner.generate("ecdsa-p256"), CryptoSigner.generate_ecdsa()
    encoded = dsse.encode(dsse.sign(_PAYLOAD, _TYPE, signer))
    keys = [signer.public_key]
    peer_key = SSlibKey(signer.key_id, "ecdsa", "ecdsa-sha2-nistp256", {"public": signer.public_key.pem})

    def peer_make() -> str:
        envelope = PeerEnvelope(_PAYLOAD, _TYPE, {})
        envelope.sign(peer_signer)
        return json.dumps(envelope.to_dict())

    def peer_verify() -> bytes:
        envelope = PeerEnvelope.from_dict(json.loads(encoded))
        envelope.verify([peer_key], 1)
        return envelope.payload

    assert peer_verify() == dsse.verify(dsse.decode(encoded), keys, _TYPE) == _PAYLOAD
    note = f"P-256, an envelope of {len(encoded)} bytes"
    yield _row(
        "DSSE sign and encode",
        _per_second(lambda: dsse.encode(dsse.sign(_PAYLOAD, _TYPE, signer)), scale, 2_000),
        note=note,
        peer=f"securesystemslib {number(_per_second(peer_make, scale, 2_000))}",
    )
    yield _row(
        "DSSE decode and verify",
        _per_second(lambda: dsse.verify(dsse.decode(encoded), keys, _TYPE), scale, 1_000),
        note=note,
        peer=f"securesystemslib {number(_per_second(peer_verify, scale, 1_000))}",
    )


def _stores(scale: float) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="companyos-bench-") as folder:
        keys = KeyStore(Path(folder) / "keys", SystemClock())
        yield _row(
            "KeyStore.signer",
            _per_second(lambda: keys.signer("ledger"), scale, 5_000),
            note="notices a rotation elsewhere",
        )
        artifacts = ArtifactStore(Path(folder) / "artifacts")
        contents = iter(range(10**9))
        yield _row(
            "ArtifactStore.put",
            _per_second(lambda: artifacts.put(b"%01024d" % next(contents), 2_000), scale, 200),
            note="new content of 1 KiB, fsync on",
        )
        digest = artifacts.put(b"x" * 10**6, 10**6)
        yield _row(
            "ArtifactStore.read",
            _per_second(lambda: artifacts.read(digest, 10**6), scale, 200),
            note="1 MB, digest checked",
        )


def _per_second(work: Callable[[], object], scale: float, times: int) -> float:
    """How often the work is done in a second, by the best of some runs."""
    times = max(10, round(times * scale))

    def repeat() -> None:
        for _ in range(times):
            work()

    return times / best_of(_TIMES, lambda: elapsed_s(repeat), key=float)


def _row(name: str, value: float, *, target: AtLeast | None = None, note: str = "", peer: str = "") -> Row:
    return Row(room="trust", name=name, value=value, unit="/s", target=target, note=note, peer=peer)

"""Which keys sign for which stage. It is configured; a bundle has no say in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.limits import MAX_LABEL
from companyos_sdk.bundle.metadata import STAGES, Stage

_MAX_PEM: Final = 16 * 1024
_EXPORT: Final = "Take the public keys that `companyos policy keys` prints as PEM, or with --json as a document."


class TrustedKey(msgspec.Struct, frozen=True):
    """A public key and when its signatures count."""

    public_key_pem: str
    key_id: str
    """What the header of a signature calls it."""
    not_before: datetime
    """The first moment; aware."""
    not_after: datetime | None = None
    """The first moment after the last; None while no end is set."""

    def valid_at(self, moment: datetime) -> bool:
        """Whether its signatures count at this moment."""
        return self.not_before <= moment and (self.not_after is None or moment < self.not_after)


class TrustRoots:
    """The keys of each stage. Several keys of one stage overlap while one takes the place of the other."""

    def __init__(self, stages: Mapping[Stage, tuple[TrustedKey, ...]]) -> None:
        """Read the keys; raises BundleError(bad-trust) for one that is none, or that stands in two places."""
        self._keys: dict[str, dict[str, tuple[TrustedKey, ec.EllipticCurvePublicKey]]] = {}
        homes: dict[bytes, str] = {}
        for stage, keys in stages.items():
            if stage not in STAGES:
                raise _bad(f"{stage!r} is no stage")
            here = self._keys.setdefault(stage, {})
            for key in keys:
                read = _read(key)
                if key.key_id in here:
                    raise _bad(f"{stage} has two keys {key.key_id!r}")
                form = read.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
                if homes.setdefault(form, stage) != stage:
                    raise _bad(f"the key {key.key_id!r} of {stage} is a key of {homes[form]} too")
                here[key.key_id] = (key, read)

    def key(self, stage: str, key_id: str, now: datetime) -> ec.EllipticCurvePublicKey:
        """The key of that name for the stage; raises BundleError(unknown-key, expired-key)."""
        found = self._keys.get(stage, {}).get(key_id)
        if found is None:
            known = ", ".join(sorted(self._keys.get(stage, {}))) or "none"
            raise BundleError(
                "unknown-key",
                f"The bundle is signed with the key {key_id[:80]!r}, which is not trusted for {stage}.",
                f"Trusted there: {known[:200]}. Have it signed for {stage}, or configure the key.",
            )
        key, read = found
        if not key.valid_at(now):
            raise BundleError(
                "expired-key",
                f"The key {key_id[:80]!r} does not sign for {stage} at {now.isoformat()}.",
                "Have the bundle signed again with the present key of the stage.",
            )
        return read


def _read(key: TrustedKey) -> ec.EllipticCurvePublicKey:
    if not (0 < len(key.key_id) <= MAX_LABEL and key.key_id.isprintable()):
        raise _bad(f"a key id is empty, longer than {MAX_LABEL} characters or not printable")
    if any(moment is not None and moment.tzinfo is None for moment in (key.not_before, key.not_after)):
        raise _bad(f"a moment of the key {key.key_id!r} has no time zone")
    try:
        found = load_pem_public_key(key.public_key_pem[:_MAX_PEM].encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _bad(f"the key {key.key_id!r} is no public key in PEM form") from None
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(found.curve, ec.SECP256R1):
        raise _bad(f"the key {key.key_id!r} is not on P-256")
    return found


def _bad(what: str) -> BundleError:
    return BundleError("bad-trust", f"The trusted keys cannot be used: {what}.", _EXPORT)

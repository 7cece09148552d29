"""What the commands read and write: folders of policies, bundles, and names of versions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from companyos.core import durable
from companyos.core.clock import SystemClock
from companyos.core.errors import InvalidInput, Unavailable
from companyos.core.home import find_home
from companyos.core.keys import CLOCK_SKEW, KeyStore
from companyos.core.signing import LocalSigner
from companyos.policy import trusting
from companyos.policy.base import check_bundle_id, check_version
from companyos.policy.errors import BundleRefused
from companyos_sdk import bundle as sdk
from companyos_sdk.bundle.limits import MAX_PACKED

if TYPE_CHECKING:
    from companyos.policy.authoring.layout import Policy

_FORM: Final = "<domain>/<service>@<version>"


def named(text: str) -> tuple[str, str]:
    """Return bundle id and version of ``<domain>/<service>@<version>``, or raise InvalidInput."""
    bundle_id, at, version = text.partition("@")
    if not at:
        raise InvalidInput(
            f"{text[:200]!r} is neither a file nor {_FORM}.", next_step="Build a bundle, or name a published version."
        )
    return check_bundle_id(bundle_id), check_version(version)


def read_bundle(file: Path) -> bytes:
    """Return the bytes of a file. Raises NotFound, IntegrityFault, TooLarge, Unavailable."""
    try:
        return durable.read(file, limit_bytes=MAX_PACKED)
    except OSError as fault:
        raise Unavailable(f"{file} cannot be read: {fault.strerror}.", next_step="Look at its rights.") from fault


def write(file: Path, data: bytes) -> None:
    """Put the bytes at the path in one step. Raises Unavailable."""
    try:
        durable.write(file, data, mode=0o644)
    except OSError as fault:
        raise Unavailable(f"{file} cannot be written: {fault.strerror}.", next_step="Choose another --out.") from fault


def trust(keys: Path | None) -> sdk.TrustRoots:
    """Return the keys of every stage, from a file that the platform has published, or of this home."""
    if keys is None:
        return trusting.of_store(KeyStore(find_home().keys, SystemClock()))
    return trusting.of_document(read_bundle(keys), where=str(keys))


def policy_at(place: Path) -> Policy:
    """Return the policy in a folder or in a bundle, whose signature is not looked at. Raises InvalidInput."""
    from companyos.policy.authoring import layout

    if place.is_dir():
        return layout.read(place)
    return layout.of_bundle(_unverified(read_bundle(place)))


def _unverified(data: bytes) -> sdk.Bundle:
    """Return a bundle after every check but that of its signature, which a key of the moment takes the place of."""
    now = datetime.now(UTC)
    signer = LocalSigner.generate("ecdsa-p256")
    key = sdk.TrustedKey(signer.public_key.pem, signer.key_id, now - CLOCK_SKEW)
    try:
        files = sdk.unpack(data)
        if sdk.MANIFEST not in files:
            raise sdk.BundleError("missing-file", f"The bundle has no {sdk.MANIFEST}.", "Build it again.")
        return sdk.open_bundle(sdk.seal(files, signer, "dev", now=now), sdk.TrustRoots({"dev": (key,)}), "dev", now=now)
    except sdk.BundleError as fault:
        raise BundleRefused(fault.code, fault.sentence, fault.next_step) from fault

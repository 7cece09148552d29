"""A bundle out of bytes that anybody may have sent. Everything is verified before anything of it is read."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from companyos_sdk.bundle import strict_json
from companyos_sdk.bundle.building import DATA, PLAN, TEST_SUFFIX, TESTS, check_names, roots
from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.limits import MAX_SMALL_FILE
from companyos_sdk.bundle.metadata import (
    MANIFEST,
    SIGNATURES,
    UNSIGNED_FILES,
    Metadata,
    Stage,
    checksum,
    read_manifest,
    sha256,
    version_key,
)
from companyos_sdk.bundle.signatures import Signed, check_files, verify
from companyos_sdk.bundle.tarball import unpack
from companyos_sdk.bundle.trust import TrustRoots
from companyos_sdk.rego import load
from companyos_sdk.rego.errors import RegoError

_BUILD: Final = "Build the bundle again with `companyos policy build`."


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that may decide."""

    metadata: Metadata
    roots: tuple[str, ...]
    modules: dict[str, str]
    """Rego by path."""
    tests: dict[str, str]
    """Rego of the tests by file name."""
    data: dict[str, Any]
    plan: bytes
    program: Any
    """The Program that the plan was loaded into (companyos_sdk.rego)."""
    files: dict[str, bytes]
    """Every file by path, as it was signed."""
    digest: str
    """``sha256:<hex>`` of the `.tar.gz`."""
    data_digest: str
    """``sha256:<hex>`` of `data.json`."""
    key_id: str
    """The key that signed it."""
    signed_at: datetime
    rollback_from: str | None = None
    """The version that it was signed to take back; None for every bundle that goes forward."""
    unchanged: bool = False
    """Whether it says exactly what the active one says."""

    @property
    def manifest(self) -> bytes:
        """The `.manifest`."""
        return self.files[MANIFEST]

    @property
    def content_digest(self) -> str:
        """``sha256:<hex>`` of what it says, the same in every stage: ``metadata.checksum``."""
        return self.metadata.checksum


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """What decides already, as far as it matters for what may come after it."""

    version: str
    checksum: str | None = None
    """The content digest. With it, the same version with the same content is ``unchanged`` instead of refused."""
    signed_at: datetime | None = None
    """With it, a rollback that was signed before is refused: somebody plays it back."""


def open_bundle(
    data: bytes,
    trust: TrustRoots,
    stage: Stage,
    *,
    now: datetime,
    active_version: str | Active | None = None,
    bundle_id: str | None = None,
) -> Bundle:
    """The bundle in these bytes, if every check holds; raises BundleError with what to do otherwise.

    ``bundle_id`` is the bundle that was asked for: a well-signed bundle of another service is refused. A version that
    is not above the active one is refused too, unless it says the same (``unchanged``) or its signature takes exactly
    the active version back (``rollback_from``).
    """
    files = unpack(data)
    signed = verify(files.get(SIGNATURES), trust, stage, now)
    check_files(files, signed)
    bundle = _read(files, signed, stage, digest=sha256(data))
    if bundle_id is not None and bundle.metadata.bundle_id != bundle_id:
        raise BundleError(
            "other-bundle",
            f"The bundle is {bundle.metadata.bundle_id} and was to be {bundle_id[:80]}.",
            "Check where it is fetched from.",
        )
    active = Active(version=active_version) if isinstance(active_version, str) else active_version
    return bundle if active is None else _after(bundle, active)


def _read(files: dict[str, bytes], signed: Signed, stage: Stage, *, digest: str) -> Bundle:
    check_names(files)
    for path in (MANIFEST, DATA, PLAN):
        if path not in files:
            raise BundleError("missing-file", f"The bundle has no {path}.", _BUILD)
    if len(files[MANIFEST]) > MAX_SMALL_FILE:
        raise BundleError("too-large", f"{MANIFEST} has more than {MAX_SMALL_FILE} bytes.", _BUILD)
    metadata, claimed = read_manifest(files[MANIFEST])
    if metadata.stage != stage:
        raise BundleError("other-stage", f"The bundle is made for {metadata.stage} and signed for {stage}.", _BUILD)
    if checksum(metadata, files) != metadata.checksum:
        raise BundleError("wrong-checksum", "The checksum in the metadata is not the one of the files.", _BUILD)
    data = strict_json.loads(files[DATA], DATA)
    if not isinstance(data, dict):
        raise BundleError("bad-json", f"{DATA} is no object.", "Put the data into an object.")
    modules = {path: _text(path, found) for path, found in files.items() if path.endswith(".rego")}
    if roots(modules, data) != claimed:
        raise BundleError("bad-manifest", "The manifest claims other roots than the policy and its data have.", _BUILD)
    return Bundle(
        metadata=metadata,
        roots=tuple(claimed),
        modules=modules,
        tests={
            path.removeprefix(TESTS).removesuffix(TEST_SUFFIX) + ".rego": _text(path, found)
            for path, found in files.items()
            if path.endswith(TEST_SUFFIX)
        },
        data=data,
        plan=files[PLAN],
        program=_program(files[PLAN], data, metadata.entrypoint),
        files={path: found for path, found in files.items() if path not in UNSIGNED_FILES},
        digest=digest,
        data_digest=sha256(files[DATA]),
        key_id=signed.key_id,
        signed_at=signed.signed_at,
        rollback_from=signed.rollback_from,
    )


def _after(bundle: Bundle, active: Active) -> Bundle:
    """The bundle, if it may take the place of the active one."""
    here, there = bundle.metadata.version, active.version
    if version_key(here) > version_key(there):
        return bundle
    if here == there and active.checksum is not None and bundle.metadata.checksum == active.checksum:
        return msgspec.structs.replace(bundle, unchanged=True)
    if bundle.rollback_from == there and here != there:
        if active.signed_at is None or bundle.signed_at > active.signed_at:
            return bundle
        raise BundleError(
            "rolled-back",
            f"{here} was signed to take {there} back before {there} was signed as it is now.",
            "Roll back again.",
        )
    raise BundleError(
        "rolled-back",
        f"The bundle has version {here}, and {there} is active.",
        "Give it a higher version, or go back with `companyos policy rollback`.",
    )


def _program(plan: bytes, data: dict[str, Any], entrypoint: str) -> Any:  # noqa: ANN401 - a Program
    try:
        return load(plan, data, entrypoint)
    except RegoError as fault:
        raise BundleError(
            "bad-plan", f"The compiled policy cannot be loaded: {str(fault).rstrip('.')}.", _BUILD
        ) from fault


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BundleError("changed-file", f"{path} is not UTF-8.", "Save it as UTF-8 and build again.") from None

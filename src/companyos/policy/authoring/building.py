"""From a folder to a bundle, and back to the question whether a bundle is what its sources say."""

from __future__ import annotations

from pathlib import Path

from companyos.core.errors import InvalidInput
from companyos.policy.authoring import layout
from companyos_sdk import rego
from companyos_sdk.bundle import Bundle, BundleError, Metadata, build, pack
from companyos_sdk.bundle.building import in_plan
from companyos_sdk.bundle.metadata import MANIFEST, read_manifest
from companyos_sdk.rego.errors import RegoError


def build_folder(folder: Path, created_by: str) -> tuple[Metadata, bytes]:
    """The bundle of a folder, not signed yet, with its metadata. Equal folders give equal bytes.

    Raises InvalidInput with file and row where the policy does not compile.
    """
    policy = layout.read(folder)
    try:
        files = build(policy.source(created_by))
        return read_manifest(files[MANIFEST])[0], pack(files)
    except BundleError as fault:
        raise InvalidInput(fault.sentence, next_step=fault.next_step) from fault


def departs_from_sources(bundle: Bundle) -> str | None:
    """One sentence when the plan of a bundle is not what its sources compile to here, None when it is.

    Whoever reads the sources of a bundle reads what decides, then. Needs the compiler.
    """
    try:
        made = rego.plan(in_plan(bundle.modules), [bundle.metadata.entrypoint])
    except RegoError as fault:
        return f"The sources of {bundle.metadata.bundle_id} do not compile: {str(fault).rstrip('.')}."
    if made.to_bytes() != bundle.plan:
        return f"The compiled policy of {bundle.metadata.bundle_id} is not what its sources compile to here."
    return None

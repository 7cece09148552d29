"""Policy bundles in OPA's format: built, signed for one stage, and opened only when every check holds."""

from __future__ import annotations

from companyos_sdk.bundle.building import Source, build, package, restage, seal
from companyos_sdk.bundle.errors import CODES, BundleError, Code
from companyos_sdk.bundle.metadata import MANIFEST, SIGNATURES, STAGES, Metadata, Stage, version_key
from companyos_sdk.bundle.opening import Active, Bundle, open_bundle
from companyos_sdk.bundle.signatures import Signer, sign
from companyos_sdk.bundle.tarball import pack, unpack
from companyos_sdk.bundle.trust import TrustedKey, TrustRoots

__all__ = [
    "CODES",
    "MANIFEST",
    "SIGNATURES",
    "STAGES",
    "Active",
    "Bundle",
    "BundleError",
    "Code",
    "Metadata",
    "Signer",
    "Source",
    "Stage",
    "TrustRoots",
    "TrustedKey",
    "build",
    "open_bundle",
    "pack",
    "package",
    "restage",
    "seal",
    "sign",
    "unpack",
    "version_key",
]

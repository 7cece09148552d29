"""What a bundle says of itself: {bundle_id, version, stage, checksum, created_by} and what deciders need to know."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

import msgspec

from companyos_sdk.bundle import strict_json
from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.limits import MAX_LABEL

Stage: TypeAlias = Literal["dev", "staging", "prod"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

BUNDLE_ID: Final = re.compile(r"[a-z][a-z0-9_-]{0,39}/[a-z][a-z0-9_-]{0,39}")
"""``<domain>/<service>``."""
VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")
"""``major.minor.patch`` of semver.org, without the parts behind it: a version must have one place in the order."""
ENTRYPOINT: Final = re.compile(r"data(\.[A-Za-z_][A-Za-z0-9_]*){2,12}")
DEFAULT_ENTRYPOINT: Final = "data.companyos.authz.decision"
MANIFEST: Final = ".manifest"
SIGNATURES: Final = ".signatures.json"
UNSIGNED_FILES: Final = frozenset({SIGNATURES})
_NOT_CONTENT: Final = frozenset({MANIFEST, SIGNATURES})
_MAX_OBLIGATIONS: Final = 64


class Metadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who made which version of what, and for which stage it was signed."""

    bundle_id: str
    """``<domain>/<service>``."""
    version: str
    """``1.4.0``: semver without the parts behind a hyphen or a plus, so that any two versions have an order."""
    stage: Stage
    checksum: str
    """``sha256:<hex>`` of the content. It is the same in every stage, so a promotion can be seen to change nothing."""
    created_by: str
    entrypoint: str = DEFAULT_ENTRYPOINT
    obligations: tuple[str, ...] = ()
    """The types of obligations that it can emit, sorted."""
    owner: str = ""

    def to_json(self) -> dict[str, Any]:
        """The metadata as plain JSON."""
        return {**msgspec.structs.asdict(self), "obligations": list(self.obligations)}

    def check(self) -> None:
        """Raise BundleError(bad-manifest) where a field has not the form that it must have."""
        for field, text, pattern in (
            ("bundle_id", self.bundle_id, BUNDLE_ID),
            ("version", self.version, VERSION),
            ("entrypoint", self.entrypoint, ENTRYPOINT),
        ):
            if pattern.fullmatch(text) is None:
                raise _bad(f"its {field} is {text[:80]!r}")
        labels = [self.created_by, *self.obligations, *([self.owner] if self.owner else [])]
        if not all(0 < len(label) <= MAX_LABEL and label.isprintable() for label in labels):
            raise _bad(f"a name in it is empty, longer than {MAX_LABEL} characters or not printable")
        if len(self.obligations) > _MAX_OBLIGATIONS or list(self.obligations) != sorted(set(self.obligations)):
            raise _bad(f"its obligations are not sorted, not different, or more than {_MAX_OBLIGATIONS}")


def version_key(version: str) -> tuple[int, int, int]:
    """What versions are compared by. Raises BundleError(bad-manifest) for a text that is no version."""
    found = VERSION.fullmatch(version)
    if found is None:
        raise _bad(f"its version is {version[:80]!r}")
    major, minor, patch = found.groups()
    return int(major), int(minor), int(patch)


def checksum(metadata: Metadata, files: Mapping[str, bytes]) -> str:
    """``sha256:<hex>`` of what a bundle says: its files and its metadata without stage and signature."""
    about = {key: value for key, value in metadata.to_json().items() if key not in {"stage", "checksum"}}
    content = {path: sha256(data) for path, data in files.items() if path not in _NOT_CONTENT}
    return sha256(strict_json.dumps({"files": content, "metadata": about}))


def sha256(data: bytes) -> str:
    """``sha256:<hex>``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def manifest(metadata: Metadata, roots: list[str]) -> bytes:
    """The `.manifest`: OPA's fields, and the metadata where OPA keeps what it does not know."""
    found = {
        "revision": f"{metadata.version}@{metadata.checksum}",
        "roots": roots,
        "rego_version": 1,
        "metadata": metadata.to_json(),
    }
    return strict_json.dumps(found)


def read_manifest(data: bytes) -> tuple[Metadata, list[str]]:
    """The metadata and the roots in a `.manifest`; raises BundleError(bad-json, bad-manifest) for any other."""
    found = strict_json.loads(data, MANIFEST)
    try:
        made = msgspec.convert(found, _Manifest)
    except msgspec.ValidationError as fault:
        raise _bad(str(fault)[:200]) from None
    made.metadata.check()
    if manifest(made.metadata, made.roots) != data:
        raise _bad("its fields do not agree with its metadata")
    return made.metadata, made.roots


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    revision: str
    roots: list[str]
    rego_version: Literal[1]
    metadata: Metadata


def _bad(what: str) -> BundleError:
    return BundleError("bad-manifest", f"The manifest is not one of a bundle: {what}.", "Build the bundle again.")

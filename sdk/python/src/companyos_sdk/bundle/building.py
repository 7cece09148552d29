"""A bundle out of sources. Needs the compiler, which is the extra ``companyos-sdk[compile]``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from companyos_sdk.bundle import strict_json
from companyos_sdk.bundle.errors import BundleError
from companyos_sdk.bundle.metadata import (
    DEFAULT_ENTRYPOINT,
    MANIFEST,
    SIGNATURES,
    Metadata,
    Stage,
    checksum,
    manifest,
    read_manifest,
)
from companyos_sdk.bundle.signatures import Signer, sign
from companyos_sdk.bundle.tarball import check_paths, pack
from companyos_sdk.rego import load
from companyos_sdk.rego import plan as compiled
from companyos_sdk.rego.errors import RegoError

DATA: Final = "data.json"
PLAN: Final = "plan.json"
ABOUT: Final = "metadata.yaml"
"""What people wrote about the policy; carried along for people and for whoever runs the tests again."""
TESTS: Final = "tests/"
TEST_SUFFIX: Final = ".rego.txt"
"""Tests travel with the policy under a name that neither OPA nor a decider takes for a policy."""
_PACKAGE: Final = re.compile(r"^[ \t]*package[ \t]+([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)", re.MULTILINE)
_ROOT_LENGTH: Final = 2
"""How many parts of a package are the root that the bundle claims in an OPA which holds several bundles."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is made of."""

    bundle_id: str
    version: str
    created_by: str
    entrypoint: str = DEFAULT_ENTRYPOINT
    obligations: tuple[str, ...] = ()
    owner: str = ""
    modules: dict[str, str]
    """Rego by path within the bundle: ``companyos/documents/policy.rego``."""
    data: dict[str, Any] = {}
    tests: dict[str, str] = {}
    """Rego of the tests by file name: ``residency_test.rego``."""
    about: str = ""
    """`metadata.yaml`, as it was written."""


def build(source: Source, stage: Stage = "dev") -> dict[str, bytes]:
    """The files of the bundle, not signed yet, for ``sign`` and ``pack``.

    Raises BundleError(bad-source) where the policy does not compile or calls what a policy may not call; the sentence
    has file and row. Equal sources give equal bytes.
    """
    files = {path: text.encode() for path, text in source.modules.items()}
    files[DATA] = strict_json.dumps(source.data)
    files |= {f"{TESTS}{name.removesuffix('.rego')}{TEST_SUFFIX}": text.encode() for name, text in source.tests.items()}
    if source.about:
        files[ABOUT] = source.about.encode()
    check_names([*files, MANIFEST, PLAN])
    check_paths(files)
    try:
        made = compiled(in_plan(source.modules), [source.entrypoint])
        load(made, source.data, source.entrypoint)
    except RegoError as fault:
        raise BundleError(
            "bad-source", f"The policy does not compile: {fault}", "Correct it and build again."
        ) from fault
    if not any(one.path[1:] == tuple(source.entrypoint.split(".")[1:]) for one in made.functions.values()):
        raise BundleError(
            "bad-source", f"No module has the rule {source.entrypoint[:200]}.", "Name the rule that decides."
        )
    files[PLAN] = made.to_bytes()
    unsealed = Metadata(
        bundle_id=source.bundle_id,
        version=source.version,
        stage=stage,
        checksum="",
        created_by=source.created_by,
        entrypoint=source.entrypoint,
        obligations=tuple(sorted(set(source.obligations))),
        owner=source.owner,
    )
    unsealed.check()
    metadata = msgspec.structs.replace(unsealed, checksum=checksum(unsealed, files))
    files[MANIFEST] = manifest(metadata, roots(source.modules, source.data))
    return files


def restage(files: Mapping[str, bytes], stage: Stage) -> dict[str, bytes]:
    """The same files for another stage, without a signature. The checksum stays what it is."""
    metadata, claimed = read_manifest(files[MANIFEST])
    there = msgspec.structs.replace(metadata, stage=stage)
    return {path: data for path, data in files.items() if path != SIGNATURES} | {MANIFEST: manifest(there, claimed)}


def seal(
    files: Mapping[str, bytes], signer: Signer, stage: Stage, *, now: datetime, rollback_from: str | None = None
) -> bytes:
    """The bundle as bytes: restaged, signed and packed."""
    there = restage(files, stage)
    return pack({**there, SIGNATURES: sign(there, signer, stage, now=now, rollback_from=rollback_from)})


def check_names(paths: Iterable[str]) -> None:
    """Raise BundleError(unexpected-file) for a file that a bundle does not have.

    OPA gives a meaning to names such as `patch.json`, `policy.wasm` or `data.yaml` in any folder, so what is not known
    here is refused instead of passed over.
    """
    for path in paths:
        known = path in {MANIFEST, SIGNATURES, DATA, PLAN, ABOUT}
        if not known and not path.endswith(".rego") and not (path.startswith(TESTS) and path.endswith(TEST_SUFFIX)):
            raise BundleError("unexpected-file", f"{path[:100]} has no place in a bundle.", "Leave it out.")


def in_plan(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules under the names that they have in a plan, and so in every place that a decision is explained with.

    The compiler keeps the last part of a path only, so that is the name; where two modules share it, they are named by
    their whole path with dots for slashes.
    """
    return {name_in_plan(path, modules): source for path, source in modules.items()}


def name_in_plan(path: str, paths: Iterable[str]) -> str:
    """What a module of this path is called in a plan, among all these paths."""
    last = path.rpartition("/")[2]
    return last if sum(other.rpartition("/")[2] == last for other in paths) == 1 else path.replace("/", ".")


def package(source: str) -> str | None:
    """The package that a Rego source declares, ``companyos.documents.dlp``; None when it declares none."""
    found = _PACKAGE.search(source)
    return found[1] if found else None


def roots(modules: Mapping[str, str], data: Mapping[str, Any]) -> list[str]:
    """The parts of the tree of documents that the bundle claims: ``["companyos/documents"]``.

    They cover every package and all data, none lies within another, and OPA refuses a bundle for which that is not so.
    """
    claimed = {tuple((package(source) or "").split(".")[:_ROOT_LENGTH]) for source in modules.values()} - {("",)}
    claimed |= set(_places(data, ()))
    return sorted("/".join(one) for one in claimed if not any(one[:length] in claimed for length in range(1, len(one))))


def _places(found: Mapping[str, Any], above: tuple[str, ...]) -> Sequence[tuple[str, ...]]:
    places: list[tuple[str, ...]] = []
    for key, inner in found.items():
        here = (*above, key)
        if isinstance(inner, dict) and inner and len(here) < _ROOT_LENGTH:
            places += _places(inner, here)
        else:
            places.append(here)
    return places

"""The layout ``policies/<domain>/<service>/<stage>/<version>/``: a folder in, a value out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from companyos.core.documents import parse_yaml_documents
from companyos.core.errors import InvalidInput, NotFound, TooLarge
from companyos.policy.authoring import about
from companyos_sdk.bundle import Bundle, BundleError, Source, strict_json
from companyos_sdk.bundle.building import ABOUT
from companyos_sdk.bundle.metadata import BUNDLE_ID, STAGES, VERSION

MAX_FILES: Final = 500
MAX_FILE: Final = 1024 * 1024
"""Bytes of one file of sources."""
TEST: Final = "_test.rego"
_DATA: Final = ("data.json", "data.yaml", "data.yml")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a policy, wherever it was read from."""

    bundle_id: str
    """``<domain>/<service>``."""
    version: str
    stage: str
    about: about.About
    about_text: str
    modules: dict[str, str]
    """Rego by path within the bundle: ``companyos/documents/policy.rego``."""
    tests: dict[str, str]
    """Rego of the tests by file name."""
    data: dict[str, Any]

    def source(self, created_by: str) -> Source:
        """What a bundle is built from."""
        return Source(
            bundle_id=self.bundle_id,
            version=self.version,
            created_by=created_by,
            entrypoint=self.about.entrypoint,
            obligations=self.about.obligations,
            owner=self.about.owner,
            modules=self.modules,
            data=self.data,
            tests=self.tests,
            about=self.about_text,
        )


def read(folder: Path) -> Policy:
    """The policy in a folder; raises NotFound, TooLarge, or InvalidInput that names the file and what to do."""
    bundle_id, stage, version = place(folder)
    files = _files(folder)
    if about.FILE not in files:
        raise InvalidInput(f"{folder} has no {about.FILE}.", next_step="Write one, or begin with: companyos policy new")
    where = str(folder / about.FILE)
    modules = {name: _text(folder, name, data) for name, data in files.items() if name.endswith(".rego")}
    return Policy(
        bundle_id=bundle_id,
        version=version,
        stage=stage,
        about=about.read(files[about.FILE], where),
        about_text=_text(folder, about.FILE, files[about.FILE]),
        modules={f"{bundle_id}/{name}": text for name, text in modules.items() if not name.endswith(TEST)},
        tests={name: text for name, text in modules.items() if name.endswith(TEST)},
        data=_data(folder, files),
    )


def of_bundle(bundle: Bundle) -> Policy:
    """The policy that a bundle was built from; raises InvalidInput where its `metadata.yaml` is missing or broken."""
    text = bundle.files.get(ABOUT)
    if text is None:
        raise InvalidInput(f"The bundle has no {ABOUT}.", next_step="Build it with: companyos policy build")
    return Policy(
        bundle_id=bundle.metadata.bundle_id,
        version=bundle.metadata.version,
        stage=bundle.metadata.stage,
        about=about.read(text, ABOUT),
        about_text=text.decode(),
        modules=bundle.modules,
        tests=bundle.tests,
        data=bundle.data,
    )


def place(folder: Path) -> tuple[str, str, str]:
    """Bundle id, stage and version that a folder stands for; raises InvalidInput for a folder elsewhere."""
    parts = folder.absolute().parts[-4:]
    if len(parts) == 4:  # noqa: PLR2004 - domain, service, stage and version
        bundle_id, stage, version = "/".join(parts[:2]), parts[2], parts[3]
        if BUNDLE_ID.fullmatch(bundle_id) and stage in STAGES and VERSION.fullmatch(version):
            return bundle_id, stage, version
    raise InvalidInput(
        f"{folder} is no folder of a policy.",
        next_step="Use policies/<domain>/<service>/<dev, staging or prod>/<1.0.0>.",
    )


def _files(folder: Path) -> dict[str, bytes]:
    """The files below the folder, by path with slashes."""
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", next_step="Begin one with: companyos policy new")
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise InvalidInput(f"{path} is a link.", next_step="Put the file itself there.")
        if path.is_dir():
            continue
        if not all(_NAME.fullmatch(part) for part in name.split("/")):
            raise InvalidInput(f"{path} has a name that a bundle cannot hold.", next_step="Use letters, digits and ._-")
        if len(found) == MAX_FILES:
            raise TooLarge(f"{folder} has more than {MAX_FILES} files.", next_step="Split the policy.")
        if path.stat().st_size > MAX_FILE:
            raise TooLarge(f"{path} has more than {MAX_FILE} bytes.", next_step="Split it.")
        found[name] = path.read_bytes()
    return found


def _data(folder: Path, files: dict[str, bytes]) -> dict[str, Any]:
    here = [name for name in _DATA if name in files]
    if len(here) > 1:
        raise InvalidInput(f"{folder} has {' and '.join(here)}.", next_step="Keep one of them.")
    if not here:
        return {}
    where = str(folder / here[0])
    try:
        if here[0].endswith(".json"):
            data = strict_json.read(files[here[0]], where)
        else:
            documents = parse_yaml_documents(files[here[0]], where=where)
            data = documents[0] if documents else {}
        strict_json.dumps(data)
    except BundleError as fault:
        raise InvalidInput(fault.sentence, next_step=fault.next_step) from fault
    if not isinstance(data, dict):
        raise InvalidInput(f"{where} is no object.", next_step="Put the data into an object.")
    return data


def _text(folder: Path, name: str, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{folder / name} is not UTF-8.", next_step="Save it as UTF-8.") from None

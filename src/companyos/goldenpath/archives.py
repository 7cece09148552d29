"""Released templates: one archive for each version, listed with its digest, and never changed afterwards.

The archives lie in the package, so a template can be rendered without a network, old versions too: an update renders
the version that made a service and the newest one, and carries over the difference.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from companyos.core import durable
from companyos.core.errors import IntegrityFault, NotFound
from companyos.core.fields import END
from companyos.goldenpath.template import DEFINITION, FILES, Template, Version, read_definition

TEMPLATES: Final = Path(__file__).parent / "templates"
ARCHIVES: Final = TEMPLATES / "archives"
INDEX: Final = "index.json"
LIMIT_BYTES: Final = 16 * 1_048_576
_INDEX_LIMIT_BYTES: Final = 262_144

_Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}" + END)]
Index = dict[str, dict[Version, _Digest]]
"""The digest of each archive by template and version."""


def read_index(folder: Path = ARCHIVES) -> Index:
    """Return which versions were released; IntegrityFault when the list cannot be read."""
    data = durable.read(folder / INDEX, limit_bytes=_INDEX_LIMIT_BYTES)
    try:
        return msgspec.json.decode(data, type=Index)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise IntegrityFault(f"The list of templates is damaged: {fault}.", next_step="Install it again.") from fault


def template_names(folder: Path = ARCHIVES) -> list[str]:
    """Return the names of the templates that there are, in order."""
    return sorted(read_index(folder))


def newest(versions: Mapping[str, str]) -> str:
    """Return the highest of some versions, compared number by number."""
    return max(versions, key=version_key)


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are ordered by."""
    return tuple(int(part) for part in version.split("."))


def load_template(name: str, version: str | None = None, *, folder: Path = ARCHIVES) -> Template:
    """Return a released template, the newest version when none is given.

    Raises NotFound for what was never released, IntegrityFault when the archive is not the one that was.
    """
    index = read_index(folder)
    versions = index.get(name)
    if not versions:
        known = ", ".join(sorted(index))
        raise NotFound(f"There is no template {name[:60]!r}.", next_step=f"Take one of: {known}.")
    version = newest(versions) if version is None else version
    if version not in versions:
        raise NotFound(
            f"The template {name} has no version {version[:30]!r}.",
            next_step=f"Take one of: {', '.join(sorted(versions, key=version_key))}.",
        )
    data = durable.read(folder / archive_name(name, version), limit_bytes=LIMIT_BYTES)
    if digest_of(data) != versions[version]:
        raise IntegrityFault(
            f"The archive of the template {name} {version} is not the one that was released.",
            next_step="Install the platform again.",
        )
    template = unpack(data)
    if (template.definition.name, template.definition.version) != (name, version):
        raise IntegrityFault(f"The archive of {name} {version} holds another template.")
    return template


def archive_name(name: str, version: str) -> str:
    """Return the name of the file that holds one version."""
    return f"{name}-{version}.tar"


def digest_of(data: bytes) -> str:
    """Return the digest of an archive."""
    return f"sha256:{sha256(data).hexdigest()}"


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return the files of a template's working folder by their path: its definition, and what lies in ``files/``."""
    paths = [folder / DEFINITION, *sorted(path for path in (folder / FILES).rglob("*") if not path.is_dir())]
    return {path.relative_to(folder).as_posix(): durable.read(path, limit_bytes=LIMIT_BYTES) for path in paths}


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of these files; the same files give the same bytes on every machine."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(data)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def unpack(data: bytes) -> Template:
    """Return the template in an archive; nothing is written. Raises IntegrityFault when it is not one of ours."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            files = {member.name: _content(archive, member) for member in archive.getmembers()}
        definition = read_definition(files.pop(DEFINITION))
    except (tarfile.TarError, KeyError) as fault:
        raise IntegrityFault(f"An archive holds no template: {fault}.", next_step="Install it again.") from fault
    stray = [path for path in files if not path.startswith(FILES)]
    if stray:
        raise IntegrityFault(f"An archive holds {stray[0][:100]!r}, which is no part of a template.")
    own = {path.removeprefix(FILES): content for path, content in files.items()}
    return Template(definition=definition, digest=digest_of(data), files=own)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise IntegrityFault(f"An archive holds {member.name[:100]!r}, which is not a file.")
    return file.read()

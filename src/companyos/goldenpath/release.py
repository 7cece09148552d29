"""Release a template: make the archive of the version that its ``template.yaml`` names, and list its digest.

    python -m companyos.goldenpath.release api-python

A version that was released is never changed: give ``version`` in ``template.yaml`` a higher number first. Run it in a
checkout, and commit the archive and the list together with the change.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

from companyos.core import durable
from companyos.core.errors import CompanyOSError, Conflict, NotFound
from companyos.goldenpath import archives
from companyos.goldenpath.rendering import render
from companyos.goldenpath.template import DEFINITION, complete, read_definition

_EXAMPLE: Final = "example"


def release(name: str, *, templates: Path = archives.TEMPLATES) -> tuple[str, str]:
    """Release the working folder of a template and return its version and digest; again changes nothing.

    Raises NotFound when there is no such folder, Conflict when that version was released with other bytes or is not
    higher than the newest one, and what the template itself raises when it cannot be rendered.
    """
    source = templates / name
    if not (source / DEFINITION).is_file():
        raise NotFound(f"There is no template in {source}.", next_step=f"Write its {DEFINITION}.")
    files = archives.read_folder(source)
    definition = read_definition(files[DEFINITION])
    data = archives.pack(files)
    folder = templates / archives.ARCHIVES.name
    index = archives.read_index(folder) if (folder / archives.INDEX).exists() else {}
    versions = index.setdefault(name, {})
    digest = archives.digest_of(data)
    if versions.get(definition.version) == digest:
        return definition.version, digest
    if versions and archives.version_key(definition.version) <= archives.version_key(archives.newest(versions)):
        raise Conflict(
            f"{name} {archives.newest(versions)} was released already, and the folder holds something else.",
            next_step=f"Give version in {source / DEFINITION} a higher number.",
        )
    template = archives.unpack(data)
    render(template, complete(template.definition, _EXAMPLE, {}, today=date(2026, 1, 1)))
    durable.write(folder / archives.archive_name(name, definition.version), data, mode=0o644)
    versions[definition.version] = digest
    listed = msgspec.json.format(msgspec.json.encode(index, order="deterministic"), indent=2) + b"\n"
    durable.write(folder / archives.INDEX, listed, mode=0o644)
    return definition.version, digest


def main(arguments: list[str]) -> int:
    """Release each template that is named, and return the exit code."""
    if not arguments:
        sys.stderr.write((__doc__ or "") + "\n")
        return 2
    try:
        for name in arguments:
            version, digest = release(name)
            sys.stdout.write(f"{name} {version} {digest}\n")
    except CompanyOSError as fault:
        sys.stderr.write(f"Error: {fault}\nNext: {fault.next_step}\n")
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The sections that delivery adds to ``companyos.yaml``: ``run``, how a version is started; ``release``, its policy."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from companyos.catalog import register_section
from companyos.core import documents
from companyos.core.errors import InvalidInput
from companyos.delivery.policy import ReleasePolicy

ReleaseSection: TypeAlias = ReleasePolicy
"""The section ``release`` holds the fields of the policy."""

MANIFEST: Final = "companyos.yaml"
PYTHON: Final = "python"
"""As the first word of a command: the Python of the service's own environment."""
MANIFEST_LIMITS: Final = documents.Limits(bytes=262_144, documents=10)

_RESERVED: Final = re.compile(r"(?:COMPANYOS_|PYTHON|LD_|DYLD_).*|PATH|HOME|HOST|LANG|LC_ALL|TZ|TMPDIR")
_NO_CONTROLS: Final = r"^[^\u0000-\u001f\u007f]*$(?!\n)"
Word: TypeAlias = Annotated[str, Meta(min_length=1, max_length=1000, pattern=_NO_CONTROLS)]
RequestPath: TypeAlias = Annotated[
    str, Meta(max_length=500, pattern=r"^/[!-~]*$(?!\n)", description="A path that begins with / and has no spaces.")
]


class RunSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a version is started. Making one raises InvalidInput for a program or a variable that is not allowed."""

    command: Annotated[tuple[Word, ...], Meta(min_length=1, max_length=64)] = (PYTHON, "-m", "src.main")
    """``python`` means the Python of the service's environment; another program is ``./path`` in the artifact."""
    port_env: Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]{0,63}$(?!\n)")] = "PORT"
    """The variable that holds the port to listen on."""
    readiness: RequestPath = "/ready"
    """Answers 200 when the version can take requests."""
    liveness: RequestPath = "/health"
    """Answers 200 while the process works."""

    def __post_init__(self) -> None:
        program = self.command[0]
        if program != PYTHON and (not program.startswith("./") or ".." in program.split("/")):
            raise InvalidInput(
                f"The command of a service begins with {PYTHON} or with ./ and a path in its own folder, "
                f"not with {program[:60]!r}.",
                next_step="Write it like command: [python, -m, src.main].",
                field="command",
            )
        if _RESERVED.fullmatch(self.port_env):
            raise InvalidInput(
                f"The variable {self.port_env} is set by the platform and cannot hold the port.",
                next_step="Use port_env: PORT.",
                field="port_env",
            )


def register() -> None:
    """Let every manifest hold the sections of delivery; doing so again changes nothing."""
    register_section("run", RunSection)
    register_section("release", ReleaseSection)


def read_run(manifest: bytes, *, where: str = MANIFEST) -> RunSection:
    """Return the section ``spec.run`` of a manifest, defaults filled in; the other sections are for others to read.

    Raises InvalidInput that names the field, TooLarge beyond the limits of a manifest.
    """
    for document in documents.parse_yaml_documents(manifest, where=where, limits=MANIFEST_LIMITS):
        if isinstance(document, dict) and document.get("kind", "Service") == "Service":
            spec: Any = document.get("spec")
            section = spec.get("run") if isinstance(spec, dict) else None
            return documents.decode({} if section is None else section, RunSection, where=f"{where}, spec.run")
    raise InvalidInput(f"{where} describes no service.", next_step="Write kind: Service and a spec.")

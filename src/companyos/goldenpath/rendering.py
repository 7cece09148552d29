"""Rendering: a template and answers become files. Pure: the same values give the same bytes, and nothing is read.

Marks are ``[= value =]``, ``[% statement %]`` and ``[# comment #]``, so that braces in code, workflows and charts are
just text. Only files whose name ends in ``.jinja`` are read for marks; the others are taken as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from companyos.core.errors import IntegrityFault, TooLarge
from companyos.goldenpath.template import API_VERSION, MARKED, Answer, Template

ANSWERS_FILE: Final = ".companyos-answers.yml"
PLAIN: Final = 0o644
EXECUTABLE: Final = 0o755
LIMIT_FILES: Final = 2_000
LIMIT_BYTES: Final = 16 * 1_048_576

_PART: Final = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._-]{0,99}")

Files = dict[str, tuple[bytes, int]]
"""Content and mode of each file by its path, parts divided by ``/``."""


def render(template: Template, answers: Mapping[str, Answer]) -> Files:
    """Return the files of a new service, ``.companyos-answers.yml`` among them, in the order of their paths.

    ``answers`` are complete and checked. Raises IntegrityFault when the template itself is at fault: it uses what
    nobody answered, does what the sandbox refuses, or would write outside its folder. TooLarge beyond the limits.
    """
    environment = _environment()
    made: Files = {}
    for path, data in sorted(template.files.items()):
        target = path.removesuffix(MARKED)
        _check_path(template, target)
        if target in made or target == ANSWERS_FILE:
            raise _broken(template, f"makes {target} twice")
        content = _fill(environment, template, path, data, answers) if path.endswith(MARKED) else data
        made[target] = (content, EXECUTABLE if target in template.definition.executable else PLAIN)
    absent = sorted(set(template.definition.executable) - set(made))
    if absent:
        raise _broken(template, f"calls {absent[0]} executable and does not have it")
    made[ANSWERS_FILE] = (_record(template, answers), PLAIN)
    if len(made) > LIMIT_FILES or sum(len(content) for content, _ in made.values()) > LIMIT_BYTES:
        raise TooLarge(f"The template makes more than {LIMIT_FILES} files or {LIMIT_BYTES} bytes.")
    return dict(sorted(made.items()))


def quoted(value: Answer) -> str:
    """Return a value as JSON writes it, which YAML, TOML and JSON all read as the same value."""
    return json.dumps(value, ensure_ascii=False)


def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[=",
        variable_end_string="=]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {"quoted": quoted, "replace": environment.filters["replace"]}
    return environment


def _fill(
    environment: SandboxedEnvironment, template: Template, path: str, data: bytes, answers: Mapping[str, Answer]
) -> bytes:
    """Return the file with its marks replaced by the answers; answers are values and are never read for marks."""
    about = {"name": template.definition.name, "version": template.definition.version, "digest": template.digest}
    try:
        return environment.from_string(data.decode("utf-8")).render({**answers, "template": about}).encode("utf-8")
    except Exception as fault:  # whatever its marks do wrong, the template is at fault
        raise _broken(template, f"has a fault in {path}: {fault}") from fault


def _record(template: Template, answers: Mapping[str, Answer]) -> bytes:
    """Return the answers file: which template made this, and from which answers, so that an update can do it again."""
    lines = [
        "# Which template made this service, and from which answers. An update reads it; do not edit it by hand.",
        f"apiVersion: {API_VERSION}",
        "kind: Answers",
        f"template: {template.definition.name}",
        f"version: {template.definition.version}",
        f"digest: {template.digest}",
        "answers:",
        *(f"  {key}: {quoted(value)}" for key, value in answers.items()),
    ]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _check_path(template: Template, path: str) -> None:
    parts = path.split("/")
    if not all(_PART.fullmatch(part) for part in parts) or {".", "..", ".git"} & {part.lower() for part in parts}:
        raise _broken(template, f"would write {path[:100]!r}")


def _broken(template: Template, what: str) -> IntegrityFault:
    about = f"{template.definition.name} {template.definition.version}"
    return IntegrityFault(f"The template {about} {what}.", next_step="Report it; nothing was written.")

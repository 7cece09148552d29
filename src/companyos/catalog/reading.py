"""From the texts of an import to a plan: every document is read and understood before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from companyos.catalog import backstage, manifest
from companyos.catalog.model import ImportPlan, SourceFile, Statement
from companyos.core.documents import Limits, parse_yaml_documents
from companyos.core.errors import InvalidInput

LIMITS: Final = Limits(bytes=2 * 1024 * 1024, depth=16, nodes=100_000, documents=5_000)
"""What one import may hold; bytes and documents are counted over all of its files."""


def read_files(files: Sequence[SourceFile]) -> ImportPlan:
    """Return what the files say, manifests and Backstage entities alike (JSON is read as the YAML that it is).

    Raises TooLarge beyond ``LIMITS``, and InvalidInput for a document that is broken or of another kind, for a thing
    that two documents describe, and when there is no document at all.
    """
    statements: list[Statement] = []
    entities: list[tuple[str, Any]] = []
    left = LIMITS
    for file in files:
        data = file.text.encode("utf-8", "surrogatepass")
        documents = parse_yaml_documents(data, where=file.path, limits=left)
        left = msgspec.structs.replace(left, bytes=left.bytes - len(data), documents=left.documents - len(documents))
        for number, document in enumerate(documents, start=1):
            where = file.path if len(documents) == 1 else f"{file.path}, document {number}"
            if manifest.is_manifest(document):
                statements.append(manifest.read_manifest(document, source=f"manifest:{file.path}", where=where))
            elif backstage.is_backstage(document):
                entities.append((f"backstage:{file.path}", document))
            else:
                raise InvalidInput(
                    f"{where} is no manifest of ours and no Backstage entity.",
                    next_step=f"Begin it with `apiVersion: {manifest.API_VERSION}`.",
                    field="apiVersion",
                )
    if not statements and not entities:
        raise InvalidInput("There is no document to import.", next_step="Give a companyos.yaml or catalog-info.yaml.")
    plan = backstage.read_entities(entities)
    plan = ImportPlan(statements=(*statements, *plan.statements), skipped=plan.skipped)
    _refuse_duplicates(plan.statements)
    return plan


def _refuse_duplicates(statements: Sequence[Statement]) -> None:
    seen: dict[tuple[str, str], Statement] = {}
    for statement in statements:
        other = seen.setdefault((statement.kind, statement.name), statement)
        if other is not statement:
            raise InvalidInput(
                f"The {statement.kind} {statement.name!r} is described twice: {other.source}, {statement.source}.",
                next_step="Leave one of them out; nothing was imported.",
                field="metadata.name",
            )

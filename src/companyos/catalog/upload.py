"""The body of an import: one text as YAML or JSON, or several files in one JSON object."""

from __future__ import annotations

from typing import Final

from companyos.catalog.model import SourceFile
from companyos.catalog.reading import LIMITS
from companyos.catalog.requests import ImportRequest
from companyos.core.documents import decode, parse_json
from companyos.core.errors import InvalidInput, UnsupportedMediaType

_JSON: Final = "application/json"
MEDIA_TYPES: Final = ("application/yaml", _JSON, "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")
"""What the body of an import may be; YAML has its own type since RFC 9512."""


def read_upload(body: bytes, content_type: str, path: str) -> list[SourceFile]:
    """Return the files in a body: one from ``path``, or those of ``{"files": [{"path": …, "text": …}]}`` in JSON.

    Raises UnsupportedMediaType, InvalidInput or TooLarge.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise UnsupportedMediaType(
            f"An import cannot be {media_type[:60]!r}.", next_step=f"Send one of {', '.join(MEDIA_TYPES)}."
        )
    if media_type == _JSON:
        value = parse_json(body, where="the body", limits=LIMITS)
        if isinstance(value, dict) and "files" in value:
            return decode(value, ImportRequest, where="the body").files
    try:
        text = body.decode()
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"The body is not UTF-8 (byte {fault.start}).", next_step="Send it as UTF-8.") from fault
    return [decode({"path": path, "text": text}, SourceFile, where="the query")]

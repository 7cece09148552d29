"""Entity tags and ``If-Match`` (RFC 9110 §8.8.3, §13.1.1): how a change says which version it changes."""

from __future__ import annotations

import re
from typing import Final

from companyos.core.errors import InvalidInput, PreconditionFailed, PreconditionRequired

_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e]{0,64}"'
_LIST: Final = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG}){{0,15}}\s*")


def etag(revision: int) -> str:
    """Return the strong entity tag of a revision, for example ``"7"`` with its quotes."""
    return f'"{revision}"'


def check_match(if_match: str | None, revision: int, *, what: str) -> None:
    """Return when ``If-Match`` names this revision or is ``*``.

    Raises PreconditionRequired without the header, PreconditionFailed when it names other versions (a weak tag never
    matches), and InvalidInput when it cannot be read.
    """
    if if_match is None:
        raise PreconditionRequired(
            f"A change of {what} must say which version it changes.",
            next_step=f"Read it first and send its ETag ({etag(revision)} now) as If-Match.",
            field="If-Match",
        )
    if if_match.strip() == "*":
        return
    if not _LIST.fullmatch(if_match):
        raise InvalidInput(
            "If-Match is not a list of entity tags.",
            next_step='Send the ETag with its quotes, like "7".',
            field="If-Match",
        )
    if etag(revision) not in [tag.strip() for tag in if_match.split(",")]:
        raise PreconditionFailed(
            f"{what} was changed meanwhile; it is at version {revision} now.",
            next_step="Read it again, then repeat the change.",
            field="If-Match",
        )

"""Pages of a list: a bounded limit and an opaque cursor that says where the next page starts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from companyos.core.errors import InvalidInput
from companyos.core.ids import is_uuid

T = TypeVar("T")

DEFAULT_LIMIT: Final = 100
MAX_LIMIT: Final = 500
_CURSOR_LIMIT: Final = 1024


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list."""

    items: list[T]
    next_cursor: str | None = None
    """What to send as ``cursor`` for the next page; None on the last one."""
    total: int | None = None
    """How many items match in all, where that is cheap to know."""


def encode_cursor(*key: str | int) -> str:
    """Return the opaque cursor for a page that starts behind the item with this sort key."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).rstrip(b"=").decode()


def decode_cursor(cursor: str, *kinds: type) -> tuple[str | int, ...]:
    """Return the sort key in a cursor, each part of the given kind, or raise InvalidInput."""
    fault = InvalidInput("The cursor is not one of ours.", next_step="Start again without a cursor.", field="cursor")
    if len(cursor) > _CURSOR_LIMIT:
        raise fault
    try:
        key = msgspec.json.decode(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=list[str | int])
    except (ValueError, binascii.Error, msgspec.DecodeError) as cause:
        raise fault from cause
    if len(key) != len(kinds) or not all(type(part) is kind for part, kind in zip(key, kinds, strict=True)):
        raise fault
    return tuple(key)


def check_limit(limit: int) -> int:
    """Return the page size, or raise InvalidInput when it is not within 1 and ``MAX_LIMIT``."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput(f"A page has 1 to {MAX_LIMIT} items, not {limit}.", next_step="Change limit.", field="limit")
    return limit


def after_id(cursor: str | None) -> str | None:
    """Return the id behind which a page starts whose list is ordered by UUIDs; None for the first page.

    Raises InvalidInput for a cursor of another kind.
    """
    if cursor is None:
        return None
    (id_,) = decode_cursor(cursor, str)
    if not is_uuid(str(id_)):
        raise InvalidInput("The cursor is not one of ours.", next_step="Start again without a cursor.", field="cursor")
    return str(id_)


def page_by_id(found: Sequence[T], limit: int, id_of: Callable[[T], str]) -> Page[T]:
    """Return the page of a list ordered by UUIDs, from up to ``limit + 1`` items that were found."""
    more = len(found) > limit
    return Page(items=list(found[:limit]), next_cursor=encode_cursor(id_of(found[limit - 1])) if more else None)

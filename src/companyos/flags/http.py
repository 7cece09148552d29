"""The HTTP face of flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from litestar import Router, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from companyos.core.access import Caller
from companyos.core.fields import Name, Sentence
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.flags.model import Change, Flag
from companyos.flags.service import PRODUCTION, Flags

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Environment = Annotated[str, QueryParameter(max_length=63, description="Where the values count.")]
Word = Annotated[str, PathParameter(max_length=63)]


class FlagSetting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a flag shall be, and why."""

    value: bool
    reason: Sentence
    environment: Name = PRODUCTION


@get("/flags", sync_to_thread=True)
def list_flags(
    caller: NamedDependency[Caller],
    flags: NamedDependency[Flags],
    service: Annotated[str | None, QueryParameter(max_length=39)] = None,
    environment: Environment = PRODUCTION,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Flag]:
    """List flags as they count in an environment, by service and key."""
    return flags.list_flags(caller, service=service, environment=environment, cursor=cursor, limit=limit)


@get("/flags/{service:str}/{key:str}", sync_to_thread=True)
def get_flag(
    caller: NamedDependency[Caller],
    flags: NamedDependency[Flags],
    service: Word,
    key: Word,
    environment: Environment = PRODUCTION,
) -> Flag:
    """Show a flag as it counts in an environment."""
    return flags.get(caller, service, key, environment=environment)


@put("/flags/{service:str}/{key:str}", sync_to_thread=True)
def set_flag(
    caller: NamedDependency[Caller],
    flags: NamedDependency[Flags],
    service: Word,
    key: Word,
    data: JSONBody[FlagSetting],
) -> Flag:
    """Set a flag in an environment; it belongs to the caller then, and no rollback changes it."""
    return flags.set(caller, service, key, value=data.value, reason=data.reason, environment=data.environment)


@get("/flags/{service:str}/{key:str}/changes", sync_to_thread=True)
def list_flag_changes(
    caller: NamedDependency[Caller],
    flags: NamedDependency[Flags],
    service: Word,
    key: Word,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Change]:
    """List the changes of a flag in all environments, newest first."""
    return flags.history(caller, service, key, cursor=cursor, limit=limit)


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(path="/api", tags=["flags"], route_handlers=[list_flags, get_flag, set_flag, list_flag_changes]),
)

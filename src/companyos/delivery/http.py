"""The HTTP face of delivery: deployments, releases, what is asked of them, and the playbook's two addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from companyos.core.access import Caller
from companyos.core.fields import END
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.delivery.requests import NewCommand, NewDeployment, NewReplay, RollbackRequest, check_snapshot
from companyos.delivery.service import Delivery
from companyos.delivery.view import Detail, Difference, State, Summary

ACCEPTED: Final = 202
_RELEASE_NAME: Final = r"^[a-z][a-z0-9-]{1,38}@[!-~]{1,80}" + END

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Id = Annotated[str, PathParameter(max_length=36, description="The id of a release, which is its deployment id.")]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What another policy would have come to, newest release first."""

    items: list[Difference]


@post("/deployments", status_code=ACCEPTED, sync_to_thread=True)
def deploy(
    caller: NamedDependency[Caller], delivery: NamedDependency[Delivery], data: JSONBody[NewDeployment]
) -> Detail:
    """Deploy an artifact that is stored and signed: the answer is the release that the controller will start.

    Admission may refuse it (403 with the rule that said no), and nothing is started then.
    """
    return delivery.deploy(
        caller, digest=data.digest, environment=data.environment, flags=tuple(data.flags), policy=data.policy
    )


@get("/releases", sync_to_thread=True)
def list_releases(
    caller: NamedDependency[Caller],
    delivery: NamedDependency[Delivery],
    service: Annotated[str | None, QueryParameter(max_length=39, description="Only those of this service.")] = None,
    name: Annotated[str | None, QueryParameter(pattern=_RELEASE_NAME, description="`<service>@<version>`.")] = None,
    in_flight: FromQuery[bool | None] = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Summary]:
    """List releases, newest first; `in_flight` leaves out those that have ended, or all others."""
    return delivery.list_releases(caller, service=service, name=name, in_flight=in_flight, cursor=cursor, limit=limit)


@get("/releases/{id:str}", sync_to_thread=True)
def get_release(caller: NamedDependency[Caller], delivery: NamedDependency[Delivery], id: Id) -> Detail:
    """Show all that is known of a release."""
    return delivery.get_release(caller, id)


@get("/releases/{id:str}/ticks", sync_to_thread=True)
def list_ticks(
    caller: NamedDependency[Caller],
    delivery: NamedDependency[Delivery],
    id: Id,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[dict[str, Any]]:
    """List what was seen of a release, oldest first: enough to compute its verdict again."""
    return delivery.ticks(caller, id, cursor=cursor, limit=limit)


@post("/releases/{id:str}/commands", status_code=ACCEPTED, sync_to_thread=True)
def command(
    caller: NamedDependency[Caller], delivery: NamedDependency[Delivery], id: Id, data: JSONBody[NewCommand]
) -> Detail:
    """Ask something of a release; the controller acts on it within a moment, and the release then says so."""
    return delivery.command(caller, id, data.kind, reason=data.reason)


@post("/replays", status_code=200, sync_to_thread=True)
def replay(caller: NamedDependency[Caller], delivery: NamedDependency[Delivery], data: JSONBody[NewReplay]) -> Replayed:
    """Decide recorded releases again under another policy; nothing is changed by it."""
    return Replayed(items=delivery.replay(caller, data.policy, service=data.service, limit=data.limit))


@post("/rollback", status_code=ACCEPTED, sync_to_thread=True)
def rollback(
    caller: NamedDependency[Caller], delivery: NamedDependency[Delivery], data: JSONBody[RollbackRequest]
) -> State:
    """Bring a release back, in whatever state it is; asking again changes nothing."""
    return delivery.rollback(
        caller, data.deployment_id, reason=data.reason, metrics_snapshot=check_snapshot(data.metrics_snapshot)
    )


@get("/state/{deployment_id:str}", sync_to_thread=True)
def get_state(caller: NamedDependency[Caller], delivery: NamedDependency[Delivery], deployment_id: Id) -> State:
    """Show where a release stands, and its indicators."""
    return delivery.state(caller, deployment_id)


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api",
        tags=["delivery"],
        route_handlers=[deploy, list_releases, get_release, list_ticks, command, replay],
    ),
    Router(path="/", tags=["delivery"], route_handlers=[rollback, get_state]),
)

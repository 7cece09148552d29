"""The HTTP face of the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from litestar import Response, Router, delete, get, patch, post, put
from litestar.di import NamedDependency, Provide
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, PathParameter, QueryParameter, RawBody
from litestar.types import ControllerRouterHandler

from companyos.catalog.deployment import Observed
from companyos.catalog.etag import etag
from companyos.catalog.manifest import manifest_schema
from companyos.catalog.model import (
    Arm,
    Counts,
    Deployment,
    DomainView,
    ImportReport,
    Ownership,
    Service,
    ServiceQuery,
    Team,
    TeamView,
    Usage,
)
from companyos.catalog.requests import NewService, ServiceChange, TeamFacts
from companyos.catalog.service import Catalog
from companyos.catalog.upload import MEDIA_TYPES, read_upload
from companyos.core.access import Caller, require
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Word = Annotated[str | None, QueryParameter(max_length=63)]
IfMatch = Annotated[
    str | None,
    HeaderParameter(name="If-Match", max_length=1000, description="The ETag of the version that is changed."),
]
Name = Annotated[str, PathParameter(max_length=63)]


@dataclass
class ImportOperation(Operation):
    """Says in the OpenAPI document that the body of an import is text."""

    def __post_init__(self) -> None:
        """Describe the body, which the handler reads by itself."""
        text = Schema(type=OpenAPIType.STRING, description="companyos.yaml or catalog-info.yaml, or several of them.")
        self.request_body = RequestBody(
            content={media_type: OpenAPIMediaType(schema=text) for media_type in MEDIA_TYPES}, required=True
        )


def service_query(
    domain: Word = None,
    region: Word = None,
    tier: Word = None,
    owner: Word = None,
    ownership: FromQuery[Ownership | None] = None,
    text: Annotated[
        str | None, QueryParameter(max_length=100, description="Part of name, description or owner.")
    ] = None,
    sort: Annotated[
        str, QueryParameter(max_length=20, description="name, owner, domain, tier or updated_at; or -name.")
    ] = ("name"),
) -> ServiceQuery:
    """Return what the query parameters of a list of services ask for."""
    return ServiceQuery(domain=domain, region=region, tier=tier, owner=owner, ownership=ownership, text=text, sort=sort)


@get("/services", sync_to_thread=True, dependencies={"asked": Provide(service_query, sync_to_thread=False)})
def list_services(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    asked: NamedDependency[ServiceQuery],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Service]:
    """List services; `total` counts all that match."""
    return catalog.list_services(caller, asked, cursor=cursor, limit=limit)


@post("/services", sync_to_thread=True)
def add_service(
    caller: NamedDependency[Caller], catalog: NamedDependency[Catalog], data: JSONBody[NewService]
) -> Response[Service]:
    """Add a service by hand."""
    service = catalog.add(caller, data.name, data.facts())
    return Response(service, headers={"ETag": etag(service.revision), "Location": f"/api/services/{service.name}"})


@post("/services/import", status_code=200, sync_to_thread=True, operation_class=ImportOperation)
def import_services(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    body: RawBody,
    content_type: Annotated[str, HeaderParameter(name="Content-Type", max_length=200)] = "application/yaml",
    path: Annotated[str, QueryParameter(max_length=500, description="Where the text came from.")] = "upload",
) -> ImportReport:
    """Import manifests and Backstage entities: all of them, or nothing when one is broken."""
    require(caller, "catalog.write", "catalog")
    return catalog.import_documents(caller, read_upload(body, content_type, path))


@get("/services/{name:str}", sync_to_thread=True)
def get_service(caller: NamedDependency[Caller], catalog: NamedDependency[Catalog], name: Name) -> Response[Service]:
    """Show a service; its ETag goes into `If-Match` of a change."""
    service = catalog.get(caller, name)
    return Response(service, headers={"ETag": etag(service.revision)})


@patch("/services/{name:str}", sync_to_thread=True)
def change_service(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    name: Name,
    data: JSONBody[ServiceChange],
    if_match: IfMatch = None,
) -> Response[Service]:
    """Change the facts that are sent."""
    service = catalog.update(caller, name, data.facts(), if_match=if_match)
    return Response(service, headers={"ETag": etag(service.revision)})


@delete("/services/{name:str}", sync_to_thread=True)
def remove_service(
    caller: NamedDependency[Caller], catalog: NamedDependency[Catalog], name: Name, if_match: IfMatch = None
) -> None:
    """Remove a service that nothing depends on and that runs nowhere."""
    catalog.remove(caller, name, if_match=if_match)


@get("/services/{name:str}/deployments", sync_to_thread=True)
def list_deployments(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    name: Name,
    ended: Annotated[bool, QueryParameter(description="Also what runs no more.")] = False,  # noqa: FBT002 - a query parameter
    environment: Word = None,
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Deployment]:
    """List what runs for a service, newest first."""
    return catalog.list_deployments(caller, name, ended=ended, environment=environment, cursor=cursor, limit=limit)


@post("/services/{name:str}/deployments", status_code=200, sync_to_thread=True)
def record_deployment(
    caller: NamedDependency[Caller], catalog: NamedDependency[Catalog], name: Name, data: JSONBody[Observed]
) -> Deployment:
    """Say what was seen to run in an arm of an environment."""
    return catalog.record_deployment(caller, name, data)


@delete("/services/{name:str}/deployments/{environment:str}/{arm:str}", sync_to_thread=True)
def end_deployment(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    name: Name,
    environment: Name,
    arm: FromPath[Arm],
) -> None:
    """Say that nothing runs any more in an arm of an environment."""
    catalog.end_deployment(caller, name, environment, arm)


@get("/teams", sync_to_thread=True)
def list_teams(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[TeamView]:
    """List teams by name, also those that services name and nobody describes."""
    return catalog.teams(caller, cursor=cursor, limit=limit)


@get("/teams/{name:str}", sync_to_thread=True)
def get_team(caller: NamedDependency[Caller], catalog: NamedDependency[Catalog], name: Name) -> Response[Team]:
    """Show a team."""
    team = catalog.get_team(caller, name)
    return Response(team, headers={"ETag": etag(team.revision)})


@put("/teams/{name:str}", sync_to_thread=True)
def put_team(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    name: Name,
    data: JSONBody[TeamFacts],
    if_match: IfMatch = None,
) -> Response[Team]:
    """Describe a team; one that is described already needs `If-Match`."""
    team = catalog.put_team(
        caller, name, title=data.title, oncall=data.oncall, members=tuple(data.members), if_match=if_match
    )
    return Response(team, headers={"ETag": etag(team.revision)})


@get("/domains", sync_to_thread=True)
def list_domains(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[DomainView]:
    """List domains by name, with how many services are in each."""
    return catalog.domains(caller, cursor=cursor, limit=limit)


@get("/regions", sync_to_thread=True)
def list_regions(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Usage]:
    """List regions by name, with how many services are in each."""
    return catalog.regions(caller, cursor=cursor, limit=limit)


@get("/tiers", sync_to_thread=True)
def list_tiers(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Usage]:
    """List tiers by name, with how many services have each."""
    return catalog.tiers(caller, cursor=cursor, limit=limit)


@get("/environments", sync_to_thread=True)
def list_environments(
    caller: NamedDependency[Caller],
    catalog: NamedDependency[Catalog],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[Usage]:
    """List the environments in which services run, with how many run in each."""
    return catalog.environments(caller, cursor=cursor, limit=limit)


@get("/catalog/counts", sync_to_thread=True)
def counts(caller: NamedDependency[Caller], catalog: NamedDependency[Catalog]) -> Counts:
    """Count services, those without an owner, teams, domains and deployments."""
    return catalog.counts(caller)


@get("/manifest-schema", sync_to_thread=False)
def get_manifest_schema(caller: NamedDependency[Caller]) -> dict[str, Any]:
    """Show the JSON Schema (2020-12) of companyos.yaml."""
    require(caller, "manifest.read", "manifest-schema")
    return manifest_schema()


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api",
        tags=["catalog"],
        route_handlers=[
            list_services,
            add_service,
            import_services,
            get_service,
            change_service,
            remove_service,
            list_deployments,
            record_deployment,
            end_deployment,
            list_teams,
            get_team,
            put_team,
            list_domains,
            list_regions,
            list_tiers,
            list_environments,
            counts,
            get_manifest_schema,
        ],
    ),
)

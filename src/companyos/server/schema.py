"""The route ``/schema``: the OpenAPI document as JSON, made once, at the first request for it."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request, Router
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.routes import HTTPRoute
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

import companyos
from companyos.core.access import require
from companyos.server.asgi import caller_of, scope_of
from companyos.server.authentication import OPTIONAL, is_open
from companyos.server.mounts import bare_entries
from companyos.server.openapi import complete

PATH = "/schema"


class SchemaJson(OpenAPIRenderPlugin):
    """Serves the document at one path, and nothing for browsers beside it."""

    def __init__(self) -> None:
        """Take ``/schema`` itself, and the name that the framework would otherwise add."""
        super().__init__(path=["/", "/openapi.json"], media_type=MediaType.JSON)
        self._document: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document for a caller who may read it."""
        require(caller_of(scope_of(request)), "manifest.read", "schema")
        if self._document is None:
            bare = bare_entries(request.app)
            paths = {*openapi_schema["paths"], *(entry.path for entry in bare)}
            public = {path for path in paths if is_open(path) or path in OPTIONAL}
            document = complete(openapi_schema, bare, public, body_types(request.app))
            self._document = msgspec.json.encode(document)
        return self._document

    def receive_router(self, router: Router) -> None:
        """Take away the page that the framework adds for every other path below ``/schema``."""
        router.routes = [route for route in router.routes if "{path:str}" not in route.path]


def body_types(app: Litestar) -> list[type]:
    """Return the types that the routes of an application decode from JSON bodies."""
    fields = [
        handler.parsed_data_field
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
    ]
    return [field.annotation for field in fields if field is not None]


def schema_config() -> OpenAPIConfig:
    """Return the configuration that makes the framework describe its routes."""
    return OpenAPIConfig(
        title="CompanyOS",
        version=companyos.__version__,
        path=PATH,
        render_plugins=[SchemaJson()],
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
    )


def _operation_id(handler: HTTPRouteHandler, _method: Method, _path: list[str | PathParameterDefinition]) -> str:
    """Return the name of the handler as generated clients like it: ``listServices``."""
    first, *others = handler.handler_name.split("_")
    return first + "".join(word.capitalize() for word in others)

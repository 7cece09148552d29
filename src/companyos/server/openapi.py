"""The OpenAPI 3.1 document at ``/schema``: what the framework knows of the routes, and what holds for all of them.

The framework knows the happy answers. The problems that any route may give, the ways to sign in and the bare
applications are added here, once, by a pure function over the document.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec
import msgspec.inspect

import companyos
from companyos.server.credentials import COOKIE
from companyos.server.csrf import HEADER
from companyos.server.mounts import Bare
from companyos.server.problems import MEDIA_TYPE, Problem

Document = dict[str, Any]

PROBLEMS: Final = (400, 401, 403, 404, 405, 408, 409, 412, 413, 415, 421, 428, 429, 431, 500, 503)
"""What any route may answer; declared once, and referred to by each."""

_METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_HEADERS: Final = {
    401: {"WWW-Authenticate": "How to authenticate (RFC 9110 §11.6.1)."},
    405: {"Allow": "The methods that this address takes."},
    429: {"Retry-After": "Seconds to wait."},
}
_SECURITY: Final[list[Document]] = [{"token": []}, {"session": []}]
_SCHEMES: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "cos_<id>_<secret>",
        "description": "A token from `companyos token issue` or POST /api/tokens.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": f"A browser session. Changes also need the header `{HEADER.decode()}` or the form field `csrf`.",
    },
}


def complete(
    document: Document, bare: Iterable[Bare], public: Collection[str], bodies: Iterable[type] = ()
) -> Document:
    """Return the document of the framework with problems, security and bare applications added.

    ``public`` names the paths that need no credential, ``bodies`` the types of request bodies.
    """
    paths: dict[str, Any] = {path: dict(item) for path, item in document["paths"].items()}
    for entry in bare:
        paths.setdefault(entry.path, {})[entry.method.lower()] = dict(entry.operation)
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                item[method] = _operation(item[method], is_public=path in public)
    components = dict(document.get("components", {}))
    problem_schema, definitions = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    del problem_schema
    schemas = {**components.get("schemas", {}), **definitions}
    closed = {name: {**schemas[name], "additionalProperties": False} for name in closed_names(bodies) & schemas.keys()}
    components["schemas"] = {**schemas, **closed}
    components["responses"] = {_name(status): _response(status) for status in PROBLEMS}
    components["securitySchemes"] = _SCHEMES
    return {
        **document,
        "openapi": "3.1.0",
        "info": {
            "title": "CompanyOS",
            "version": companyos.__version__,
            "description": "The paved road of software delivery: catalog, ledger, holds, approvals, incidents.",
        },
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "components": components,
        "paths": dict(sorted(paths.items())),
    }


def closed_names(bodies: Iterable[type]) -> set[str]:
    """Return the names of the types, in these bodies and within them, that refuse fields they do not know."""
    found: dict[str, msgspec.inspect.StructType] = {}
    rest = list(msgspec.inspect.multi_type_info(bodies))
    while rest:
        match rest.pop():
            case msgspec.inspect.StructType() as struct if struct.cls.__name__ not in found:
                found[struct.cls.__name__] = struct
                rest.extend(field.type for field in struct.fields)
            case msgspec.inspect.UnionType(types=types):
                rest.extend(types)
            case msgspec.inspect.ListType(item_type=item) | msgspec.inspect.VarTupleType(item_type=item):
                rest.append(item)
            case msgspec.inspect.DictType(value_type=value):
                rest.append(value)
            case msgspec.inspect.Metadata(type=inner):
                rest.append(inner)
    return {name for name, struct in found.items() if struct.forbid_unknown_fields}


def _operation(operation: Mapping[str, Any], *, is_public: bool) -> Document:
    own = {
        status: response
        for status, response in operation.get("responses", {}).items()
        # The framework describes refusals in its own shape, which nobody ever gets; ours are kept (503 of /status).
        if int(status) < HTTPStatus.BAD_REQUEST
        or ("application/json" in response.get("content", {}) and status == "503")
    }
    problems = {str(status): {"$ref": f"#/components/responses/{_name(status)}"} for status in PROBLEMS}
    security: Document = {"security": []} if is_public else {}
    return {**operation, **security, "responses": {**problems, **own}}


def _name(status: int) -> str:
    return f"Problem{status}"


def _response(status: int) -> Document:
    response: Document = {
        "description": HTTPStatus(status).phrase,
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}},
            "text/html": {"schema": {"type": "string"}},
        },
    }
    if status in _HEADERS:
        response["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in _HEADERS[status].items()
        }
    return response

"""Signing in with a browser: by a one-time link or a pasted token; and signing out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter, URLEncodedBody
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.errors import InvalidInput, Unauthenticated
from companyos.core.settings import Settings
from companyos.identity import Identity, OpenedSession
from companyos.server.asgi import HEAD, Scope, caller_of, csrf_of, header_value, request_id, scope_of, wants_page
from companyos.server.authentication import SIGN_IN
from companyos.server.credentials import (
    SessionCookie,
    address_of,
    credential_of,
    device_of,
    no_session_cookie,
    session_cookie,
)
from companyos.server.csrf import check_origin
from companyos.server.throttle import Throttle
from companyos.tower.assets import asset_path

HOME: Final = "/"
SIGN_OUT: Final = "/sign-out"

_USED_LINK: Final = "This link was used already, is too old, or was not made here. Make a new one."
_BAD_TOKEN: Final = "This token is not valid. It may have been revoked, or have expired."  # noqa: S105 - a sentence

Code = Annotated[str | None, QueryParameter(max_length=200, description="A one-time code.")]


class SignInForm(msgspec.Struct, frozen=True, kw_only=True):
    """The form of the page; the form token beside it is looked at before the form is."""

    token: Annotated[str, Meta(min_length=1, max_length=200)]


@get(SIGN_IN, media_type=MediaType.HTML, tags=["server"], responses={303: ResponseSpec(None, description="Signed in.")})
async def sign_in_page(
    request: Request[Any, Any, Any],
    identity: NamedDependency[Identity],
    throttle: NamedDependency[Throttle],
    settings: NamedDependency[Settings],
    code: Code = None,
) -> Response[str]:
    """Show how to sign in, or sign in with a one-time code and go to the Control Tower."""
    scope = scope_of(request)
    if code is None or not _is_visit(scope):
        return _page(scope)
    return await _sign_in(scope, identity.redeem_login_code, code, throttle, settings, _USED_LINK)


@post(
    SIGN_IN,
    media_type=MediaType.HTML,
    status_code=303,
    tags=["server"],
    response_description="Signed in.",
)
async def sign_in_with_token(
    request: Request[Any, Any, Any],
    identity: NamedDependency[Identity],
    throttle: NamedDependency[Throttle],
    settings: NamedDependency[Settings],
    data: URLEncodedBody[SignInForm],
) -> Response[str]:
    """Open a browser session with a token."""
    scope = scope_of(request)
    # Otherwise another site could sign a person in as somebody else and watch what they enter.
    check_origin(scope, settings.public_url)
    return await _sign_in(scope, identity.open_session, data.token.strip(), throttle, settings, _BAD_TOKEN)


@post(SIGN_OUT, status_code=303, tags=["server"], response_description="Signed out.", sync_to_thread=True)
def sign_out(
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    identity: NamedDependency[Identity],
    settings: NamedDependency[Settings],
) -> Response[None]:
    """End the browser session of this request."""
    credential = credential_of(scope_of(request))
    if not isinstance(credential, SessionCookie):
        raise InvalidInput("There is no browser session to end.", next_step="Revoke a token with DELETE /api/tokens.")
    identity.close_session(caller, credential.secret)
    forget = no_session_cookie(secure=is_https(settings))
    return Response(None, status_code=303, headers={"location": SIGN_IN, "set-cookie": forget})


def is_https(settings: Settings) -> bool:
    """Tell whether people reach the server by https, so that cookies may be bound to it."""
    return settings.public_url.startswith("https:")


async def _sign_in(
    scope: Scope,
    use: Callable[..., OpenedSession],
    secret: str,
    throttle: Throttle,
    settings: Settings,
    fault: str,
) -> Response[str]:
    """Return the answer that opens a session with what was brought, or the page that says why not."""
    address = address_of(scope)
    try:
        opened = await asyncio.to_thread(use, secret, ip=address, device=device_of(scope), request_id=request_id(scope))
    except Unauthenticated:
        throttle.failed(f"address {address}")
        if wants_page(scope):
            return _page(scope, fault)
        raise
    cookie = session_cookie(opened.secret, max_age_s=settings.session_ttl_s, secure=is_https(settings))
    return Response("", status_code=303, headers={"location": HOME, "set-cookie": cookie}, media_type=MediaType.HTML)


def _is_visit(scope: Scope) -> bool:
    """Tell whether a person follows the link; a look ahead by a browser or a mail scanner must not use it up."""
    return not scope.get(HEAD) and "prefetch" not in (header_value(scope, b"sec-purpose") or "")


def _page(scope: Scope, fault: str = "") -> Response[str]:
    caller = caller_of(scope)
    html = (
        _environment()
        .get_template("sign_in.html")
        .render(fault=fault, csrf=csrf_of(scope), subject=caller.subject if caller.roles or caller.subject_id else "")
    )
    headers = {"www-authenticate": 'Bearer realm="companyos"'} if fault else {}
    return Response(html, status_code=401 if fault else 200, headers=headers, media_type=MediaType.HTML)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("companyos.server"), autoescape=True, auto_reload=False, undefined=StrictUndefined
    )
    made.globals.update(asset=asset_path)
    return made


routes: Final = (sign_in_page, sign_in_with_token, sign_out)

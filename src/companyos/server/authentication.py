"""Who asks: a token, a browser session, or nobody. Nothing but the few open addresses is served to nobody."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from companyos.core.errors import Unauthenticated
from companyos.identity import Identity, Session
from companyos.server.asgi import (
    CALLER,
    CSRF,
    App,
    Receive,
    Scope,
    Send,
    answer,
    caller_of,
    header,
    request_id,
    wants_page,
)
from companyos.server.credentials import (
    BearerToken,
    Credential,
    SessionCookie,
    address_of,
    credential_of,
    device_of,
    no_session_cookie,
)
from companyos.server.csrf import SAFE_METHODS, check_origin, check_token, given_token
from companyos.server.security import CSP_REPORTS, STATIC
from companyos.server.throttle import Throttle

OPEN: Final = frozenset({"/health"})
OPEN_PREFIXES: Final = (STATIC, "/.well-known/")
"""Here nobody is asked, and no credential is looked at."""

OPTIONAL: Final = frozenset({"/status", "/sign-in"})
"""These are served to everybody, and show more to who is signed in."""

SIGN_IN: Final = "/sign-in"

NO_FORM: Final = frozenset({CSP_REPORTS})
"""What a browser sends by itself: it cannot carry our form token, and it changes nothing but a counter."""


def is_open(path: str) -> bool:
    """Tell whether the address is for everybody and has nothing to do with who asks."""
    return path in OPEN or path.startswith(OPEN_PREFIXES)


class AuthenticationLayer:
    """Finds the caller of a request and keeps everybody else out."""

    def __init__(self, app: App, identity: Identity, throttle: Throttle, public_url: str) -> None:
        """Take what knows credentials, what counts bad ones, and the address that people use."""
        self._app = app
        self._identity = identity
        self._throttle = throttle
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        if CALLER in scope:
            scope[CALLER] = msgspec.structs.replace(caller_of(scope), request_id=request_id(scope))
            await self._app(scope, receive, send)
            return
        credential: Credential | None = None
        try:
            credential = credential_of(scope)
            if isinstance(credential, BearerToken):
                await self._take_token(scope, credential)
            elif isinstance(credential, SessionCookie):
                receive = await self._take_session(scope, receive, credential)
            else:
                raise Unauthenticated(
                    "This address needs a credential.",
                    next_step="Send `Authorization: Bearer <token>`, or sign in at /sign-in.",
                )
        except Unauthenticated:
            stale = isinstance(credential, SessionCookie)
            if scope["method"] == "GET" and wants_page(scope) and scope["path"] not in OPTIONAL:
                await self._to_sign_in(send, forget=stale)
                return
            # A stale cookie is no attempt: browsers send it until they are told otherwise.
            if scope["path"] not in OPTIONAL or not (stale or credential is None):
                raise
        await self._app(scope, receive, send)

    async def _take_token(self, scope: Scope, token: BearerToken) -> None:
        address = address_of(scope)
        try:
            caller = await asyncio.to_thread(
                self._identity.authenticate,
                token.secret,
                ip=address,
                device=device_of(scope),
                request_id=request_id(scope),
            )
        except Unauthenticated:
            self._throttle.failed(f"address {address}", f"token {token.id}")
            raise
        scope[CALLER] = caller

    async def _take_session(self, scope: Scope, receive: Receive, cookie: SessionCookie) -> Receive:
        session: Session = await asyncio.to_thread(
            self._identity.session,
            cookie.secret,
            ip=address_of(scope),
            device=device_of(scope),
            request_id=request_id(scope),
        )
        # The caller is known before the check, so that a forged request is recorded with the name that it abused.
        scope[CALLER] = session.caller
        scope[CSRF] = session.csrf
        if scope["method"] not in SAFE_METHODS and scope["path"] not in NO_FORM:
            check_origin(scope, self._public_url)
            given, receive = await given_token(scope, receive)
            check_token(scope, given, session.csrf)
        return receive

    async def _to_sign_in(self, send: Send, *, forget: bool) -> None:
        headers = [header("location", SIGN_IN)]
        if forget:
            headers.append(header("set-cookie", no_session_cookie(secure=self._public_url.startswith("https:"))))
        await answer(send, 303, headers)

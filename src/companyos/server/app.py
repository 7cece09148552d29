"""The assembly: pillars, layers and loops become one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import litestar.types
from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import LitestarException
from litestar.types import ControllerRouterHandler, Method

import companyos.catalog.http
import companyos.delivery.http
import companyos.evidence.http
import companyos.flags.http
import companyos.identity.http
import companyos.ledger.http
import companyos.operations.http
import companyos.policy.http
import companyos.tower.http
from companyos.catalog import Catalog
from companyos.core import access
from companyos.core.clock import Clock
from companyos.core.ids import uuid7
from companyos.core.keys import KeyStore
from companyos.core.leases import Leases
from companyos.core.settings import Settings
from companyos.core.sse import Streams
from companyos.core.structs import settle
from companyos.delivery import Delivery
from companyos.delivery.section import register
from companyos.evidence import Evidence
from companyos.flags import Flags
from companyos.identity import Identity
from companyos.ledger import Journal, open_journal
from companyos.operations import Operations
from companyos.policy.activated import Activated
from companyos.policy.explaining import Explainer
from companyos.policy.log import DecisionLog, Decisions
from companyos.policy.service import Policies
from companyos.server import csp_reports, health, sign_in
from companyos.server.asgi import App, Receive, Scope, Send, caller_of
from companyos.server.authentication import AuthenticationLayer
from companyos.server.background import background
from companyos.server.bodies import StrictRequest, check_content_type
from companyos.server.checks import Checks, probes
from companyos.server.compression import CompressionLayer
from companyos.server.context import ContextLayer
from companyos.server.deciding import Deciding
from companyos.server.denials import Denials
from companyos.server.governing import authorizer
from companyos.server.lane import raise_fault
from companyos.server.limits import LimitsLayer
from companyos.server.loops import Loops
from companyos.server.mounts import bare, bare_entries
from companyos.server.pages import problem_page
from companyos.server.problems import ProblemLayer, leave_to_the_outer_layer
from companyos.server.reads import CountedReads
from companyos.server.schema import schema_config
from companyos.server.security import CSP_REPORTS, SecurityHeadersLayer
from companyos.server.throttle import Throttle
from companyos.tower.service import Tower

REQUEST_THREADS: Final = 24
_METHODS: Final[tuple[Method, ...]] = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")


class Application:
    """CompanyOS as an ASGI application. It works without its lifespan events too, then without background loops."""

    def __init__(self, settings: Settings, journal: Journal, *, owns_journal: bool) -> None:
        """Put everything together over an open journal; ``owns_journal`` says whether ``close`` closes it."""
        register()
        settle()
        self._owns_journal = owns_journal
        self.settings = settings
        self.journal = journal
        self.identity = Identity(journal)
        self.streams = Streams()
        self._delivery = Delivery(journal)
        self._tower = Tower(journal, self._delivery)
        self._denials = Denials(journal, journal.clock)
        self._throttle = Throttle(journal.clock, settings.sign_in_attempts)
        self._loops = Loops(
            background(journal, self._tower.projector, self._denials),
            Leases(journal.database, journal.clock),
            journal.clock,
            holder=f"server-{uuid7()}",
        )
        keys = KeyStore(settings.folder.keys, journal.clock)
        self._checks = Checks(probes(journal, keys, settings.folder.path), self._loops.reports, journal.clock)
        self.decision_log = DecisionLog(journal)
        self.decisions = Decisions(journal, self.decision_log, self._paths_of)
        self.policies = Policies(journal, self.decisions.reader)
        self._guard = CountedReads(authorizer(journal, self.policies, self.decision_log), journal.reads)
        self._guard_before = access.bind(self._guard)
        self._deciding = Deciding(journal, self.decisions, Activated(self.policies, settings.policy_stage))
        self.litestar = self._litestar(keys)
        self._http = self._layered(self.litestar)  # type: ignore[arg-type] # Litestar's own names for the ASGI types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or follow the life of the process."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self.litestar(scope, receive, send)  # type: ignore[arg-type] # see above
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def close(self) -> None:
        """Let go of what this made, after the last request; a journal that was given stays open."""
        self._checks.close()
        access.unbind(self._guard, self._guard_before)
        self.decision_log.close()
        if self._owns_journal:
            self.journal.close()

    def _layered(self, inner: App) -> App:
        https = sign_in.is_https(self.settings)
        app: App = AuthenticationLayer(inner, self.identity, self._throttle, self.settings.public_url)
        app = LimitsLayer(app, self.settings)
        app = self._problems(app)
        layers = ContextLayer(SecurityHeadersLayer(CompressionLayer(app), https=https))
        faults = ContextLayer(SecurityHeadersLayer(self._problems(raise_fault), https=https))
        return self._deciding.lane(layers, faults, self.identity)

    def _paths_of(self, digest: str) -> tuple[tuple[str, ...], ...] | None:
        """Return what the bundle with this digest can read; the policies need the log, and the log needs this."""
        return self.policies.paths_of(digest)

    def _problems(self, inner: App) -> App:
        return ProblemLayer(
            inner, allowed_methods=self._allowed_methods, record=self._denials.record, page=problem_page
        )

    def _litestar(self, keys: KeyStore) -> Litestar:
        values = {
            "catalog": Catalog(self.journal),
            "checks": self._checks,
            "delivery": self._delivery,
            "explainer": Explainer(self.journal, self.policies, self.decisions),
            "evidence": Evidence(self.journal),
            "flags": Flags(self.journal),
            "identity": self.identity,
            "journal": self.journal,
            "keys": keys,
            "liveness": health.Liveness(self.journal.clock),
            "operations": Operations(self.journal),
            "policies": self.policies,
            "settings": self.settings,
            "streams": self.streams,
            "throttle": self._throttle,
            "tower": self._tower,
        }
        return Litestar(
            route_handlers=[*_routes(), self._csp_reports(), *self._deciding.routes()],
            dependencies={
                "caller": Provide(_caller, sync_to_thread=False),
                **{name: Provide(_constant(value), sync_to_thread=False) for name, value in values.items()},
            },
            guards=[check_content_type],
            request_class=StrictRequest,
            exception_handlers={Exception: leave_to_the_outer_layer},
            openapi_config=schema_config(),
            logging_config=None,
            request_max_body_size=None,
            on_startup=[self._start],
            on_shutdown=[self._stop],
        )

    def _csp_reports(self) -> ControllerRouterHandler:
        return bare(
            CSP_REPORTS,
            "POST",
            csp_reports.CspReports(),
            limit_bytes=csp_reports.LIMIT_BYTES,
            timeout_s=csp_reports.TIMEOUT_S,
            openapi=csp_reports.OPENAPI,
        )

    async def _start(self) -> None:
        # Writers queue for the database in threads; the default pool is so small that readers would queue behind them.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(REQUEST_THREADS, "request"))
        self._loops.start()

    async def _stop(self) -> None:
        self.streams.close_all()
        await asyncio.to_thread(self._loops.stop)

    def _allowed_methods(self, path: str) -> Iterable[str]:
        """Return the methods that a path takes, for the Allow header."""
        methods: set[str] = {method for method in _METHODS if self._takes(path, method)}
        methods = {entry.method for entry in bare_entries(self.litestar) if entry.path == path} or methods
        return methods | {"HEAD"} if "GET" in methods else methods

    def _takes(self, path: str, method: Method) -> bool:
        try:
            self.litestar.asgi_router.handle_routing(path=path, method=method)
        except LitestarException:
            return False
        return True


def create_app(settings: Settings, clock: Clock | None = None, journal: Journal | None = None) -> Application:
    """Return the application over the given journal, or over the one that the settings name.

    Raises Unavailable, NewerSchema or InvalidInput when that cannot be opened.
    """
    return Application(settings, journal or open_journal(settings, clock), owns_journal=journal is None)


def _routes() -> list[ControllerRouterHandler]:
    pillars = (
        companyos.ledger.http,
        companyos.catalog.http,
        companyos.identity.http,
        companyos.operations.http,
        companyos.policy.http,
        companyos.evidence.http,
        companyos.flags.http,
        companyos.delivery.http,
        companyos.tower.http,
    )
    return [*health.routes, *sign_in.routes, *(route for pillar in pillars for route in pillar.routes)]


def _caller(scope: litestar.types.Scope) -> access.Caller:
    return caller_of(cast("Scope", scope))


def _constant(value: object) -> Callable[[], Any]:
    def provide() -> Any:  # noqa: ANN401 - the type is that of the value
        return value

    return provide

"""The decision point of a server: its parts, its addresses, and the short way to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from litestar.handlers import ASGIRouteHandler

from companyos.identity import Identity
from companyos.identity.directory import DirectoryCache
from companyos.ledger import Journal
from companyos.policy import asgi, authzen
from companyos.policy.active import ActiveBundles
from companyos.policy.freshness import Watch
from companyos.policy.log.decisions import Decisions
from companyos.policy.log.ingesting import MAX_BYTES
from companyos.policy.point import Choice, DecisionPoint
from companyos.policy.tokens import Tokens
from companyos.server import decision_docs as docs
from companyos.server.asgi import App
from companyos.server.lane import Lane, Remembering, Stop
from companyos.server.mounts import bare

ONE_LIMIT_BYTES: Final = 256 * 1024
"""How long a request for one decision may be."""
REPORT_TIMEOUT_S: Final = 30.0


class Deciding:
    """Everything between a request for a decision and the decision log."""

    def __init__(self, journal: Journal, decisions: Decisions, bundles: ActiveBundles) -> None:
        """Take the journal, where decisions are recorded, and what knows the active bundles."""
        settings = journal.settings
        self._settings = settings
        self._decisions = decisions
        self.point = DecisionPoint(
            bundles,
            DirectoryCache(journal),
            decisions.log,
            journal.clock,
            Choice(stage=settings.policy_stage, bundle=settings.policy_bundle),
        )
        monotonic = journal.clock.monotonic
        watch = Watch(self.point.refresh, decisions.log, on_full=settings.policy_log_full, monotonic=monotonic)
        self._tokens = Tokens(monotonic)
        many_bytes = settings.body_limit_bytes
        one_bytes = min(ONE_LIMIT_BYTES, many_bytes)
        self._stops = {
            asgi.AUTHORIZE: Stop(asgi.Authorize(self.point, watch), one_bytes),
            authzen.EVALUATION: Stop(asgi.Evaluation(self.point, watch), one_bytes),
            authzen.EVALUATIONS: Stop(asgi.Evaluations(self.point, watch), many_bytes),
        }

    def routes(self) -> Sequence[ASGIRouteHandler]:
        """Return the addresses, for the framework to route what does not take the short way."""
        operations: dict[str, dict[str, Any]] = {
            asgi.AUTHORIZE: docs.AUTHORIZE,
            authzen.EVALUATION: docs.EVALUATION,
            authzen.EVALUATIONS: docs.EVALUATIONS,
        }
        timeout_s = self._settings.request_timeout_s
        asked = [
            bare(
                path,
                "POST",
                Remembering(stop.app, self._tokens),
                limit_bytes=stop.limit_bytes,
                timeout_s=timeout_s,
                openapi=operations[path],
                is_mount=False,
            )
            for path, stop in self._stops.items()
        ]
        configuration = asgi.Configuration(self._settings.public_url)
        report = asgi.Report(self._decisions)
        return [
            *asked,
            bare(
                authzen.CONFIGURATION,
                "GET",
                configuration,
                limit_bytes=0,
                timeout_s=timeout_s,
                openapi=docs.CONFIGURATION,
            ),
            bare(asgi.REPORT, "POST", report, limit_bytes=MAX_BYTES, timeout_s=REPORT_TIMEOUT_S, openapi=docs.REPORT),
        ]

    def lane(self, layers: App, faults: App, identity: Identity) -> Lane:
        """Return the short way before the layers; ``faults`` are those layers that answer what goes wrong on it."""
        return Lane(
            self._stops,
            self._tokens,
            identity,
            layers=layers,
            faults=faults,
            timeout_s=self._settings.request_timeout_s,
        )

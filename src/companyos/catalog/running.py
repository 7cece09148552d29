"""The use cases of what runs where: whoever runs something says so, and the catalog keeps since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from companyos.catalog import deployment_store, store
from companyos.catalog.deployment import Observed, Step, observe
from companyos.catalog.errors import DeploymentNotFound, ServiceNotFound
from companyos.catalog.model import MANUAL, Arm, Deployment, Service
from companyos.core.access import Caller, Verdict, require
from companyos.core.ids import check_name, check_service_name, uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.ledger import Change, Journal


class Running:
    """What runs where."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def record_deployment(self, caller: Caller, service: str, seen: Observed) -> Deployment:
        """Return what runs after this was seen; the artifact that it replaces in its arm has ended.

        The source is ``runtime:<name>`` for a service and ``manual`` for a person; nobody can claim another. What is
        known already is not recorded again. Raises ServiceNotFound, InvalidInput or Conflict.
        """
        check_service_name(service)
        verdict = require(caller, "catalog.write", f"service:{service}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            return self.record_deployment_in(change, service, seen, verdict=verdict)

    def record_deployment_in(
        self, change: Change, service: str, seen: Observed, *, verdict: Verdict | None = None
    ) -> Deployment:
        """Return what runs after the caller's transaction; what is known already writes nothing.

        It asks no permission, and is otherwise as ``record_deployment``.
        """
        _locked(change.connection, service)
        known = deployment_store.running_in(change.connection, service, seen.environment, seen.arm)
        now = self.journal.clock.now()
        step = observe(known, seen, service=service, source=_source(change.actor), id=uuid7(), now=now)
        if step.change != "nothing":
            _write(change.connection, step, known)
            change.record(
                verb=f"deployment.{step.change}",
                target=f"service:{service}",
                verdict=verdict,
                service=service,
                release=step.deployment.release,
                details=_details(step.deployment),
            )
        return step.deployment

    def end_deployment(self, caller: Caller, service: str, environment: str, arm: Arm) -> None:
        """Record that nothing runs any more in an arm of an environment. Raises DeploymentNotFound."""
        check_service_name(service)
        check_name(environment, what="environment", field="environment")
        verdict = require(caller, "catalog.write", f"service:{service}")
        with self.journal.write(caller) as change:
            if not self.end_deployment_in(change, service, environment, arm, verdict=verdict):
                raise DeploymentNotFound(service, environment, arm)

    def end_deployment_in(
        self, change: Change, service: str, environment: str, arm: Arm, *, verdict: Verdict | None = None
    ) -> bool:
        """End what runs in an arm within the caller's transaction; False, and nothing written, when nothing runs there.

        It asks no permission. Raises ServiceNotFound.
        """
        _locked(change.connection, service)
        known = deployment_store.running_in(change.connection, service, environment, arm)
        if known is None:
            return False
        deployment_store.end(change.connection, known.id, self.journal.clock.now())
        change.record(
            verb="deployment.end",
            target=f"service:{service}",
            verdict=verdict,
            service=service,
            release=known.release,
            details=_details(known),
        )
        return True

    def has_service(self, connection: Connection, name: str) -> bool:
        """Tell whether the catalog has a service of this name; it asks no permission."""
        return bool(store.load(connection, Service, [name]))

    def list_deployments(
        self,
        caller: Caller,
        service: str,
        *,
        ended: bool = False,
        environment: str | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Deployment]:
        """Return a page of what runs for a service, newest first; with ``ended`` also what ran before."""
        check_service_name(service)
        require(caller, "catalog.read", f"service:{service}")
        check_limit(limit)
        if environment is not None:
            check_name(environment, what="environment", field="environment")
        with self.journal.read() as connection:
            if not store.load(connection, Service, [service]):
                raise ServiceNotFound(service)
            found = deployment_store.page(
                connection, service, ended=ended, environment=environment, after=after_id(cursor), limit=limit + 1
            )
        return page_by_id(found, limit, lambda deployment: deployment.id)


def _source(actor: str) -> str:
    """Return who says it: ``runtime:<name>`` for a program, ``manual`` for a person."""
    kind, _, name = actor.partition(":")
    return f"runtime:{name}" if kind in {"service", "system"} else MANUAL


def _locked(connection: Connection, service: str) -> None:
    """Lock the row of a service, so that one writer at a time changes what runs for it, or raise ServiceNotFound."""
    if not store.load(connection, Service, [service], lock=True):
        raise ServiceNotFound(service)


def _write(connection: Connection, step: Step, known: Deployment | None) -> None:
    if step.change in {"start", "replace"}:
        if known is not None:
            deployment_store.end(connection, known.id, step.deployment.since)
        deployment_store.start(connection, step.deployment)
    else:
        deployment_store.refresh(connection, step.deployment)


def _details(deployment: Deployment) -> dict[str, str | float | None]:
    return {
        "environment": deployment.environment,
        "arm": deployment.arm,
        "digest": deployment.digest,
        "weight_ratio": deployment.weight_ratio,
        "source": deployment.source,
    }

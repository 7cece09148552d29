"""The use cases of delivery for people and programs: deploy, look, ask for something, replay.

None of them moves traffic: they write down what is wanted, and the controller, which is a process of its own, acts.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from companyos.core.access import Caller, require
from companyos.core.errors import InvalidInput
from companyos.core.ids import check_service_name, is_uuid, uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.delivery import action_store, asking, planning, store, tick_store
from companyos.delivery import replay as replaying
from companyos.delivery.deploying import Deploying
from companyos.delivery.errors import ReleaseNotFound
from companyos.delivery.model import (
    Command,
    CommandKind,
)
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.view import Detail, Difference, State, Summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


_TICKS_PAGE: Final = 500


class Delivery(Deploying):
    """Releases, for whoever may ask; deploying them is ``Deploying``."""

    def list_releases(
        self,
        caller: Caller,
        *,
        service: str | None = None,
        name: str | None = None,
        in_flight: bool | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Summary]:
        """Return a page of releases, newest first; ``name`` is ``<service>@<version>``."""
        require(caller, "release.read", f"service:{service}" if service else "releases")
        check_limit(limit)
        version = None
        if name is not None:
            service, _, version = name.partition("@")
        if service is not None:
            check_service_name(service, field="service")
        with self.journal.read() as connection:
            found = store.page(
                connection,
                service=service,
                version=version,
                in_flight=in_flight,
                after=after_id(cursor),
                limit=limit + 1,
            )
        return page_by_id(found, limit, lambda summary: summary.id)

    def get_release(self, caller: Caller, id: str) -> Detail:
        """Return all that is known of a release, or raise ReleaseNotFound."""
        require(caller, "release.read", f"deployment:{id[:60]}")
        found = self.detail_for_page(id)
        if found is None:
            raise ReleaseNotFound(id)
        return found

    def command(
        self,
        caller: Caller,
        id: str,
        kind: CommandKind,
        *,
        reason: str,
        metrics_snapshot: Mapping[str, Any] | None = None,
    ) -> Detail:
        """Write down what is asked of a release and return it as it stands; the controller acts within a moment.

        Raises ReleaseNotFound, or Conflict when the release is past the point where this means anything.
        """
        verdict = require(caller, "release.control", f"deployment:{id[:60]}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            stored = _found(change.connection, id, lock=True)
            phase = stored.state.phase
            if kind in {"abort", "rollback"} and phase in {"rollback_pending", "rolled_back"}:
                # Asked twice is asked once: the answer is what the first time brought about.
                return self._detail(change.connection, stored)
            moving = store.unfinished(change.connection, stored.release.service, stored.release.environment)
            asking.check(stored, kind, others=moving)
            asked = Command(
                id=uuid7(),
                release_id=id,
                kind=kind,
                reason=reason,
                actor=caller.subject,
                created_at=self.journal.clock.now(),
                metrics_snapshot=dict(metrics_snapshot or {}),
            )
            action_store.add_command(change.connection, asked)
            change.record(
                verb=f"release.ask_{kind}",
                target=f"service:{stored.release.service}",
                verdict=verdict,
                service=stored.release.service,
                release=stored.release.name,
                details={"release_id": id, "command_id": asked.id, "phase": phase, "reason": reason},
            )
            return self._detail(change.connection, stored)

    def rollback(
        self, caller: Caller, deployment_id: str, *, reason: str, metrics_snapshot: Mapping[str, Any] | None = None
    ) -> State:
        """Do what the playbook's ``POST /rollback`` does, and return the state of the deployment."""
        self.command(caller, deployment_id, "rollback", reason=reason, metrics_snapshot=metrics_snapshot)
        with self.journal.read() as connection:
            return asking.state_of(_found(connection, deployment_id))

    def state(self, caller: Caller, deployment_id: str) -> State:
        """Do what the playbook's ``GET /state/{deployment_id}`` does. Raises ReleaseNotFound."""
        require(caller, "release.read", f"deployment:{deployment_id[:60]}")
        with self.journal.read() as connection:
            return asking.state_of(_found(connection, deployment_id))

    def ticks(
        self, caller: Caller, id: str, *, cursor: str | None = None, limit: int = _TICKS_PAGE
    ) -> Page[dict[str, Any]]:
        """Return a page of what was seen of a release, oldest first: enough to compute its verdict again."""
        require(caller, "release.read", f"deployment:{id[:60]}")
        check_limit(limit)
        if cursor is not None and not cursor.isdecimal():
            raise InvalidInput("The cursor is not one of ours.", next_step="Start again without one.", field="cursor")
        with self.journal.read() as connection:
            _found(connection, id)
            found = tick_store.ticks(connection, id, after=int(cursor or 0), limit=limit + 1)
        items = [
            {"number": tick.number, "at": tick.at, **tick_store.lean(tick.observation), "evidence": tick.evidence}
            for tick in found[:limit]
        ]
        return Page(items=items, next_cursor=str(found[limit - 1].number) if len(found) > limit else None)

    def replay(
        self, caller: Caller, policy: ReleasePolicy, *, service: str | None = None, limit: int = 200
    ) -> list[Difference]:
        """Decide every recorded release again under another policy, newest first, and return what would differ."""
        require(caller, "release.read", f"service:{service}" if service else "releases")
        with self.journal.read() as connection:
            found = []
            for summary in store.page(connection, service=service, in_flight=False, limit=limit):
                stored = _found(connection, summary.id)
                record = [(tick.at, tick.observation) for tick in tick_store.ticks(connection, summary.id)]
                if record:
                    found.append(replaying.compare(stored.release, stored.snapshot, policy, record))
        return found

    def in_flight(self, *, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return the releases on their way, oldest first, in one query; it asks for no permission."""
        with self._reading(connection) as reader:
            found = store.page(reader, in_flight=True, limit=1000)
        return tuple(reversed(found))

    def of_service(self, service: str, *, limit: int = 10, connection: Connection | None = None) -> tuple[Summary, ...]:
        """Return the newest releases of a service; it asks for no permission."""
        with self._reading(connection) as reader:
            return tuple(store.page(reader, service=service, limit=limit))

    def detail_for_page(self, id: str, *, connection: Connection | None = None) -> Detail | None:
        """Return all that is known of a release, or None; it asks for no permission."""
        with self._reading(connection) as reader:
            stored = store.get(reader, id) if is_uuid(id) else None
            return None if stored is None else self._detail(reader, stored)

    def _reading(self, connection: Connection | None) -> Any:  # noqa: ANN401 - one of two context managers
        return nullcontext(connection) if connection is not None else self.journal.read()

    @staticmethod
    def _detail(connection: Connection, stored: store.Stored) -> Detail:
        return planning.detail(
            stored,
            transitions=store.transitions(connection, stored.id),
            owed=action_store.actions(connection, stored.id),
        )


def _found(connection: Connection, id: str, *, lock: bool = False) -> store.Stored:
    stored = store.get(connection, id, lock=lock) if is_uuid(id) else None
    if stored is None:
        raise ReleaseNotFound(id)
    return stored

"""The use cases of flags: defined by an artifact, set by people, turned on and back by releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from companyos.core.access import Caller, require
from companyos.core.artifacts import Digest
from companyos.core.errors import InvalidInput
from companyos.core.ids import check_name, check_service_name, uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, decode_cursor, encode_cursor, page_by_id
from companyos.flags import store
from companyos.flags.definition import MAX_FLAGS, Definition, read_definitions
from companyos.flags.errors import FlagNotFound
from companyos.flags.model import Change, Flag, Left, Setting, TurnedBack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from companyos.core.access import Verdict
    from companyos.ledger import Change as Transaction
    from companyos.ledger import Journal

PRODUCTION: Final = "production"


class Flags:
    """Flags, for whoever may ask."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def define(self, caller: Caller, service: str, data: bytes, *, digest: str) -> tuple[Definition, ...]:
        """Return the flags that the definition file of an artifact names; they replace what was known of the service.

        ``digest`` is that of the artifact. Raises InvalidInput or TooLarge.
        """
        verdict = require(caller, "flag.write", f"service:{service[:60]}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            return self.define_in(change, service, data, digest=digest, verdict=verdict)

    def define_in(
        self, change: Transaction, service: str, data: bytes, *, digest: str, verdict: Verdict | None = None
    ) -> tuple[Definition, ...]:
        """Do what ``define`` does, as part of a transaction that has asked for permission."""
        check_service_name(service, field="service")
        found = read_definitions(data)
        before = store.defined_by(change.connection, service)
        if before == {str(Digest.parse(digest))} or not (found or before):
            return found
        store.define(change.connection, service, found, digest, self.journal.clock.now())
        change.record(
            verb="flag.define",
            target=f"service:{service}",
            verdict=verdict,
            service=service,
            details={"digest": digest, "flags": [one.key for one in found]},
        )
        return found

    def get(self, caller: Caller, service: str, key: str, *, environment: str = PRODUCTION) -> Flag:
        """Return a flag as it counts in an environment, or raise FlagNotFound."""
        _check(service, environment, key)
        require(caller, "flag.read", f"service:{service}")
        with self.journal.read() as connection:
            return _found(connection, service, environment, key)

    def list_flags(
        self,
        caller: Caller,
        *,
        service: str | None = None,
        environment: str = PRODUCTION,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Flag]:
        """Return a page of flags as they count in an environment, by service and key."""
        require(caller, "flag.read", f"service:{service[:60]}" if service else "flags")
        check_limit(limit)
        check_name(environment, what="environment", field="environment")
        if service is not None:
            check_service_name(service, field="service")
        after = None
        if cursor is not None:
            first, second = decode_cursor(cursor, str, str)
            _check(str(first), environment, str(second))
            after = (str(first), str(second))
        with self.journal.read() as connection:
            found = store.flags(connection, environment, service=service, after=after, limit=limit + 1)
        more = len(found) > limit
        last = found[limit - 1] if more else None
        return Page(items=found[:limit], next_cursor=encode_cursor(last.service, last.key) if last else None)

    def values_of(self, connection: Connection, service: str, environment: str) -> dict[str, bool]:
        """Return every flag of a service as it counts in an environment, by key; it asks for no permission."""
        found = store.flags(connection, environment, service=service, limit=MAX_FLAGS)
        return {flag.key: flag.value for flag in found}

    def history(
        self, caller: Caller, service: str, key: str, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Change]:
        """Return a page of the changes of a flag in all environments, newest first."""
        _check(service, PRODUCTION, key)
        require(caller, "flag.read", f"service:{service}")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.changes_page(connection, service, key, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda change: change.id)

    def set(
        self, caller: Caller, service: str, key: str, *, value: bool, reason: str, environment: str = PRODUCTION
    ) -> Flag:
        """Return the flag after it was set; what it is set to already is not set again. Raises FlagNotFound."""
        _check(service, environment, key)
        verdict = require(caller, "flag.write", f"service:{service}")
        with self.journal.write(caller, unchanged_ok=True) as change:
            _found(change.connection, service, environment, key)
            known = store.setting(change.connection, service, environment, key)
            if known is None or known.value != value or known.release_id is not None:
                # What a release has set becomes the person's own, so that a rollback leaves it.
                wanted = self._setting(caller, known, service, environment, key, value=value)
                self._write(change, caller, known, wanted, reason=reason, verb="flag.set", verdict=verdict)
            return _found(change.connection, service, environment, key)

    def turn_on_in(
        self,
        change: Transaction,
        caller: Caller,
        service: str,
        environment: str,
        changes: Iterable[tuple[str, bool]],
        release_id: str,
    ) -> tuple[Change, ...]:
        """Set flags (key and value) for a release, and return what was changed.

        It is part of a transaction that has asked for permission. A flag that has this value already stays its owner's,
        and one that this release has changed before is left as it is, so that doing it twice is doing it once.
        """
        done = {one.key for one in store.changes_of_release(change.connection, release_id)}
        made: list[Change] = []
        for key, value in sorted(dict(changes).items()):
            _check(service, environment, key)
            known = store.setting(change.connection, service, environment, key)
            found = store.flags(change.connection, environment, service=service, key=key, limit=1)
            if key in done or (found[0].value if found else False) == value:
                continue
            wanted = self._setting(caller, known, service, environment, key, value=value, release_id=release_id)
            reason = f"The release {release_id} wants it {'on' if value else 'off'}."
            made.append(self._write(change, caller, known, wanted, reason=reason, verb="flag.turn_on"))
        return tuple(made)

    def turn_back_in(self, change: Transaction, caller: Caller, release_id: str) -> TurnedBack:
        """Set the flags of a release to what they were before it, and return what was changed and what was left.

        What somebody else has set since is left alone. It is part of the caller's transaction; twice is once.
        """
        by_flag: dict[tuple[str, str, str], list[Change]] = {}
        for one in store.changes_of_release(change.connection, release_id):
            by_flag.setdefault((one.service, one.environment, one.key), []).append(one)
        # What a release changes a second time, it turns back.
        waiting = {flag: found[0] for flag, found in by_flag.items() if len(found) == 1}
        made: list[Change] = []
        for known in store.settings_of_release(change.connection, release_id):
            turned_on = waiting.pop((known.service, known.environment, known.key), None)
            value = turned_on.before if turned_on else None
            wanted = (
                None
                if value is None
                else self._setting(caller, known, known.service, known.environment, known.key, value=value)
            )
            reason = f"The release {release_id} was rolled back."
            made.append(
                self._write(change, caller, known, wanted, reason=reason, verb="flag.turn_back", release_id=release_id)
            )
        left = [
            store.changes_page(change.connection, flag[0], flag[2], environment=flag[1], limit=1) for flag in waiting
        ]
        return TurnedBack(changes=tuple(made), left=tuple(_left(newest[0]) for newest in left))

    def _setting(
        self,
        caller: Caller,
        known: Setting | None,
        service: str,
        environment: str,
        key: str,
        *,
        value: bool,
        release_id: str | None = None,
    ) -> Setting:
        return Setting(
            service=service,
            environment=environment,
            key=key,
            value=value,
            changed_at=self.journal.clock.now(),
            changed_by=caller.subject,
            release_id=release_id,
            revision=known.revision + 1 if known else 1,
        )

    def _write(
        self,
        change: Transaction,
        caller: Caller,
        known: Setting | None,
        wanted: Setting | None,
        *,
        reason: str,
        verb: str,
        verdict: Verdict | None = None,
        release_id: str | None = None,
    ) -> Change:
        """Write a setting, its line in the change log and its ledger record."""
        about = wanted or known
        if about is None:
            raise InvalidInput("There is nothing to change.", next_step="Name a value.")
        made = Change(
            id=uuid7(),
            service=about.service,
            environment=about.environment,
            key=about.key,
            before=known.value if known else None,
            after=wanted.value if wanted else None,
            at=self.journal.clock.now(),
            by=caller.subject,
            release_id=release_id or (wanted.release_id if wanted else None),
            reason=reason,
        )
        store.put(change.connection, known, wanted)
        store.add_change(change.connection, made)
        change.record(
            verb=verb,
            target=f"service:{made.service}",
            verdict=verdict,
            service=made.service,
            details={
                "flag": made.key,
                "environment": made.environment,
                "before": made.before,
                "after": made.after,
                "release_id": made.release_id,
                "reason": reason,
            },
        )
        return made


def _found(connection: Connection, service: str, environment: str, key: str) -> Flag:
    found = store.flags(connection, environment, service=service, key=key, limit=1)
    if not found:
        raise FlagNotFound(service, key)
    return found[0]


def _left(newest: Change) -> Left:
    return Left(
        key=newest.key,
        environment=newest.environment,
        value=newest.after,
        changed_by=newest.by,
        changed_at=newest.at,
    )


def _check(service: str, environment: str, key: str) -> None:
    check_service_name(service, field="service")
    check_name(environment, what="environment", field="environment")
    check_name(key, what="flag", field="key")

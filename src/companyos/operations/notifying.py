"""The use cases of notifications: one is put into the outbox by whoever changes something, and seen until it is out."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from companyos.core import canonical
from companyos.core.access import Caller, require
from companyos.core.errors import InvalidInput, TooLarge
from companyos.core.ids import uuid7
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.operations import outbox_store as store
from companyos.operations.model import Notification, NotificationStatus
from companyos.operations.subject import check_subject, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from companyos.ledger import Change, Journal

PAYLOAD_LIMIT_BYTES: Final = 64 * 1024
PAYLOAD_DEPTH: Final = 16
_KEY_LIMIT: Final = 200
_KIND: Final = re.compile(r"[a-z][a-z0-9_.]{0,99}")
_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class Notifying:
    """Notifications to people outside."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal

    def notify_in(
        self, change: Change, *, key: str, kind: str, subject: str, payload: Mapping[str, Any]
    ) -> Notification:
        """Return the notification that leaves when the caller's transaction has committed; it asks no permission.

        A key is sent once: asked for again, the one that is there comes back as it is, and nothing is written.
        ``payload`` is JSON of up to ``PAYLOAD_LIMIT_BYTES``; the ledger gets its digest. Raises InvalidInput or
        TooLarge, before anything is written.
        """
        data = _checked(key, kind, payload)
        check_subject(subject)
        now = self.journal.clock.now()
        made = Notification(
            id=uuid7(), key=key, kind=kind, subject=subject, payload=dict(payload), created_at=now, next_at=now
        )
        known = store.by_key(change.connection, key)
        if known is None and not store.add(change.connection, made):
            known = store.by_key(change.connection, key)
        if known is not None:
            return known
        about = named(subject)
        change.record(
            verb="notification.queue",
            target=subject,
            service=about.service,
            release=about.release,
            details={
                "notification_id": made.id,
                "key": key,
                "kind": kind,
                "payload_digest": f"sha256:{sha256(data).hexdigest()}",
            },
        )
        return made

    def list_notifications(
        self,
        caller: Caller,
        *,
        status: NotificationStatus | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Notification]:
        """Return a page of notifications, newest first."""
        require(caller, "notification.read", "notifications")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.page(connection, status=status, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda notification: notification.id)


def _checked(key: str, kind: str, payload: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a payload, or raise InvalidInput or TooLarge that names what is wrong."""
    if not (0 < len(key) <= _KEY_LIMIT and key.isprintable()):
        raise InvalidInput(
            f"The key of a notification is 1 to {_KEY_LIMIT} printable characters.",
            next_step="Shorten or clean it.",
            field="key",
        )
    if not _KIND.fullmatch(kind):
        raise InvalidInput(
            f"{kind[:80]!r} is no kind of notification.", next_step="Write it like release.rolled_back.", field="kind"
        )
    data = canonical.dumps(dict(payload), max_depth=PAYLOAD_DEPTH)
    if len(data) > PAYLOAD_LIMIT_BYTES:
        raise TooLarge(
            f"The payload of a notification has {len(data)} bytes; at most {PAYLOAD_LIMIT_BYTES} are sent.",
            next_step="Link to the rest.",
        )
    if _NUL.search(data):
        raise InvalidInput(
            "The payload of a notification holds a NUL character.", next_step="Take it out.", field="payload"
        )
    return data

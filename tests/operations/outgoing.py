"""Notifications to test with."""

from __future__ import annotations

from typing import Any

from companyos.core.access import Caller
from companyos.operations import Notification, Operations

CONTROLLER = Caller(subject="system:delivery")


def notify(operations: Operations, key: str = "r1:rollback", **more: Any) -> Notification:
    """Put a notification into the outbox, in a transaction of its own."""
    asked = {"kind": "release.rolled_back", "subject": "release:shop@1.2.0", "payload": {"reason": "errors"}, **more}
    with operations.journal.write(CONTROLLER, unchanged_ok=True) as change:
        return operations.notify_in(change, key=key, **asked)

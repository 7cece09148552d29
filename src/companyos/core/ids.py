"""Identifiers: UUIDv7 (RFC 9562 §5.7) and the names of services, teams and other things people choose."""

from __future__ import annotations

import re
import secrets
import threading
import time
import uuid
from datetime import datetime
from typing import Final

from companyos.core.errors import InvalidInput

SERVICE_NAME: Final = re.compile(r"[a-z][a-z0-9-]{1,38}")
"""What a service may be called; it is safe in host names, paths and metric labels."""

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
"""What teams, domains, regions, tiers, environments and subjects may be called."""

_COUNTER_BITS: Final = 12
_lock = threading.Lock()
_last: tuple[int, int] = (0, 0)


def uuid7(now: datetime | None = None) -> str:
    """Return a lower-case UUIDv7; ids made one after the other in a process sort in that order.

    The 12 bits after the millisecond count up within it (RFC 9562 §6.2, method 1) and borrow from the next
    millisecond when they run out, also when the clock is set back.
    """
    global _last  # noqa: PLW0603 - the order of ids within a process is state of the process
    moment_ms = time.time_ns() // 1_000_000 if now is None else int(now.timestamp() * 1000)
    with _lock:
        last_ms, count = _last
        if now is None and moment_ms <= last_ms:
            moment_ms, count = last_ms, count + 1
            if count >> _COUNTER_BITS:
                moment_ms, count = last_ms + 1, 0
        else:
            count = secrets.randbits(_COUNTER_BITS - 1)
        if now is None:
            _last = (moment_ms, count)
    value = (moment_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | secrets.randbits(62)
    digits = f"{value:032x}"  # Formatting by hand takes a fifth of the time that uuid.UUID does.
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def is_uuid(text: str) -> bool:
    """Tell whether the text is a UUID in its canonical lower-case form."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def check_service_name(name: str, *, field: str = "name") -> str:
    """Return the name of a service unchanged, or raise InvalidInput that says what a name may be."""
    if not SERVICE_NAME.fullmatch(name):
        raise InvalidInput(
            f"The service name {name[:60]!r} is not allowed.",
            next_step="Use 2 to 39 characters: a lower-case letter, then lower-case letters, digits or hyphens.",
            field=field,
        )
    return name


def check_name(name: str, *, what: str, field: str) -> str:
    """Return the name of a team, domain, region, tier, environment or subject, or raise InvalidInput."""
    if not NAME.fullmatch(name):
        raise InvalidInput(
            f"The {what} name {name[:60]!r} is not allowed.",
            next_step="Use up to 63 characters: lower-case letters, digits, dots, underscores or hyphens.",
            field=field,
        )
    return name

"""One notification as one signed HTTP request, after the Standard Webhooks specification.

A receiver checks the signature with any library for it, and knows an attempt that comes twice by its ``webhook-id``.
Nothing of the answer but its status is used, so nothing that a receiver says gets any further.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

import companyos
from companyos.core.clock import rfc3339
from companyos.core.errors import InvalidInput
from companyos.core.settings import Settings
from companyos.core.transport import is_loopback
from companyos.operations.model import Notification

if TYPE_CHECKING:
    import httpx

TIMEOUT_S: Final = 10.0
"""How long one attempt may take as a whole, from looking up the host to the status."""
ANSWER_LIMIT_BYTES: Final = 16 * 1024
"""How much of an answer is read, so that a receiver can finish writing an everyday one."""
_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
_SECRET_BYTES: Final = range(24, 65)
_GOOD: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where notifications go, and the key that signs them."""

    url: str
    key: bytes


def webhook_of(settings: Settings) -> Webhook | None:
    """Return where notifications go, None when no address is set. Raises InvalidInput for an address without a key."""
    if not settings.notify_webhook_url:
        return None
    text = settings.notify_webhook_secret.removeprefix(_SECRET_PREFIX)
    with suppress(binascii.Error):
        key = base64.b64decode(text, validate=True)
        if len(key) in _SECRET_BYTES:
            return Webhook(url=settings.notify_webhook_url, key=key)
    raise InvalidInput(
        "notify_webhook_url is set, and notify_webhook_secret is no secret to sign with.",
        next_step=f"Set it to {_SECRET_PREFIX} followed by 24 to 64 random bytes in base64.",
        field="notify_webhook_secret",
    )


def body_of(notification: Notification) -> bytes:
    """Return the JSON that is sent: the same bytes in every attempt."""
    document = {
        "type": notification.kind,
        "timestamp": rfc3339(notification.created_at),
        "subject": notification.subject,
        "data": notification.payload,
    }
    return msgspec.json.encode(document, order="sorted")


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """Return the value of ``webhook-signature``; ``timestamp`` is in whole seconds since 1970."""
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def send(webhook: Webhook, notification: Notification, now: datetime, *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Send a notification once and return None when the receiver has taken it, else one sentence that says why not.

    Taken means a status of 200 to 299; a redirect is not followed, because what is signed is for one address.
    """
    return asyncio.run(_send(webhook, notification, now, timeout_s))


async def _send(webhook: Webhook, notification: Notification, now: datetime, timeout_s: float) -> str | None:
    import httpx

    body = body_of(notification)
    timestamp = int(now.timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": f"companyos/{companyos.__version__}",
        "webhook-id": notification.id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(webhook.key, notification.id, timestamp, body),
    }
    status = 0
    try:
        # The client's own limits hold for each step; this one holds for all of them, so that dripping does not help.
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=timeout_s, trust_env=not is_loopback(webhook.url)) as client,
            client.stream("POST", webhook.url, headers=headers, content=body) as answer,
        ):
            status = answer.status_code
            await _drain(answer)
    except (TimeoutError, httpx.TimeoutException):
        return None if status in _GOOD else f"The receiver did not answer within {timeout_s:g} s."
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
        return None if status in _GOOD else f"The receiver could not be reached ({type(fault).__name__})."
    if status in _REDIRECTS:
        return f"The receiver answered {status}, and a redirect is not followed."
    return None if status in _GOOD else f"The receiver answered {status}."


async def _drain(answer: httpx.Response) -> None:
    seen = 0
    async for piece in answer.aiter_raw():
        seen += len(piece)
        if seen > ANSWER_LIMIT_BYTES:
            break

"""What Alertmanager sends to a webhook (its ``version`` 4), and what we keep of one of its alerts.

Fields that are not named here are left alone, because later releases add some. What has a form of its own is refused
when it is wrong; texts are cleaned and cut instead: an alert about something real is not lost over a long annotation.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from companyos.core.clock import in_utc
from companyos.core.fields import END
from companyos.core.ids import SERVICE_NAME
from companyos.operations.model import Alert, AlertStatus

MAX_ALERTS: Final = 1000
MAX_CHARACTERS: Final = 4000
"""What is kept of a value of a label or an annotation."""
SERVICE_LABELS: Final = ("companyos_service", "service")
"""The labels that name the service, the more certain one first."""

_NAME_CHARACTERS: Final = 200
_URL_CHARACTERS: Final = 2000
_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_Value: TypeAlias = Annotated[str, Meta(max_length=65_536)]
_Values: TypeAlias = Annotated[dict[Annotated[str, Meta(min_length=1, max_length=200)], _Value], Meta(max_length=100)]
_Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]


class ReceivedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a delivery."""

    status: AlertStatus
    labels: _Values
    annotations: _Values = {}
    starts_at: Annotated[_Moment, Meta(description="When it began to fire.")] = msgspec.field(name="startsAt")
    ends_at: Annotated[_Moment | None, Meta(description="0001-01-01T00:00:00Z while it fires.")] = msgspec.field(
        name="endsAt", default=None
    )
    generator_url: _Value = msgspec.field(name="generatorURL", default="")
    fingerprint: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}" + END, description="Tells its labels from all others.")
    ]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of Alertmanager: the alerts of a group."""

    version: Annotated[Literal["4"], Meta(description="The form of this document.")]
    group_key: _Value = msgspec.field(name="groupKey", default="")
    truncated_alerts: Annotated[int, Meta(ge=0, le=2**31)] = msgspec.field(name="truncatedAlerts", default=0)
    status: AlertStatus
    receiver: _Value = ""
    group_labels: _Values = msgspec.field(name="groupLabels", default_factory=dict)
    common_labels: _Values = msgspec.field(name="commonLabels", default_factory=dict)
    common_annotations: _Values = msgspec.field(name="commonAnnotations", default_factory=dict)
    external_url: _Value = msgspec.field(name="externalURL", default="")
    alerts: Annotated[list[ReceivedAlert], Meta(max_length=MAX_ALERTS)]


def alert_of(received: ReceivedAlert, now: datetime) -> Alert | None:
    """Return the alert as we keep it, heard at this moment; None when no label names a service.

    Raises InvalidInput for a moment that is off the calendar.
    """
    said = next((received.labels[label] for label in SERVICE_LABELS if received.labels.get(label)), "")
    if not SERVICE_NAME.fullmatch(said):
        return None
    ends_at = (
        None if received.ends_at is None or received.ends_at.year <= 1 else in_utc(received.ends_at, field="endsAt")
    )
    url = received.generator_url
    return Alert(
        fingerprint=received.fingerprint,
        service=said,
        name=_line(received.labels.get("alertname") or received.fingerprint),
        status=received.status,
        labels=_cleaned(received.labels),
        annotations=_cleaned(received.annotations),
        starts_at=in_utc(received.starts_at, field="startsAt"),
        ends_at=now if ends_at is None and received.status == "resolved" else ends_at,
        received_at=now,
        generator_url=url if _is_address(url) else "",
    )


def _cleaned(values: dict[str, str]) -> dict[str, str]:
    return {_line(name): _UNSAFE.sub("\ufffd", value[:MAX_CHARACTERS]) for name, value in values.items()}


def _line(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text[:_NAME_CHARACTERS])


def _is_address(url: str) -> bool:
    """Tell whether a page may link to it: a link of another kind could run a script."""
    return url.startswith(("http://", "https://")) and len(url) <= _URL_CHARACTERS and url.isprintable()

"""Deliveries of Alertmanager to test with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from companyos.core.clock import rfc3339

ZERO = "0001-01-01T00:00:00Z"
"""How Go writes that there is no moment."""


def message(
    fingerprint: str = "a1b2c3d4e5f60718", *, service: str | None = "shop", starts: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """Return one alert as Alertmanager writes it; it fires."""
    labels = {"alertname": "Errors", "severity": "page"} | ({"service": service} if service is not None else {})
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "Too many errors."},
        "startsAt": rfc3339(starts) if starts is not None else "2025-12-31T23:00:00.000Z",
        "endsAt": ZERO,
        "generatorURL": "http://prometheus.example.org/graph?g0.expr=1",
        "fingerprint": fingerprint,
        **more,
    }


def delivery(*alerts: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a whole delivery."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="Errors"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "companyos",
        "groupLabels": {"alertname": "Errors"},
        "commonLabels": {"alertname": "Errors"},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.org",
        "alerts": list(alerts),
        **more,
    }

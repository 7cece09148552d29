from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from companyos.core.documents import decode
from companyos.core.errors import InvalidInput
from companyos.operations import Alert
from companyos.operations.alertmanager import MAX_ALERTS, MAX_CHARACTERS, Delivery, alert_of
from tests.operations.incoming import delivery, message

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def read(**changes: Any) -> Alert | None:
    """Return what is kept of one message."""
    (received,) = decode(delivery(message(**changes)), Delivery, where="The body").alerts
    return alert_of(received, NOW)


def kept(**changes: Any) -> Alert:
    """Return what is kept of one message that names a service."""
    alert = read(**changes)
    assert alert is not None
    return alert


def test_a_delivery_is_read_as_it_is_documented() -> None:
    """Nanoseconds and another zone than ours; the zero time of Go means that there is no end."""
    alert = kept(startsAt="2026-05-01T13:00:00.123456789+02:00", endsAt="0001-01-01T00:00:00Z")
    assert (alert.fingerprint, alert.service, alert.name, alert.status) == (
        "a1b2c3d4e5f60718",
        "shop",
        "Errors",
        "firing",
    )
    assert alert.starts_at.replace(microsecond=0) == datetime(2026, 5, 1, 11, tzinfo=UTC)
    assert abs(alert.starts_at.microsecond - 123456) <= 1
    assert (alert.ends_at, alert.received_at) == (None, NOW)
    assert alert.annotations == {"summary": "Too many errors."}
    assert alert.generator_url == "http://prometheus.example.org/graph?g0.expr=1"


def test_an_end_is_kept_and_a_missing_one_is_now() -> None:
    """A message that says "resolved" always ends the alert."""
    assert kept(status="resolved", endsAt="2026-05-01T11:30:00Z").ends_at == NOW - timedelta(minutes=30)
    assert kept(status="resolved", endsAt="0001-01-01T00:00:00Z").ends_at == NOW
    without = message(status="resolved")
    del without["endsAt"]
    (received,) = decode(delivery(without), Delivery, where="The body").alerts
    ended = alert_of(received, NOW)
    assert ended is not None
    assert ended.ends_at == NOW


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service": "shop"}, "shop"),
        ({"companyos_service": "shop"}, "shop"),
        ({"service": "kube-state-metrics", "companyos_service": "shop"}, "shop"),
        ({"service": "shop", "companyos_service": ""}, "shop"),
        ({}, None),
        ({"service": ""}, None),
        ({"service": "Shop Front"}, None),
        ({"service": "shop\n"}, None),
        ({"job": "shop"}, None),
    ],
)
def test_a_label_names_the_service(labels: dict[str, str], service: str | None) -> None:
    """Ours wins over the usual one, which others use for things of their own; what is no name names nothing."""
    alert = read(labels=labels)
    assert (alert.service if alert else None) == service


def test_unknown_fields_are_left_alone() -> None:
    """Later releases add some, at each level."""
    document = delivery(message(new={"a": [1]}), notificationReason="repeat", another=None)
    assert len(decode(document, Delivery, where="The body").alerts) == 1


def test_texts_are_cleaned_and_cut_instead_of_refused() -> None:
    """An alert about something real is not lost over a long annotation."""
    labels = {"service": "shop", "alertname": "A\x1b[31m" + "n" * 300, "k\n": "v\0"}
    alert = kept(labels=labels, annotations={"log": "x\0\r\n\ty" + "z" * 10_000})
    assert alert.name == ("A?[31m" + "n" * 300)[:200]
    assert alert.labels["k?"] == "v\ufffd"
    assert alert.annotations["log"].startswith("x\ufffd\ufffd\n\tyzz")
    assert len(alert.annotations["log"]) == MAX_CHARACTERS


def test_a_link_that_could_run_is_dropped() -> None:
    """Only addresses of the web are kept."""
    for url in ("javascript:alert(1)", "http://x\n", "", "https://x/" + "y" * 2000):
        assert kept(generatorURL=url).generator_url == ""


def test_an_alert_without_a_name_goes_by_its_fingerprint() -> None:
    """Nothing else is sure to be there."""
    assert kept(labels={"service": "shop"}).name == "a1b2c3d4e5f60718"


@pytest.mark.parametrize(
    "document",
    [
        {**delivery(), "version": "3"},
        {**delivery(), "version": 4},
        {**delivery(), "status": "maybe"},
        {**delivery(), "truncatedAlerts": -1},
        {**delivery(), "alerts": None},
        {key: value for key, value in delivery().items() if key != "version"},
        {key: value for key, value in delivery().items() if key != "alerts"},
        delivery(*[message()] * (MAX_ALERTS + 1)),
        delivery(message(status="pending")),
        delivery(message(fingerprint="")),
        delivery(message(fingerprint="f" * 65)),
        delivery(message(fingerprint="a\n")),
        delivery(message(startsAt="2026-05-01T13:00:00")),
        delivery(message(startsAt="yesterday")),
        delivery(message(labels={"a": 1})),
        delivery(message(labels={"x" * 201: "y"})),
        delivery(message(labels={"x": "y" * 65_537})),
        delivery(message(labels={f"x{n}": "y" for n in range(101)})),
        delivery(message(annotations=[])),
    ],
)
def test_what_has_another_form_is_refused(document: dict[str, Any]) -> None:
    """With a sentence, before anything is kept."""
    with pytest.raises(InvalidInput, match="The body"):
        decode(document, Delivery, where="The body")


def test_a_moment_off_the_calendar_is_refused() -> None:
    """Its zone moves it behind the last day there is."""
    with pytest.raises(InvalidInput, match="startsAt"):
        read(startsAt="9999-12-31T23:59:59-23:00")

"""Envoy's own counters: how many requests ended, how many are waited for, and whether the access log has all of them.

The access log has one line per request of the users' listener, whatever became of it: answered, timed out, retried,
broken off by the client, not understood. The counters of clusters count attempts and tell these cases apart
differently; the listener's do not: ``downstream_rq_total - downstream_rq_active`` is the number of requests that ended,
and each of them is one line, at most a flush later.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

import msgspec

from companyos.core.errors import Unavailable
from companyos.delivery.adapters.envoy.admin import Asker
from companyos.delivery.adapters.envoy.config import STAT_PREFIX

LATE_S: Final = 2.0
"""A line that is not there so long after its request ended is missing."""
SHOWN_S: Final = 3.0
"""How long a loss is told, so that no reader's pause misses it."""
# Anchored: each counter of a cluster appears a second time below ``external.`` or ``internal.``.
_WATCHED: Final = (
    rf"^(http\.{STAT_PREFIX}\.downstream_rq_(total|active)|"
    r"cluster\.[^.]+\.upstream_rq_(pending_)?active|server\.uptime)$"
)
_DIAGNOSTIC: Final = (
    r"^cluster\.[^.]+\.(upstream_rq_(total|completed|2xx|4xx|5xx|active|pending_active|timeout|retry|retry_success|"
    r"rx_reset|tx_reset|pending_overflow|pending_failure_eject)|"
    r"upstream_cx_(active|total|connect_fail|connect_timeout|destroy_remote_with_active_rq))$"
)


class _Stat(msgspec.Struct, frozen=True):
    name: str = ""
    value: int = 0


class _Stats(msgspec.Struct, frozen=True):
    stats: tuple[_Stat, ...]


_DECODER: Final = msgspec.json.Decoder(_Stats)


class Sample(NamedTuple):
    """One look at the counters."""

    uptime_s: int
    ended: int
    """Requests of the users' listener that ended since Envoy started."""
    in_flight: Mapping[str, int]
    """By release."""
    connection: int = 1
    """Which connection it came over; the end of Envoy ends it."""


def sample(asker: Asker) -> Sample:
    """Return what the counters say now. Raises Unavailable."""
    found = _ask(asker, _WATCHED)
    prefix = f"http.{STAT_PREFIX}.downstream_rq_"
    waiting: dict[str, int] = {}
    for name, value in found.items():
        if name.startswith("cluster."):
            # A request that waits for a connection is counted as pending, and as active from then on.
            release = name.split(".", 2)[1]
            waiting[release] = waiting.get(release, 0) + value
    ended = found.get(f"{prefix}total", 0) - found.get(f"{prefix}active", 0)
    return Sample(found.get("server.uptime", 0), ended, waiting, asker.opened)


def per_release(asker: Asker) -> dict[str, dict[str, int]]:
    """Return the counters of each release, those that are not zero, for people who look for a cause.

    Raises Unavailable.
    """
    result: dict[str, dict[str, int]] = {}
    for name, value in _ask(asker, _DIAGNOSTIC).items():
        _, release, counter = name.split(".", 2)
        counters = result.setdefault(release, {})
        if value:
            counters[counter] = value
    return result


class Reconciliation:
    """Compares counters and lines over time; the clock and both numbers come from the caller.

    Lines are counted before the counters are asked, so that every line that may be in transit makes the allowance
    larger and none smaller: what is called lost is lost. At the start that hides at most what one flush holds.
    """

    def __init__(self, now: float) -> None:
        """Begin without a base; the first sample makes it."""
        self._samples: deque[tuple[float, int]] = deque()
        self._last: Sample | None = None
        self._answered_at = now
        self._base = 0
        """What the counters may be ahead of the lines."""
        self._lost = ""
        self._lost_until = now

    def missed(self, now: float) -> None:
        """Take note that the counters could not be read."""
        if now - self._answered_at > LATE_S:
            self._tell(
                now, "The counters of the router cannot be read, so that nobody knows which requests are missing."
            )

    def observe(self, now: float, lines: int, counters: Sample) -> None:
        """Take both numbers: lines counted so far, and the counters read right after."""
        last, self._last = self._last, counters
        since, self._answered_at = self._answered_at, now
        if last is None or _is_another(last, counters, now - since):
            if last is not None:
                self._tell(now, "The router was started again, and requests that it had not written down are missing.")
            self._samples.clear()
            self._base = counters.ended - lines
        self._samples.append((now, counters.ended))
        while len(self._samples) > 1 and self._samples[1][0] <= now - LATE_S:
            self._samples.popleft()
        if self._samples[0][0] > now - LATE_S:
            return
        # The two counters are not read in one moment, so that one sample may be ahead; a later one then is lower.
        ended = min(value for _, value in self._samples)
        missing = ended - lines - self._base
        if missing > 0:
            self._tell(now, f"{missing} requests that the router counted are missing in its access log.")
            self._base += missing
        elif all(value == ended for _, value in self._samples):
            # Nothing moved for a while: what is known now is exact.
            self._base = ended - lines

    def lost(self, now: float) -> str | None:
        """Return what is missing, None when everything is there."""
        return self._lost if now < self._lost_until else None

    def _tell(self, now: float, sentence: str) -> None:
        self._lost, self._lost_until = sentence, now + SHOWN_S


def _is_another(last: Sample, new: Sample, since_s: float) -> bool:
    """Return whether Envoy was started again between two samples; it tells its age in whole seconds."""
    return new.uptime_s < last.uptime_s or (new.connection != last.connection and new.uptime_s <= since_s + 1)


def _ask(asker: Asker, pattern: str) -> dict[str, int]:
    body = asker.ask(f"/stats?format=json&filter={quote(pattern, safe='')}")
    try:
        return {stat.name: stat.value for stat in _DECODER.decode(body).stats if stat.name}
    except msgspec.MsgspecError as fault:
        raise Unavailable("Envoy's counters cannot be understood.", next_step="Look into its log.") from fault

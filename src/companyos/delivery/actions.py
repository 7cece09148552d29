"""What the machine asks to be done. Every action is idempotent: doing it a second time changes nothing."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec


class StartCandidate(msgspec.Struct, frozen=True, tag="start_candidate"):
    """Start the candidate beside the stable release; it gets no traffic yet."""


class StartBaseline(msgspec.Struct, frozen=True, tag="start_baseline"):
    """Start the previous stable release again, which a rollback after ``steady`` needs."""


class SetWeight(msgspec.Struct, frozen=True, tag="set_weight"):
    """Give the candidate this share of the traffic, as the interval of this number."""

    number: int
    canary_ratio: float


class RecordRunning(msgspec.Struct, frozen=True, tag="record_running"):
    """Write into the catalog what runs now, in which arm, with which weight."""


class TurnOnFlags(msgspec.Struct, frozen=True, tag="turn_on_flags"):
    """Set the flags that the release wants on."""


class TurnBackFlags(msgspec.Struct, frozen=True, tag="turn_back_flags"):
    """Set the flags that the release turned on to what they were before."""


class MarkUnhealthy(msgspec.Struct, frozen=True, tag="mark_unhealthy"):
    """Deny the digest for later deploys."""


class CaptureDiagnostics(msgspec.Struct, frozen=True, tag="capture_diagnostics"):
    """Store failed requests with trace ids, the end of the log, counters and the state of the process."""


class OpenIncident(msgspec.Struct, frozen=True, tag="open_incident"):
    """Open an incident with a link to the release and its diagnostics."""


class NotifyOnCall(msgspec.Struct, frozen=True, tag="notify_on_call"):
    """Put one notification into the outbox."""


class Attest(msgspec.Struct, frozen=True, tag="attest"):
    """Sign a promotion-record Statement about the outcome."""

    outcome: Literal["promoted", "rolled_back"]


class StopCandidate(msgspec.Struct, frozen=True, tag="stop_candidate"):
    """Drain and stop the candidate."""


class StopBaseline(msgspec.Struct, frozen=True, tag="stop_baseline"):
    """Drain and stop the release that the candidate has replaced."""


Action: TypeAlias = (
    StartCandidate
    | StartBaseline
    | SetWeight
    | RecordRunning
    | TurnOnFlags
    | TurnBackFlags
    | MarkUnhealthy
    | CaptureDiagnostics
    | OpenIncident
    | NotifyOnCall
    | Attest
    | StopCandidate
    | StopBaseline
)

"""How the parts are, for the health page of a service."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["changed", "unchanged", "unreachable", "refused"]


class SpoolState(msgspec.Struct, frozen=True, kw_only=True):
    """How the spool is."""

    waiting: int
    """Records in memory that are not on the disk yet."""
    bytes: int
    """What is in memory and on the disk."""
    max_bytes: int
    segments: int
    """Closed segments that are not delivered yet."""
    fault: str | None
    """Why nothing is taken at the moment, if so."""
    refused: int
    """Records that were not taken since the start; each of these decisions was a denial or had to wait."""
    damaged_bytes: int
    """Bytes found at the end of segments of ended processes, or damaged on the disk; they are set aside."""
    rejected: int
    """Records that the receiver refused for good; they are set aside."""


class DeliveryState(msgspec.Struct, frozen=True, kw_only=True):
    """How delivery is."""

    delivered: int
    """Records that the platform has taken since the start; one that was sent twice counts once."""
    rejected: int
    """Records that it refuses for good."""
    fault: str | None
    """Why the last attempt failed, if it did."""


class BundleState(msgspec.Struct, frozen=True, kw_only=True):
    """How refreshing is."""

    version: str
    """Of the bundle that decides; empty while there is none."""
    digest: str
    outcome: Outcome | None
    """Of the last attempt; None before the first one."""
    fault: str | None
    """What was wrong at the last attempt, if something was."""

"""The values of flags."""

from __future__ import annotations

from datetime import date, datetime

import msgspec


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """One flag of a service in an environment: what it is set to, and what its definition says."""

    service: str
    environment: str
    key: str
    value: bool
    """What counts now."""
    default: bool = False
    """What counts while nobody has set it."""
    defined: bool = True
    """False when no artifact that was read defines it."""
    description: str = ""
    owner: str = ""
    expires: date | None = None
    cleanup: str = ""
    changed_at: datetime | None = None
    """None while it is left at its default."""
    changed_by: str | None = None
    release_id: str | None = None
    """The release whose change the value is."""
    revision: int = 0


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a flag was set to; a flag without one is at its default."""

    service: str
    environment: str
    key: str
    value: bool
    changed_at: datetime
    changed_by: str
    release_id: str | None = None
    revision: int = 1


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A flag that a release had set and that somebody has changed since, so that it stays as it is."""

    key: str
    environment: str
    value: bool | None
    """What it is set to now; None stands for "left at the default"."""
    changed_by: str
    changed_at: datetime


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a flag. Changes are only ever added; None stands for "left at the default"."""

    id: str
    service: str
    environment: str
    key: str
    before: bool | None
    after: bool | None
    at: datetime
    by: str
    release_id: str | None = None
    reason: str


class TurnedBack(msgspec.Struct, frozen=True, kw_only=True):
    """What came of turning back the flags of a release."""

    changes: tuple[Change, ...] = ()
    """What was changed now; empty when it was done before."""
    left: tuple[Left, ...] = ()

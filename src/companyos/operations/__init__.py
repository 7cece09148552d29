"""What any pillar may need from people: holds, approvals, incidents, notifications and alerts.

The public face is ``Operations`` (use cases) and the values that they return, loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.operations.model import (
        Alert,
        Approval,
        Hold,
        Incident,
        IncidentLink,
        Notification,
        TimelineEntry,
    )
    from companyos.operations.service import Operations

__all__ = [
    "Alert",
    "Approval",
    "Hold",
    "Incident",
    "IncidentLink",
    "Notification",
    "Operations",
    "TimelineEntry",
]

_HOME = dict.fromkeys(__all__, "model") | {"Operations": "service"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

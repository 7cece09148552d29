"""The decision log: every decision in a chain of segments below ``decisions/`` of the home, sealed and erasable.

The names below are loaded when they are first used, because the command line imports the commands of policies for its
help.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.policy.log.decisions import Decisions
    from companyos.policy.log.queue import Limits
    from companyos.policy.log.reading import DecisionReader
    from companyos.policy.log.record import Decision
    from companyos.policy.log.verifying import Report
    from companyos.policy.log.writer import DecisionLog

__all__ = ["Decision", "DecisionLog", "DecisionReader", "Decisions", "Limits", "Report"]

_HOME = {
    "Decision": "record",
    "DecisionLog": "writer",
    "DecisionReader": "reading",
    "Decisions": "decisions",
    "Limits": "queue",
    "Report": "verifying",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

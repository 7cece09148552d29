"""Points with a name at which a process can be told to die, so that tests prove that the next one finishes the work.

``COMPANYOS_CRASH_AT=rollback_pending.mark_unhealthy.done`` ends the process with SIGKILL there, once.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "COMPANYOS_CRASH_AT"


def crasher(wanted: str) -> Callable[[str], None]:
    """Return what is called with each point as it is reached; an empty name never matches."""

    def reached(point: str) -> None:
        if wanted and point == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    return reached

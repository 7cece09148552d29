"""The faults of operations."""

from __future__ import annotations

from companyos.core.errors import NotFound


class HoldNotFound(NotFound):
    """No hold has this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no hold {id[:80]!r}.", next_step="List them at /api/holds.")


class ApprovalNotFound(NotFound):
    """No approval has this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no approval {id[:80]!r}.", next_step="List them at /api/approvals.")


class IncidentNotFound(NotFound):
    """No incident has this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no incident {id[:80]!r}.", next_step="List them at /api/incidents.")

"""The faults of flags."""

from __future__ import annotations

from companyos.core.errors import NotFound


class FlagNotFound(NotFound):
    """The service has no such flag."""

    def __init__(self, service: str, key: str) -> None:
        super().__init__(
            f"The service {service[:40]} has no flag {key[:64]!r}.",
            next_step="Define it in feature-flags/flags.yaml, or list them at /api/flags.",
        )

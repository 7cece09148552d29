"""What can go wrong with releases, in sentences that name the release."""

from __future__ import annotations

from companyos.core.errors import Conflict, Denied, NotFound


class ReleaseNotFound(NotFound):
    """There is no release of this id."""

    def __init__(self, id: str) -> None:
        """Take what was asked for."""
        super().__init__(f"There is no release {id[:60]!r}.", next_step="See: companyos release list")


class InFlight(Conflict):
    """The service has a release on its way, and a second one would make both unreadable."""

    def __init__(self, service: str) -> None:
        """Take the service."""
        super().__init__(
            f"{service} has a release on its way.",
            next_step=f"Wait for it, or bring it back: companyos release list --in-flight --service {service}",
        )


class Refused(Denied):
    """Admission said no."""

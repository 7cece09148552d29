"""The faults of evidence."""

from __future__ import annotations

from companyos.core.errors import NotFound


class ArtifactNotFound(NotFound):
    """No artifact has this digest."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"There is no artifact {digest[:80]!r}.", next_step="List them at /api/artifacts.")


class DenialNotFound(NotFound):
    """The digest is not denied."""

    def __init__(self, digest: str) -> None:
        super().__init__(f"The digest {digest[:80]!r} is not denied.", next_step="Nothing is left to do.")


class AttestationNotFound(NotFound):
    """No signed Statement has this digest."""

    def __init__(self, digest: str) -> None:
        super().__init__(
            f"There is no attestation {digest[:80]!r}.", next_step="See attestations of a release, or its artifact."
        )

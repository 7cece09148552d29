"""The faults of bundles and their promotion."""

from __future__ import annotations

from companyos.core.errors import Conflict, InvalidInput, NotFound


class BundleRefused(InvalidInput):
    """A bundle that never activates; ``code`` is the word for what is wrong (``companyos_sdk.bundle.CODES``)."""

    def __init__(self, code: str, sentence: str, next_step: str) -> None:
        super().__init__(sentence, next_step=next_step, field="bundle")
        self.code = code


class BundleNotFound(NotFound):
    """No such version was published."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"There is no published bundle {name[:200]!r}.",
            next_step="List them at /api/policy/bundles; companyos policy list shows what is active.",
        )


class NothingActive(NotFound):
    """Nothing is active there."""

    def __init__(self, bundle_id: str, stage: str) -> None:
        super().__init__(
            f"No version of {bundle_id[:100]!r} is active in {stage[:20]}.",
            next_step="See what is active: companyos policy list",
        )


class NeverActive(NotFound):
    """The version was never active there, so that there is nothing to go back to."""

    def __init__(self, name: str, stage: str) -> None:
        super().__init__(
            f"{name[:200]} was never active in {stage[:20]}, so that there is no way back to it.",
            next_step=f"companyos policy history {name.partition('@')[0][:100]} lists what was; promote it otherwise.",
        )


class NoWayBack(Conflict):
    """Nothing is left to go back to."""

    def __init__(self, name: str, stage: str) -> None:
        super().__init__(
            f"There is nothing to go back to from {name[:200]} in {stage[:20]}: no lower version was active there that "
            "was not taken back.",
            next_step=f"companyos policy history {name.partition('@')[0][:100]} shows what was; name one with "
            "--version, or promote a higher one.",
        )

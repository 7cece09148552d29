"""The faults of the catalog."""

from __future__ import annotations

from companyos.core.errors import Conflict, NotFound


class ServiceNotFound(NotFound):
    """The catalog has no service of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no service {name!r}.", next_step="Run `companyos service list`.")


class TeamNotFound(NotFound):
    """No source describes a team of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no team {name!r}.", next_step="List them at /api/teams.")


class DeploymentNotFound(NotFound):
    """Nothing runs in this arm of this environment."""

    def __init__(self, service: str, environment: str, arm: str) -> None:
        super().__init__(
            f"{service} has no {arm} in {environment}.", next_step=f"See /api/services/{service}/deployments."
        )


class NameTaken(Conflict):
    """Something of this kind has the name already."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            f"The {kind} {name!r} exists already.", next_step="Change the one that is there, or choose another name."
        )


class StillNeeded(Conflict):
    """The service cannot go while others name it as a dependency, or while it runs."""

    def __init__(self, name: str, why: str, next_step: str) -> None:
        super().__init__(f"{name} stays in the catalog: {why}.", next_step=next_step)

"""The faults of identity. One sentence covers every bad credential, so that an answer teaches nothing to a guesser."""

from __future__ import annotations

from companyos.core.errors import Conflict, Denied, NotFound, Unauthenticated


class CredentialRefused(Unauthenticated):
    """The credential is malformed, forged, expired, used up or revoked, or its subject is suspended."""

    def __init__(self) -> None:
        super().__init__(
            "The credential is not valid.",
            next_step="Sign in with a new link (`companyos token link`) or ask an admin for a new token.",
        )


class SubjectNotFound(NotFound):
    """No subject has this id or name."""

    def __init__(self, named: str) -> None:
        super().__init__(f"There is no subject {named[:80]!r}.", next_step="List them at /api/subjects.")


class TokenNotFound(NotFound):
    """No token has this id."""

    def __init__(self, id: str) -> None:
        super().__init__(f"There is no token {id[:80]!r}.", next_step="Run `companyos token list`.")


class SubjectExists(Conflict):
    """A subject of this type has the name already."""

    def __init__(self, actor: str) -> None:
        super().__init__(f"{actor} exists already.", next_step="Choose another name, or change the one that is there.")


class SubjectSuspended(Conflict):
    """A suspended subject gets no new credentials."""

    def __init__(self, actor: str) -> None:
        super().__init__(f"{actor} is suspended.", next_step="Make it active first.")


class RoleBeyondCaller(Denied):
    """Nobody hands out a role that they lack, unless they are an admin."""

    def __init__(self, caller: str, roles: list[str], *, action: str, resource: str) -> None:
        super().__init__(
            f"{caller} lacks {', '.join(roles)} and so cannot hand it out.",
            next_step="Ask an admin.",
            action=action,
            resource=resource,
            policy="roles:no-escalation",
        )


class RoleNotFound(NotFound):
    """No role has this id or name."""

    def __init__(self, named: str) -> None:
        super().__init__(f"There is no role {named[:80]!r}.", next_step="Run `companyos identity role list`.")


class RoleExists(Conflict):
    """Names of roles are unique over all orgs, because policies and denials name roles and not ids."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a role {name!r} already.", next_step="Choose another name.")


class RoleInUse(Conflict):
    """A role that somebody holds cannot be deleted, and a built-in one never."""

    def __init__(self, name: str, why: str, next_step: str) -> None:
        super().__init__(f"The role {name!r} cannot be deleted: {why}.", next_step=next_step)


class AttributeNotFound(NotFound):
    """Nobody has said this of the subject, the org or the workspace."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"{holder[:100]} has no attribute {name[:64]!r}.", next_step="Run `companyos identity show`.")

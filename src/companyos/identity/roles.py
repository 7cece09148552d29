"""Which role may do what, as data, and the authorizer that reads it.

The rule is deny by default: an action that no row names is denied to everybody, admins included, so a route with a
misspelt action is closed instead of open.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, get_args

from companyos.core.access import Caller, Verdict
from companyos.core.errors import InvalidInput
from companyos.identity.model import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""All roles, least powerful first: the first that allows an action is the one that the ledger names."""

_SIGNED_IN: Final = frozenset({"session.close"})
_VIEWER: Final = frozenset(
    {
        "alert.read",
        "approval.read",
        "artifact.read",
        "catalog.read",
        "flag.read",
        "hold.read",
        "incident.read",
        "manifest.read",
        "release.read",
        "tower.read",
    }
)
_OPERATOR: Final = _VIEWER | {
    "alert.write",
    "approval.request",
    "artifact.deny",
    "artifact.sign",
    "artifact.write",
    "catalog.write",
    "flag.write",
    "hold.place",
    "incident.write",
    "ledger.read",
    "ledger.verify",
    "notification.read",
    "release.control",
    "release.deploy",
}
_SRE_LEAD: Final = _OPERATOR | {"approval.decide", "artifact.allow", "hold.lift"}
_SECURITY_APPROVER: Final = _VIEWER | {
    "approval.decide",
    "artifact.allow",
    "artifact.deny",
    "hold.lift",
    "hold.place",
    "ledger.export",
    "ledger.read",
    "ledger.verify",
}
_ADMIN: Final = (
    _SIGNED_IN
    | _SRE_LEAD
    | _SECURITY_APPROVER
    | {
        "catalog.remove",
        "database.upgrade",
        "identity.read",
        "identity.write",
        "ledger.erase",
        "platform.doctor",
        "platform.run",
        "token.issue",
        "token.read",
        "token.revoke",
    }
)

ALLOWED: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {
        "viewer": _VIEWER,
        "operator": _OPERATOR,
        "sre_lead": _SRE_LEAD,
        "security_approver": _SECURITY_APPROVER,
        "admin": _ADMIN,
    }
)
"""The table: what each role may do."""

ACTIONS: Final = _ADMIN
"""Every action that a rule knows."""


class RoleAuthorizer:
    """Decides by the table alone; the resource plays no part until policies come."""

    def decide(self, caller: Caller, action: str, resource: str) -> Verdict:
        """Return the verdict; its policy is ``roles:<role>``, ``roles:signed-in`` or ``roles:deny``."""
        del resource
        if action in _SIGNED_IN and caller.subject_id is not None:
            return Verdict(allowed=True, policy="roles:signed-in", reason="Everyone who is signed in may.")
        for role in ROLES:
            if role in caller.roles and action in ALLOWED[role]:
                return Verdict(allowed=True, policy=f"roles:{role}", reason=f"The role {role} allows it.")
        if action not in ACTIONS:
            return Verdict(allowed=False, policy="roles:deny", reason=f"no rule knows the action {action}.")
        able = ", ".join(role for role in ROLES if action in ALLOWED[role])
        return Verdict(allowed=False, policy="roles:deny", reason=f"it takes one of the roles {able}.")


def check_roles(names: Iterable[str]) -> tuple[Role, ...]:
    """Return the roles in the order of ``ROLES``, each once, or raise InvalidInput that lists the known ones."""
    asked = set(names)
    if unknown := sorted(asked.difference(ROLES)):
        raise InvalidInput(
            f"There is no role {unknown[0][:60]!r}.", next_step=f"Use some of {', '.join(ROLES)}.", field="roles"
        )
    return tuple(role for role in ROLES if role in asked)


def beyond(caller: Caller, roles: Collection[str]) -> list[str]:
    """Return the roles that this caller may not hand out: those it lacks itself, unless it is an admin."""
    return [] if "admin" in caller.roles else sorted(set(roles) - caller.roles)

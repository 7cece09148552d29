"""Which role may do what, as data, and the authorizer that reads it.

The rule is deny by default: an action that no row names is denied to everybody, admins included, so a route with a
misspelt action is closed instead of open.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, get_args

from companyos.core.access import NO_FACTS, Caller, Verdict
from companyos.core.errors import InvalidInput
from companyos.identity.model import Role, RoleRecord

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""All roles, least powerful first: the first that allows an action is the one that the ledger names."""

SIGNED_IN: Final = frozenset({"session.close"})
"""What everyone who is signed in may do."""
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
        "policy.read",
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
    "policy.decide",
    "policy.publish",
    "policy.report",
    "release.control",
    "release.deploy",
    "release.promote",
}
_SRE_LEAD: Final = _OPERATOR | {"approval.decide", "artifact.allow", "decision.read", "hold.lift", "policy.promote"}
_SECURITY_APPROVER: Final = _VIEWER | {
    "approval.decide",
    "artifact.allow",
    "artifact.deny",
    "decision.read",
    "hold.lift",
    "hold.place",
    "ledger.export",
    "ledger.read",
    "ledger.verify",
    "policy.promote",
    "policy.rollback",
}
_ADMIN: Final = (
    SIGNED_IN
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
        "policy.rollback",
        "policy.sign",
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

_DESCRIPTIONS: Final[Mapping[Role, str]] = MappingProxyType(
    {
        "viewer": "Looks at everything that is not about people.",
        "operator": "Runs services: deploys, stops, writes to the catalog.",
        "sre_lead": "Also decides approvals and lifts holds.",
        "security_approver": "Decides approvals and reads the ledger; deploys nothing.",
        "admin": "May do everything that a rule knows.",
    }
)
BUILT_IN: Final[Mapping[str, RoleRecord]] = MappingProxyType(
    {role: RoleRecord(id=role, name=role, description=_DESCRIPTIONS[role], built_in=True) for role in ROLES}
)
"""The built-in roles by name. They are code and no rows: a database cannot lose, rename or redefine them."""

ACTIONS: Final = _ADMIN
"""Every action that a rule knows."""


class RoleAuthorizer:
    """Decides by the table alone; the resource plays no part until policies come."""

    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        """Return the verdict; its policy is ``roles:<role>``, ``roles:signed-in`` or ``roles:deny``."""
        del resource, facts
        if action in SIGNED_IN and caller.subject_id is not None:
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

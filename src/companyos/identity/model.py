"""The values of identity: subjects, role bindings, tokens, login codes and sessions (playbook, prompt 2)."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from companyos.core.access import Caller

SubjectType: TypeAlias = Literal["user", "service"]
SubjectStatus: TypeAlias = Literal["active", "suspended"]
Role: TypeAlias = Literal["viewer", "operator", "sre_lead", "security_approver", "admin"]

ADMIN_NAME: Final = "admin"
"""The user that the first start makes."""


class RoleRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A role. The built-in ones have their name as id and open the platform's routes; others mean what policies say."""

    id: str
    name: str
    org_id: str | None = None
    """None means that subjects of every org may have it."""
    description: str = ""
    built_in: bool = False


class RoleBinding(msgspec.Struct, frozen=True, kw_only=True):
    """A role that a subject has, everywhere or in one workspace, for good or until a moment."""

    role: str
    """The name of the role."""
    role_id: str = ""
    """The id of the role; left out it is the name, which is the id of a built-in role."""
    workspace_id: str | None = None
    """None means everywhere. A binding in a workspace gives nothing outside of it."""
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        """Fill in the id of a built-in role."""
        if not self.role_id:
            msgspec.structs.force_setattr(self, "role_id", self.role)

    def holds(self, now: datetime, workspace_id: str | None = None) -> bool:
        """Tell whether the binding counts at this moment: everywhere, or also in the given workspace."""
        return self.workspace_id in (None, workspace_id) and (self.expires_at is None or now < self.expires_at)


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A person or a program that may ask."""

    id: str
    type: SubjectType
    name: str
    status: SubjectStatus
    created_at: datetime
    display_name: str | None = None
    email: str | None = None
    org_id: str | None = None
    workspace_id: str | None = None
    bindings: tuple[RoleBinding, ...] = ()
    revision: int = 0
    """Grows with every change of the subject, its bindings or its own attributes."""

    @property
    def actor(self) -> str:
        """How the ledger names this subject: ``user:<name>`` or ``service:<name>``."""
        return f"{self.type}:{self.name}"

    def roles(self, now: datetime, workspace_id: str | None = None) -> frozenset[str]:
        """Return the roles that count at this moment everywhere, and those that count in the given workspace."""
        return frozenset(binding.role for binding in self.bindings if binding.holds(now, workspace_id))

    def is_in(self, workspace_id: str, now: datetime) -> bool:
        """Tell whether the subject belongs to a workspace: by itself, or by a binding that holds."""
        own = self.workspace_id == workspace_id
        return own or any(one.workspace_id == workspace_id and one.holds(now, workspace_id) for one in self.bindings)

    def caller(
        self, now: datetime, *, ip: str | None = None, device: str | None = None, request_id: str | None = None
    ) -> Caller:
        """Return this subject as the asker of one request."""
        return Caller(
            subject=self.actor,
            roles=self.roles(now),
            subject_id=self.id,
            ip=ip,
            device=device,
            request_id=request_id,
        )


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; its secret is not, only the hash of it is kept."""

    id: str
    subject_id: str
    subject: str
    """The owner as the ledger names it, for example ``service:ci``."""
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """Coarse: up to an hour behind, so that a request rarely costs a write. None while the token was never used."""


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token with its secret, which is shown this once."""

    token: Token
    secret: str
    """The whole credential, ``cos_<id>_<secret>``."""


class LoginCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code that opens one browser session, once."""

    code: str
    subject: str
    expires_at: datetime


class OpenedSession(msgspec.Struct, frozen=True, kw_only=True):
    """A new browser session; the secret goes into its cookie and is not kept here."""

    secret: str
    csrf: str
    expires_at: datetime
    caller: Caller


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A browser session that was found to be good."""

    caller: Caller
    csrf: str
    expires_at: datetime


class StoredSession(msgspec.Struct, frozen=True, kw_only=True):
    """A browser session as it is kept."""

    secret_hash: str
    subject_id: str
    token_id: str | None
    """The token that opened it, with which it ends; None for one that a login code opened."""
    created_at: datetime
    expires_at: datetime

"""Who may ask: subjects, their roles, tokens and browser sessions.

The public face is ``Identity`` (use cases), ``RoleAuthorizer`` (bound into ``core.access``) and the values they return.
They are loaded when they are first used, because the command line imports ``identity.commands`` for its help.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.identity.model import (
        ADMIN_NAME,
        IssuedToken,
        LoginCode,
        OpenedSession,
        RoleBinding,
        Session,
        Subject,
        Token,
    )
    from companyos.identity.roles import ACTIONS, ROLES, RoleAuthorizer
    from companyos.identity.service import Identity

__all__ = [
    "ACTIONS",
    "ADMIN_NAME",
    "ROLES",
    "Identity",
    "IssuedToken",
    "LoginCode",
    "OpenedSession",
    "RoleAuthorizer",
    "RoleBinding",
    "Session",
    "Subject",
    "Token",
]

_HOME = dict.fromkeys(__all__, "model") | {
    "ACTIONS": "roles",
    "ROLES": "roles",
    "RoleAuthorizer": "roles",
    "Identity": "service",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

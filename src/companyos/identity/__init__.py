"""Who may ask: subjects, what is said of them, their roles, tokens and browser sessions.

The public face is ``Identity`` (use cases), ``RoleAuthorizer`` (bound into ``core.access``), ``attributes_of`` and
``DirectoryCache`` (what a decision point asks) and the values they return.
They are loaded when they are first used, because the command line imports ``identity.commands`` for its help.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.identity.attribute import Attribute, Attributes
    from companyos.identity.attributing import Profile, attributes_of
    from companyos.identity.directory import Directory, DirectoryCache
    from companyos.identity.model import (
        ADMIN_NAME,
        IssuedToken,
        LoginCode,
        OpenedSession,
        RoleBinding,
        RoleRecord,
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
    "Attribute",
    "Attributes",
    "Directory",
    "DirectoryCache",
    "Identity",
    "IssuedToken",
    "LoginCode",
    "OpenedSession",
    "Profile",
    "RoleAuthorizer",
    "RoleBinding",
    "RoleRecord",
    "Session",
    "Subject",
    "Token",
    "attributes_of",
]

_HOME = dict.fromkeys(__all__, "model") | {
    "ACTIONS": "roles",
    "ROLES": "roles",
    "RoleAuthorizer": "roles",
    "Attribute": "attribute",
    "Attributes": "attribute",
    "Directory": "directory",
    "DirectoryCache": "directory",
    "Identity": "service",
    "Profile": "attributing",
    "attributes_of": "attributing",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

"""Feature flags: what they are, what they are set to, and who changed them for which release.

The public face is ``Flags`` (use cases) and the values that they return, loaded when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.flags.definition import Definition
    from companyos.flags.model import Change, Flag, Left, TurnedBack
    from companyos.flags.service import Flags

__all__ = ["Change", "Definition", "Flag", "Flags", "Left", "TurnedBack"]

_HOME = dict.fromkeys(__all__, "model") | {"Definition": "definition", "Flags": "service"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

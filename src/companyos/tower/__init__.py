"""The Control Tower: pages over a projection of its own, which shows what is wrong, what is moving and what is unknown.

``Tower`` holds the use cases and ``Projector`` keeps the projection; both are loaded when they are first used, because
the command line imports ``tower.commands`` for its help.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.tower.model import State, TowerRow
    from companyos.tower.projector import Projector
    from companyos.tower.service import Tower

__all__ = ["Projector", "State", "Tower", "TowerRow"]

_HOME = {"Projector": "projector", "State": "model", "Tower": "service", "TowerRow": "model"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

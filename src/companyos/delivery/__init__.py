"""Releases: deployed, watched, promoted or brought back, and why.

The public face is ``Delivery`` (use cases), ``ReleasePolicy`` and the values that pages and programs get; they are
loaded when first used. The controller, which is a process of its own, is ``companyos.delivery.controller``.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from companyos.delivery.policy import ReleasePolicy
    from companyos.delivery.service import Delivery
    from companyos.delivery.view import Detail, Summary

__all__ = ["Delivery", "Detail", "ReleasePolicy", "Summary"]

_HOME = {"Delivery": "service", "Detail": "view", "ReleasePolicy": "policy", "Summary": "view"}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

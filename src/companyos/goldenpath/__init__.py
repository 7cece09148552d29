"""The golden path: what a new service begins as, and which released template it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from companyos.goldenpath.archives import load_template, template_names
    from companyos.goldenpath.creating import Created, create
    from companyos.goldenpath.rendering import render
    from companyos.goldenpath.template import Question, Template

__all__ = ["Created", "Question", "Template", "create", "load_template", "render", "template_names"]

_HOMES: Final = {
    "Created": "creating",
    "Question": "template",
    "Template": "template",
    "create": "creating",
    "load_template": "archives",
    "render": "rendering",
    "template_names": "archives",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a module attribute has any type
    """Import a name of the face when it is first asked for (PEP 562)."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)

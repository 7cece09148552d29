"""Groups of commands that are imported when somebody asks for one of them, so that ``--help`` stays quick."""

from __future__ import annotations

import importlib
from collections.abc import MutableMapping
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup


class LazyGroup(TyperGroup):
    """A group whose commands are those of a Typer application in another module; name and help are known before."""

    module: str
    """The module whose ``app`` holds the commands."""

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """The commands by name; reading this imports the module."""
        return _commands_of(self.module)

    @commands.setter
    def commands(self, value: MutableMapping[str, Any]) -> None:
        del value


def lazy(module: str) -> type[LazyGroup]:
    """Return the class of a group that takes its commands from ``app`` in the module."""
    return type("LazyGroup", (LazyGroup,), {"module": module})


@cache
def _commands_of(module: str) -> MutableMapping[str, Any]:
    app: typer.Typer = importlib.import_module(module).app
    app.rich_markup_mode = None  # rich, with its Markdown and Pygments, triples the time of a help page
    return typer.main.get_group(app).commands

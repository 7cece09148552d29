"""``companyos tower``: the projection of the Control Tower."""

from __future__ import annotations

from typing import Any

import typer

from companyos.core.console import Console, JsonOption, emit

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def tower() -> None:
    """Look after the Control Tower."""


@app.command()
def rebuild(*, json: JsonOption = False) -> None:
    """Make the rows that the Tower shows anew, from the catalog and operations."""
    from companyos.core.client import connect

    done = connect().post("/api/tower/rebuild")
    emit(done, human=lambda console: _say(console, done), json=json)


def _say(console: Console, done: dict[str, Any]) -> None:
    services, changed = done["services"], done["changed"]
    shows = f"{services} service{'' if services == 1 else 's'}"
    was = (
        f"{changed} {'was' if changed == 1 else 'were'} wrong, missing or too many" if changed else "nothing was wrong"
    )
    console.print(f"The Tower shows {shows}; {was}.")

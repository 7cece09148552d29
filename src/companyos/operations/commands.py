"""``companyos notification``: what people outside were told, and what still waits to be sent."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import typer

from companyos.core.console import Console, JsonOption, emit

app = typer.Typer(help="What people outside are told.", no_args_is_help=True)

_PAGE: Final = 500


@app.callback()
def group() -> None:
    """Keep this a group although it has one command."""


@app.command("list")
def list_(
    status: Annotated[
        Literal["waiting", "delivered", "gave_up"] | None, typer.Option(help="Only those in this status.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 1000,
    json: JsonOption = False,
) -> None:
    """List notifications, newest first, with how their delivery goes."""
    from companyos.core.client import connect

    client = connect()
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        asked = {"status": status, "limit": min(limit - len(found), _PAGE), "cursor": cursor}
        page = client.get("/api/notifications", asked)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    def human(console: Console) -> None:
        columns = ("CREATED", "KIND", "SUBJECT", "ATTEMPTS", "STATUS")
        rows = [(one["created_at"], one["kind"], one["subject"], one["attempts"], _status(one)) for one in found]
        console.table(columns, rows, empty="There is no notification.")
        if cursor is not None:
            console.print(f"There are more; --limit shows more than {limit}.")

    emit(found, human, json=json)


def _status(notification: dict[str, Any]) -> str:
    """Return how the delivery goes, in words."""
    if notification["delivered_at"]:
        return f"delivered {notification['delivered_at']}"
    error = f": {notification['last_error']}" if notification["last_error"] else ""
    if notification["gave_up_at"]:
        return f"given up {notification['gave_up_at']}{error}"
    return f"waiting until {notification['next_at']}{error}"

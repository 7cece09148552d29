"""``companyos db``: the schema of the database, worked on directly, because a server needs the schema first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from companyos.core.console import Console, JsonOption, emit

if TYPE_CHECKING:
    from companyos.core.schema import Plan

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def database() -> None:
    """Look after the schema of the database."""


@app.command("upgrade")
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the statements and change nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Bring the schema to this release's; nothing is done when it is there already."""
    from companyos.cli.guard import allow
    from companyos.cli.steps import upgrade_database

    local = allow("database.upgrade", "database:companyos")
    local.home.create()
    plan = upgrade_database(local, dry_run=dry_run)
    document = {"dry_run": dry_run, "current": plan.current, "target": plan.target, "pending": plan.pending}
    emit(document | ({"sql": plan.sql} if dry_run else {}), lambda console: _show(console, plan, dry_run), json=json)


def _show(console: Console, plan: Plan, dry_run: bool) -> None:
    if not plan.pending:
        console.print(f"The schema is that of this release already ({plan.target}).")
        return
    console.print(f"{'Would upgrade' if dry_run else 'Upgraded'} from {plan.current or 'nothing'} to {plan.target}:")
    for revision in plan.pending:
        console.print(f"  {revision}")
    if dry_run:
        console.print(plan.sql)

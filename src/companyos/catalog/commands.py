"""``companyos service``: what there is, who owns it, and what runs where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from companyos.catalog import printing
from companyos.core.console import Console, JsonOption, emit

app = typer.Typer(help="Services, their owners and what runs where.", no_args_is_help=True)

_PAGE: Final = 500

NameArgument = Annotated[str, typer.Argument(help="The name of the service.")]
Words = Annotated[list[str] | None, typer.Option(help="May be repeated.")]


@app.command()
def add(  # noqa: PLR0913, PLR0917 - each option of a command is an argument
    name: NameArgument,
    owner: Annotated[str | None, typer.Option(help="The team that owns it; without one it counts as unowned.")] = None,
    domain: Annotated[str | None, typer.Option(help="The part of the business it belongs to.")] = None,
    tier: Annotated[str | None, typer.Option(help="How critical it is, in your words.")] = None,
    lifecycle: Annotated[str | None, typer.Option(help="For example experimental or production.")] = None,
    description: Annotated[str | None, typer.Option(help="What it does, in one sentence.")] = None,
    region: Words = None,
    environment: Words = None,
    depends_on: Words = None,
    json: JsonOption = False,
) -> None:
    """Add a service by hand."""
    from companyos.core.client import connect

    facts = {
        "owner": owner,
        "domain": domain,
        "tier": tier,
        "lifecycle": lifecycle,
        "description": description,
        "regions": region,
        "environments": environment,
        "depends_on": depends_on,
    }
    service = connect().post("/api/services", {"name": name, **{fact: said for fact, said in facts.items() if said}})
    emit(service, lambda console: console.print(f"Added {name}, {printing.owner(service)}."), json=json)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A companyos.yaml or catalog-info.yaml, or a folder to look into.")],
    source: Annotated[str, typer.Option(help="Address of the repository, to stand before each path.")] = "",
    json: JsonOption = False,
) -> None:
    """Import manifests and Backstage entities: all that are found, or none when one is broken."""
    from companyos.catalog.walk import read_sources
    from companyos.core.client import connect

    files = read_sources(path, prefix=source)
    report = connect().post("/api/services/import", {"files": files})
    emit(report, lambda console: printing.show_import(console, report), json=json)


@app.command("list")
def list_(  # noqa: PLR0913, PLR0917 - each option of a command is an argument
    domain: Annotated[str | None, typer.Option(help="Only those of this domain.")] = None,
    region: Annotated[str | None, typer.Option(help="Only those in this region.")] = None,
    tier: Annotated[str | None, typer.Option(help="Only those of this tier.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only those of this team.")] = None,
    unowned: Annotated[bool, typer.Option("--unowned", help="Only those that nobody owns.")] = False,
    text: Annotated[str | None, typer.Option(help="Part of the name, the description or the owner.")] = None,
    sort: Annotated[str, typer.Option(help="name, owner, domain, tier or updated_at; -name turns it round.")] = "name",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 1000,
    json: JsonOption = False,
) -> None:
    """List services."""
    from companyos.core.client import connect

    client = connect()
    asked = {
        "domain": domain,
        "region": region,
        "tier": tier,
        "owner": owner,
        "ownership": "unowned" if unowned else None,
        "text": text,
        "sort": sort,
    }
    found: list[dict[str, Any]] = []
    total, cursor = 0, None
    while len(found) < limit:
        page = client.get("/api/services", {**asked, "limit": min(limit - len(found), _PAGE), "cursor": cursor})
        found += page["items"]
        total, cursor = page["total"], page["next_cursor"]
        if cursor is None:
            break

    def human(console: Console) -> None:
        console.table(printing.COLUMNS, [printing.row(service) for service in found], empty="No service matches.")
        if found:
            console.print(f"{len(found)} of {total} services.")

    emit(found, human, json=json)


@app.command()
def show(name: NameArgument, json: JsonOption = False) -> None:
    """Show a service: each fact with who said it and when, and what runs where."""
    from urllib.parse import quote

    from companyos.core.client import connect

    client = connect()
    service = client.get(f"/api/services/{quote(name, safe='')}")
    runs = client.get(f"/api/services/{quote(name, safe='')}/deployments", {"limit": _PAGE})["items"]
    emit({**service, "deployments": runs}, lambda console: printing.show_service(console, service, runs), json=json)


@app.command()
def remove(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove a service that no other depends on and that runs nowhere."""
    import sys
    from urllib.parse import quote

    from companyos.core.client import connect
    from companyos.core.errors import InvalidInput

    client = connect()
    path = f"/api/services/{quote(name, safe='')}"
    known = client.ask("GET", path)
    if not yes:
        if json or not sys.stdin.isatty():
            raise InvalidInput(f"Nobody is here to ask whether {name} shall go.", next_step="Say so with --yes.")
        typer.confirm(f"Remove {name}, {printing.owner(known.value)}?", abort=True, err=True)
    client.delete(path, headers={"If-Match": known.headers["etag"]})
    emit({"name": name, "removed": True}, lambda console: console.print(f"Removed {name}."), json=json)


@app.command()
def schema(json: JsonOption = False) -> None:
    """Print the JSON Schema of companyos.yaml, for editors and CI."""
    from companyos.core.client import connect

    emit(connect().get("/api/manifest-schema"), json=json)

"""``companyos token``: tokens for people and services, and a link that signs somebody in once."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from companyos.core.console import Console, JsonOption, emit

app = typer.Typer(help="Tokens of people and services.", no_args_is_help=True)

_PAGE: Final = 500


@app.command()
def issue(
    name: Annotated[str, typer.Argument(help="The subject it is for; made when it is missing.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="viewer, operator, sre_lead, security_approver or admin; may be repeated."),
    ] = None,
    type: Annotated[str, typer.Option(help="service or user.")] = "service",
    ttl: Annotated[str, typer.Option(help="How long it lives, as 90m, 12h or 30d.")] = "30d",
    label: Annotated[str, typer.Option(help="What it is for, to tell it from others.")] = "",
    json: JsonOption = False,
) -> None:
    """Issue a token and show its secret, this once."""
    from companyos.core.client import connect
    from companyos.identity.ttl import parse_ttl

    asked = {"name": name, "type": type, "roles": role or [], "ttl_s": parse_ttl(ttl), "label": label}
    issued = connect().post("/api/tokens", asked)

    def human(console: Console) -> None:
        token = issued["token"]
        console.print(issued["secret"])
        console.print()
        console.print(f"For {token['subject']}, until {token['expires_at']}. It is not shown again.")
        console.print(f"Take it back with: companyos token revoke {token['id']}")

    emit(issued, human, json=json)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 1000,
    json: JsonOption = False,
) -> None:
    """List tokens, oldest first; never their secrets."""
    from companyos.core.client import connect

    client = connect()
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = client.get("/api/tokens", {"limit": min(limit - len(found), _PAGE), "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    def human(console: Console) -> None:
        columns = ("ID", "SUBJECT", "LABEL", "EXPIRES", "LAST USED", "STATE")
        rows = [
            (
                token["id"],
                token["subject"],
                token["label"],
                token["expires_at"] or "never",
                token["last_used_at"] or "never",
                f"revoked {token['revoked_at']}" if token["revoked_at"] else "",
            )
            for token in found
        ]
        console.table(columns, rows, empty="There is no token.")
        if cursor is not None:
            console.print(f"There are more; --limit shows more than {limit}.")

    emit(found, human, json=json)


@app.command()
def revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id, from `companyos token list`.")],
    json: JsonOption = False,
) -> None:
    """Revoke a token and end the browser sessions that it opened."""
    from urllib.parse import quote

    from companyos.core.client import connect

    connect().delete(f"/api/tokens/{quote(id, safe='')}")
    emit({"id": id, "revoked": True}, lambda console: console.print(f"Token {id} is refused from now on."), json=json)


@app.command()
def link(
    user: Annotated[str | None, typer.Option(help="Whom it signs in; without it you, or the first admin.")] = None,
    json: JsonOption = False,
) -> None:
    """Print a link that signs somebody in with a browser, once."""
    from companyos.core.client import connect
    from companyos.core.home import find_home
    from companyos.core.settings import load

    client = connect()
    issued = client.post("/api/login-codes", {"user": user})
    runs = client.place.startswith(("http://", "https://"))
    base = issued["public_url"]
    if not base and runs:
        base = client.place
    if not base:
        settings = load(find_home())
        base = f"http://{settings.host}:{settings.port}"
    url = f"{base.rstrip('/')}{issued['path']}"

    def human(console: Console) -> None:
        console.print(url)
        console.print(f"It signs {issued['subject']} in once, until {issued['expires_at']}.")
        if not runs:
            console.print("No server runs here yet; start it with: companyos up")

    emit({"url": url, "subject": issued["subject"], "expires_at": issued["expires_at"]}, human, json=json)

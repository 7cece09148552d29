"""``companyos identity``: subjects with their roles and attributes, roles of a company's own, and imports."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from companyos.core.console import Console, JsonOption, emit

if TYPE_CHECKING:
    from companyos.core.api import Client

app = typer.Typer(help="Subjects, their roles and what is said of them.", no_args_is_help=True)
roles = typer.Typer(help="Roles: the built-in ones and those of the company.", no_args_is_help=True)
app.add_typer(roles, name="role")

_PAGE: Final = 500
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

SubjectArgument = Annotated[str, typer.Argument(help="user:NAME, service:NAME or an id; NAME alone is a user.")]
HolderArgument = Annotated[
    str, typer.Argument(help="A subject as user:NAME, service:NAME or its id, or org:ID, or workspace:ID.")
]
WorkspaceOption = Annotated[str | None, typer.Option(help="The id of a workspace.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 1000,
    *,
    json: JsonOption = False,
) -> None:
    """List subjects with their roles, oldest first."""
    from companyos.core.client import connect

    found, more = _all(connect(), "/api/subjects", limit)

    def human(console: Console) -> None:
        rows = [
            (f"{one['type']}:{one['name']}", one["status"], one["org_id"], one["workspace_id"], _roles(one), one["id"])
            for one in found
        ]
        console.table(("SUBJECT", "STATUS", "ORG", "WORKSPACE", "ROLES", "ID"), rows, empty="There is no subject.")
        if more:
            console.print(f"There are more; --limit shows more than {limit}.")

    emit(found, human, json=json)


@app.command()
def show(subject: SubjectArgument, workspace: WorkspaceOption = None, *, json: JsonOption = False) -> None:
    """Show a subject as a policy sees it now, and who said what of it."""
    from companyos.core.client import connect

    profile = connect().get(f"/api/identity/subjects/{_quoted(_subject(subject))}", {"workspace_id": workspace})

    def human(console: Console) -> None:
        one = profile["subject"]
        console.print(f"{one['type']}:{one['name']}, {one['status']}")
        where = f" in {profile['workspace_id']}" if profile["workspace_id"] else ""
        console.print(f"Roles{where}: {', '.join(profile['roles']) or 'none'}")
        console.print()
        rows = [
            (said["name"], _shown(said["value"]), _state(said, profile), _place(said), said["source"])
            for said in profile["said"]
        ]
        console.table(("ATTRIBUTE", "VALUE", "STATE", "SAID OF", "SOURCE"), rows, empty="Nothing is said of it.")

    emit(profile, human, json=json)


@app.command("set")
def set_(
    holder: HolderArgument,
    name: Annotated[str, typer.Argument(help="The name of the attribute.")],
    value: Annotated[str, typer.Argument(help="A text, a number, true, false, null, or a list as [a, b].")],
    ttl: Annotated[str | None, typer.Option(help="How long it holds, as 90m, 12h or 30d; for ever without.")] = None,
    source: Annotated[str | None, typer.Option(help="Who says so; you without.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Say something of a subject, an org or a workspace."""
    from companyos.core.client import connect
    from companyos.core.documents import Limits, parse_yaml_documents
    from companyos.identity.ttl import parse_ttl

    documents = parse_yaml_documents(value.encode(), where="The value", limits=Limits(bytes=4096, depth=3, nodes=100))
    asked = {
        "value": documents[0] if documents else None,
        "ttl": None if ttl is None else parse_ttl(ttl),
        "source": source,
    }
    said = connect().put(_attribute(holder, name), asked)
    emit(said, lambda console: console.print(f"{holder}: {name} is {_shown(said['value'])}{_until(said)}."), json=json)


@app.command()
def unset(
    holder: HolderArgument,
    name: Annotated[str, typer.Argument(help="The name of the attribute.")],
    *,
    json: JsonOption = False,
) -> None:
    """Remove what is said; a more general statement of that name counts from then on."""
    from companyos.core.client import connect

    connect().delete(_attribute(holder, name))
    done = {"holder": holder, "name": name, "removed": True}
    emit(done, lambda console: console.print(f"Of {holder} no {name} is said any more."), json=json)


@app.command()
def bind(
    subject: SubjectArgument,
    role: Annotated[str, typer.Argument(help="The name of the role.")],
    workspace: WorkspaceOption = None,
    ttl: Annotated[str | None, typer.Option(help="How long it counts, as 90m, 12h or 30d; for good without.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Give a subject a role, everywhere or in a workspace."""
    from companyos.core.client import connect
    from companyos.core.clock import SystemClock, rfc3339
    from companyos.identity.ttl import parse_ttl

    ends: datetime | None = None if ttl is None else SystemClock().now() + timedelta(seconds=parse_ttl(ttl))
    asked = {"workspace_id": workspace, "expires_at": ends and rfc3339(ends)}
    known = _subject(subject)
    changed = connect().put(f"/api/identity/subjects/{_quoted(known)}/roles/{_quoted(role)}", asked)
    emit(changed, lambda console: console.print(f"{known} has the roles {_roles(changed)}."), json=json)


@app.command()
def unbind(
    subject: SubjectArgument,
    role: Annotated[str, typer.Argument(help="The name of the role.")],
    workspace: WorkspaceOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Take a role from a subject: the one that counts everywhere, or the one in a workspace."""
    from companyos.core.client import connect

    known = _subject(subject)
    path = f"/api/identity/subjects/{_quoted(known)}/roles/{_quoted(role)}"
    answer = connect().ask("DELETE", path, params={"workspace_id": workspace}).value
    emit(answer, lambda console: console.print(f"{known} has the roles {_roles(answer)}."), json=json)


@app.command()
def suspend(subject: SubjectArgument, *, json: JsonOption = False) -> None:
    """Refuse every token and session of a subject from now on; it has no roles and no attributes meanwhile."""
    _set_status(subject, "suspended", json=json)


@app.command()
def activate(subject: SubjectArgument, *, json: JsonOption = False) -> None:
    """Take the tokens of a suspended subject again."""
    _set_status(subject, "active", json=json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="YAML or JSON with roles, subjects, orgs and workspaces.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,  # noqa: FBT002 - a Typer option
    *,
    json: JsonOption = False,
) -> None:
    """Import roles, subjects and attributes: all of a file, or nothing when anything in it is wrong."""
    from companyos.core import durable
    from companyos.core.client import connect
    from companyos.identity.document import LIMITS

    body = durable.read(file, limit_bytes=LIMITS.bytes)
    media_type = "application/json" if file.suffix == ".json" else "application/yaml"
    report = (
        connect()
        .ask(
            "POST",
            "/api/identity/import",
            params={"dry_run": dry_run},
            content=body,
            headers={"content-type": media_type},
        )
        .value
    )

    def human(console: Console) -> None:
        for change in report["changes"]:
            console.print(" ".join(word for word in (change["action"], change["target"], change["what"]) if word))
        verb = "would change" if report["dry_run"] else "changed"
        console.print(f"{len(report['changes'])} {verb}, {report['unchanged']} are so already.")

    emit(report, human, json=json)


@roles.command("list")
def list_roles(*, json: JsonOption = False) -> None:
    """List the built-in roles and behind them the company's own."""
    from companyos.core.client import connect

    found = connect().get("/api/identity/roles")

    def human(console: Console) -> None:
        rows = [
            (one["name"], "built in" if one["built_in"] else one["id"], one["org_id"], one["description"])
            for one in found
        ]
        console.table(("ROLE", "ID", "ORG", "DESCRIPTION"), rows)

    emit(found, human, json=json)


@roles.command("create")
def create_role(
    name: Annotated[str, typer.Argument(help="What it is called, in policies too.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    org: Annotated[str | None, typer.Option(help="Only for subjects of this org.")] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Create a role, which means what policies say of it."""
    from companyos.core.client import connect

    role = connect().post("/api/identity/roles", {"name": name, "description": description, "org_id": org})
    emit(role, lambda console: console.print(f"Created the role {name}, {role['id']}."), json=json)


@roles.command("delete")
def delete_role(name: Annotated[str, typer.Argument(help="Its name or its id.")], *, json: JsonOption = False) -> None:
    """Delete a role that nobody has."""
    from companyos.core.client import connect

    connect().delete(f"/api/identity/roles/{_quoted(name)}")
    emit({"role": name, "deleted": True}, lambda console: console.print(f"The role {name} is gone."), json=json)


def _set_status(subject: str, status: str, *, json: bool) -> None:
    from companyos.core.client import connect

    known = _subject(subject)
    changed = connect().patch(f"/api/subjects/{_quoted(known)}", {"status": status})
    emit(changed, lambda console: console.print(f"{known} is {changed['status']}."), json=json)


def _subject(text: str) -> str:
    """Return how the platform names a subject; a bare name is that of a user."""
    return text if ":" in text or _UUID.fullmatch(text) else f"user:{text}"


def _attribute(holder: str, name: str) -> str:
    kind, _, id_ = holder.partition(":")
    if kind not in ("org", "workspace"):
        kind, id_ = "subject", _subject(holder)
    return f"/api/identity/attributes/{kind}/{_quoted(id_)}/{_quoted(name)}"


def _quoted(part: str) -> str:
    return quote(part, safe=":")


def _all(client: Client, path: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Return up to ``limit`` items of a list, and whether there are more."""
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = client.get(path, {"limit": min(limit - len(found), _PAGE), "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found, False
    return found, True


def _roles(subject: dict[str, Any]) -> str:
    def told(binding: dict[str, Any]) -> str:
        where = f" in {binding['workspace_id']}" if binding["workspace_id"] else ""
        until = f" until {binding['expires_at'][:19]}Z" if binding["expires_at"] else ""
        return f"{binding['role']}{where}{until}"

    return ", ".join(told(binding) for binding in subject["bindings"]) or "none"


def _shown(value: object) -> str:
    import json as stdlib_json

    return value if isinstance(value, str) else stdlib_json.dumps(value, ensure_ascii=False)


def _state(said: dict[str, Any], profile: dict[str, Any]) -> str:
    specific = [one["scope"] for one in profile["said"] if one["name"] == said["name"]]
    if any(scope in specific for scope in _MORE_SPECIFIC[said["scope"]]):
        return "covered"
    if said["name"] in profile["attributes"]:
        return f"holds{_until(said)}"
    return "stale" if said["name"] in profile["stale"] else "suspended"


_MORE_SPECIFIC: Final = {"subject": (), "workspace": ("subject",), "org": ("workspace", "subject")}


def _until(said: dict[str, Any]) -> str:
    if said["ttl"] is None:
        return ""
    ends = datetime.fromisoformat(said["set_at"]) + timedelta(seconds=said["ttl"])
    return f" until {ends:%Y-%m-%dT%H:%M:%S}Z"


def _place(said: dict[str, Any]) -> str:
    holder = said["subject_id"] or said["org_id"] or said["workspace_id"]
    return "itself" if said["scope"] == "subject" else f"{said['scope']}:{holder}"

"""``companyos ship``, ``companyos deploy`` and ``companyos release``: from a repository to a release, and back.

Exit codes of a command that follows a release: 0 it was promoted (one that still bakes counts) · 1 it was rolled back
or refused · 3 it was held or undecided when the time was over, or the platform cannot be asked · 130 ended by Ctrl-C,
and the release goes on.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from companyos.core.console import Console, JsonOption, emit, progress

if TYPE_CHECKING:
    from companyos.core.api import Client
    from companyos.delivery.model import CommandKind
    from companyos.delivery.policy import ReleasePolicy

app = typer.Typer(help="Releases: on their way, promoted, rolled back.", no_args_is_help=True)

_PAGE: Final = 500
_TIMEOUT_S: Final = 14_400.0


class Until(StrEnum):
    """What somebody waits for."""

    final = "final"
    promoted = "promoted"


ReleaseArgument = Annotated[str, typer.Argument(help="The id of a release, or service@version for the newest of it.")]
ReasonOption = Annotated[str, typer.Option(help="Why, in one sentence; it goes into the ledger.")]
EnvironmentOption = Annotated[str, typer.Option(help="Where the release runs.")]
FlagsOption = Annotated[
    list[str] | None, typer.Option("--turn-on", help="A flag to turn on while the release runs. May be repeated.")
]
PolicyOption = Annotated[
    Path | None, typer.Option(help="A YAML or JSON file with a release policy, instead of the manifest's.")
]
TimeoutOption = Annotated[float, typer.Option(min=0, help="After so many seconds without an end: exit code 3.")]


def ship(  # noqa: PLR0913, PLR0917 - each option of a command is an argument
    repository: Annotated[Path, typer.Argument(help="A git repository with a companyos.yaml.")] = Path(),
    environment: EnvironmentOption = "production",
    turn_on: FlagsOption = None,
    policy: PolicyOption = None,
    timeout: TimeoutOption = _TIMEOUT_S,
    detach: Annotated[bool, typer.Option("--detach", help="End when the release is accepted.")] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Ship the last commit although files have changed since.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Run make check (or test) of the repository first, when it has one."),
    ] = True,
    json: JsonOption = False,
) -> None:
    """Ship the last commit: check, build, put, register, sign, deploy, watch.

    Exit code 0 promoted, 1 rolled back or refused, 3 undecided after --timeout.
    """
    from companyos.core.client import connect
    from companyos.delivery import shipping

    order = shipping.Order(
        repository=repository,
        environment=environment,
        flags=tuple(turn_on or ()),
        policy=_policy(policy),
        allow_dirty=allow_dirty,
        check=check,
    )
    client = connect()
    made = shipping.ship(client, order)
    if detach:
        _accepted(made["release"], made, json=json)
    else:
        _follow(client, made["release"]["id"], until=Until.promoted, timeout=timeout, made=made, json=json)


def deploy(
    digest: Annotated[str, typer.Argument(help="sha256:… of an artifact that is stored and signed.")],
    environment: EnvironmentOption = "production",
    turn_on: FlagsOption = None,
    policy: PolicyOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the release until it is promoted.")] = False,
    timeout: TimeoutOption = _TIMEOUT_S,
    json: JsonOption = False,
) -> None:
    """Deploy an artifact; with --watch the exit code says how that went, as with ship."""
    from companyos.core.client import connect
    from companyos.delivery import shipping

    chosen = _policy(policy)
    client = connect()
    release = shipping.deploy(client, digest, environment=environment, flags=tuple(turn_on or ()), policy=chosen)
    if not watch:
        _accepted(release, release, json=json)
        return
    progress(f"{release['name']} to {environment} as {release['id']}")
    _follow(client, release["id"], until=Until.promoted, timeout=timeout, made={}, json=json)


@app.command("list")
def list_(
    service: Annotated[str | None, typer.Option(help="Only those of this service.")] = None,
    in_flight: Annotated[bool, typer.Option("--in-flight", help="Only those that have not ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    json: JsonOption = False,
) -> None:
    """List releases, newest first."""
    from companyos.core.client import connect
    from companyos.delivery import printing
    from companyos.delivery.view import Summary

    client = connect()
    asked = {"service": service, "in_flight": True if in_flight else None}
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        page = client.get("/api/releases", {**asked, "limit": min(limit - len(found), _PAGE), "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    def human(console: Console) -> None:
        from companyos.delivery.watching import typed

        rows = [printing.row(typed(release, Summary)) for release in found]
        console.table(printing.COLUMNS, rows, empty="There is no release.")

    emit(found, human, json=json)


@app.command()
def show(release: ReleaseArgument, json: JsonOption = False) -> None:
    """Show a release: ladder, indicators, history, rollback plan, diagnostics."""
    from companyos.core.client import connect
    from companyos.delivery import printing, watching
    from companyos.delivery.view import Detail

    document = watching.find(connect(), release)

    def human(console: Console) -> None:
        for line in printing.show(watching.typed(document, Detail)):
            console.print(line)

    emit(document, human, json=json)


@app.command()
def watch(
    release: ReleaseArgument,
    until: Annotated[Until, typer.Option(help="What to wait for: the end, or that it is promoted.")] = Until.final,
    timeout: TimeoutOption = _TIMEOUT_S,
    json: JsonOption = False,
) -> None:
    """Follow a release to its end: 0 promoted, 1 rolled back, 3 undecided after --timeout."""
    from companyos.core.client import connect
    from companyos.delivery import watching

    client = connect()
    found = watching.find(client, release)
    _follow(client, found["id"], until=until, timeout=timeout, made=None, json=json)


@app.command()
def hold(release: ReleaseArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Hold a release where it stands."""
    _command(release, "hold", reason, json=json)


@app.command()
def resume(release: ReleaseArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Let a release go on that a person has held."""
    _command(release, "resume", reason, json=json)


@app.command()
def promote(release: ReleaseArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Promote a release at once, without the steps that are left."""
    _command(release, "promote", reason, json=json)


@app.command()
def abort(release: ReleaseArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Bring a release back that is on its way."""
    _command(release, "abort", reason, json=json)


@app.command()
def rollback(release: ReleaseArgument, reason: ReasonOption, json: JsonOption = False) -> None:
    """Bring a release back, also one that is promoted or steady."""
    _command(release, "rollback", reason, json=json)


@app.command()
def replay(
    policy: Annotated[Path, typer.Option(help="A YAML or JSON file with a release policy.")],
    service: Annotated[str | None, typer.Option(help="Only releases of this service.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="How many of the newest releases.")] = 200,
    json: JsonOption = False,
) -> None:
    """Decide recorded releases again under another policy, and show what would have been different."""
    from companyos.core.client import connect
    from companyos.delivery import printing
    from companyos.delivery.requests import policy_from_file
    from companyos.delivery.view import Difference
    from companyos.delivery.watching import typed

    asked = {"policy": policy_from_file(policy), "service": service, "limit": limit}
    found = connect().post("/api/replays", {name: value for name, value in asked.items() if value is not None})

    def human(console: Console) -> None:
        differences = [typed(item, Difference) for item in found["items"]]
        if differences:
            console.table(printing.DIFFERENCE_COLUMNS, [printing.difference_row(item) for item in differences])
        console.print(printing.replayed(differences))

    emit(found, human, json=json)


def _policy(path: Path | None) -> ReleasePolicy | None:
    if path is None:
        return None
    from companyos.delivery.requests import policy_from_file

    return policy_from_file(path)


def _accepted(release: dict[str, Any], document: dict[str, Any], *, json: bool) -> None:
    def human(console: Console) -> None:
        console.print(f"{release['name']} is accepted for {release['environment']} as {release['id']}.")
        console.print(f"Watch it: companyos release watch {release['id']}")

    emit(document, human, json=json)


def _follow(client: Client, id: str, *, until: Until, timeout: float, made: dict[str, Any] | None, json: bool) -> None:
    """Watch a release, say how it ended, and end with the exit code of that; ``made`` goes along in JSON."""
    from companyos.delivery import watching
    from companyos.delivery.view import Detail

    ended, document = watching.watch(client, id, until=until.value, timeout_s=timeout)

    def human(console: Console) -> None:
        for line in watching.ending(watching.typed(document, Detail), ended):
            console.print(line)

    emit({**(made or {}), "outcome": ended, "release": document}, human, json=json)
    raise typer.Exit(watching.EXIT_CODES[ended])


def _command(release: str, kind: CommandKind, reason: str, *, json: bool) -> None:
    """Ask something of a release, wait shortly, and say what became of it: exit code 3 when nothing did yet."""
    from companyos.core.client import connect
    from companyos.delivery import watching

    client = connect()
    found = watching.find(client, release)
    asked = watching.ask(client, found["id"], kind, reason)
    done, sentence, document = watching.effect(client, asked, kind)
    emit({"done": done, "sentence": sentence, "release": document}, lambda console: console.print(sentence), json=json)
    if not done:
        raise typer.Exit(watching.EXIT_CODES["undecided"])

"""``companyos policy``: policies on their way from a folder to production.

Exit codes: 0 done, or nothing stands against it · 1 refused, blocked, or a test fails · 2 the input is wrong · 3 could
not find out. What works on files alone is in ``drafting.commands``, what keeps a platform well in ``keeping.commands``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from companyos.core.console import Console, JsonOption, emit
from companyos.policy.drafting.commands import drafts
from companyos.policy.keeping.commands import keeping, log
from companyos.policy.model import Stage

app = typer.Typer(help="Policies: written, tested, signed, promoted, explained.", no_args_is_help=True)
for _name, _command in (*drafts, *keeping):
    app.command(_name)(_command)
app.add_typer(log, name="log")

_PAGE: Final = 200
_GZIP: Final = {"content-type": "application/gzip"}

StageOption = Annotated[Stage, typer.Option(help="dev, staging or prod.")]
ReasonOption = Annotated[str, typer.Option(help="Why, in one sentence; it goes into the ledger.")]
BundleArgument = Annotated[str, typer.Argument(help="<domain>/<service>")]


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(help="What `companyos policy build` wrote.")],
    stage: StageOption = "dev",
    out: Annotated[Path | None, typer.Option(help="Where the signed bundle goes; in place of the file itself.")] = None,
    json: JsonOption = False,
) -> None:
    """Have a bundle signed for a stage; the key stays with the platform."""
    import base64

    from companyos.core.client import connect
    from companyos.policy.drafting.files import read_bundle, write

    answer = connect().ask(
        "POST", "/api/policy/signatures", params={"stage": stage}, content=read_bundle(file), headers=_GZIP
    )
    signed = answer.value
    target = out or file
    write(target, base64.b64decode(signed.pop("bundle")))
    emit(
        {**signed, "file": str(target)},
        lambda console: console.print(f"Signed {target} for {stage} with the key {signed['key_id'][:16]}…."),
        json=json,
    )


@app.command()
def promote(
    bundle_file: Annotated[str, typer.Argument(help="A signed bundle, or <domain>/<service>@<version>.")],
    to: Annotated[Stage, typer.Option(help="Where it shall be active; a file goes to dev.")] = "dev",
    reason: ReasonOption = "Promoted from the command line.",
    acknowledge: Annotated[
        list[str] | None,
        typer.Option(help="A difference that the replay has shown, as NAME=COUNT; may be repeated."),
    ] = None,
    without_replay: Annotated[
        bool, typer.Option("--without-replay", help="Sign off that the replay says nothing, or little.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what it would change and what stands against it; change nothing.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Promote a version to the next stage, or say everything that stands against it (exit code 1)."""
    from companyos.core.client import connect
    from companyos.policy import printing
    from companyos.policy.drafting.files import named, read_bundle

    client = connect()
    file = Path(bundle_file)
    if file.is_file():
        published = client.ask("POST", "/api/policy/bundles", content=read_bundle(file), headers=_GZIP).value
        bundle_id, version = published["bundle_id"], published["version"]
    else:
        bundle_id, version = named(bundle_file)
    order = {
        "bundle_id": bundle_id,
        "version": version,
        "stage": to,
        "reason": reason,
        "acknowledged": dict(map(printing.acknowledged, acknowledge or ())),
        "without_replay": without_replay,
        "dry_run": dry_run,
    }
    told = client.post("/api/policy/promotions", order)
    emit(told, lambda console: printing.promotion(console, told), json=json)
    if told["outcome"] == "blocked":
        raise typer.Exit(1)


@app.command()
def rollback(
    bundle: BundleArgument,
    stage: StageOption = "prod",
    version: Annotated[
        str | None, typer.Option(help="Which lower version; the one before, unless it was taken back.")
    ] = None,
    reason: ReasonOption = "Rolled back from the command line.",
    local: Annotated[
        bool, typer.Option("--local", help="Work on the home's files as their owner, whom no policy can lock out.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Go back to a lower version that was active in the stage before; it never goes up."""
    from companyos.core.client import connect
    from companyos.policy import printing

    done: Any
    if local:
        from companyos.policy.local import roll_back

        done = roll_back(bundle, stage, version=version, reason=reason)
    else:
        order = {"bundle_id": bundle, "stage": stage, "version": version, "reason": reason}
        done = connect().post("/api/policy/rollbacks", order)
    emit(done, lambda console: console.print(printing.went_back(done)), json=json)


@app.command()
def history(
    bundle: BundleArgument,
    stage: Annotated[Stage | None, typer.Option(help="Only of this stage.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    json: JsonOption = False,
) -> None:
    """List what became active, newest first."""
    from companyos.core.client import connect
    from companyos.policy import printing
    from companyos.policy.base import check_bundle_id

    client = connect()
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < limit:
        asked = {"stage": stage, "limit": min(limit - len(found), _PAGE), "cursor": cursor}
        page = client.get(f"/api/policy/history/{check_bundle_id(bundle)}", asked)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    emit(found, lambda console: printing.history(console, found), json=json)


@app.command()
def decide(
    file: Annotated[Path, typer.Argument(help="A request as JSON or YAML; - reads standard input.")],
    bundle: Annotated[str | None, typer.Option(help="Which bundle decides; the platform chooses otherwise.")] = None,
    json: JsonOption = False,
) -> None:
    """Ask the platform for a decision; exit code 1 when it denies."""
    from companyos.core.client import connect
    from companyos.core.documents import parse_yaml_documents
    from companyos.core.errors import InvalidInput
    from companyos.policy.drafting.files import read_bundle

    data = sys.stdin.buffer.read() if str(file) == "-" else read_bundle(file)
    documents = parse_yaml_documents(data, where=str(file))
    if len(documents) != 1:
        raise InvalidInput(f"{file} holds {len(documents)} documents.", next_step="Give one request.")
    params = {"bundle": bundle} if bundle else None
    told = connect().ask("POST", "/v1/authorize", params=params, json=documents[0]).value

    def human(console: Console) -> None:
        console.print(f"{told['decision']}: {told['reason']}")
        for owed in told.get("obligation_details", []):
            console.print(f"  owes {owed['id']} ({owed['type']})")
        console.print(f"Why: companyos policy explain {told['audit_id']}")

    emit(told, human, json=json)
    if told["decision"] != "allow":
        raise typer.Exit(1)


@app.command()
def explain(
    audit_id: Annotated[str, typer.Argument(help="The audit_id of a decision.")], json: JsonOption = False
) -> None:
    """Say which rule decided, at which line, with which values."""
    from companyos.core.client import connect
    from companyos.policy import printing

    told = connect().get(f"/api/policy/decisions/{audit_id}")
    emit(told, lambda console: printing.explanation(console, told), json=json)

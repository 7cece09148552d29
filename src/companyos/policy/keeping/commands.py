"""``companyos policy list | keys | renew | log``: what is active, whom to trust, and whether the log is whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import typer

from companyos.core.console import JsonOption, emit
from companyos.policy.model import Stage

log = typer.Typer(help="The log of decisions: verified, and erased for a subject.", no_args_is_help=True)

BundleArgument = Annotated[str, typer.Argument(help="<domain>/<service>")]


def list_bundles(json: JsonOption = False) -> None:
    """List which version of every bundle is active in which stage, and what failed to become active."""
    from companyos.core.client import connect
    from companyos.policy import printing

    found = connect().get("/api/policy/stages")
    emit(found, lambda console: printing.stages(console, found), json=json)


def keys(
    stage: Annotated[Stage | None, typer.Option(help="Only of this stage.")] = None, json: JsonOption = False
) -> None:
    """Print the public keys that sign bundles, as PEM: for embedded deciders, and for a stock OPA."""
    from companyos.core.client import connect
    from companyos.policy import printing
    from companyos.policy.trusting import PURPOSE

    stages = {purpose: one for one, purpose in PURPOSE.items() if stage in {None, one}}
    published = connect().get("/.well-known/companyos-keys.json")["keys"]
    found: list[dict[str, Any]] = [
        {"stage": stages[key["purpose"]], **key} for key in published if key["purpose"] in stages
    ]
    emit({"keys": found}, lambda console: printing.keys(console, found), json=json)


def renew(
    bundle: BundleArgument,
    stage: Annotated[Stage, typer.Option(help="dev, staging or prod.")] = "prod",
    reason: Annotated[
        str, typer.Option(help="Why, in one sentence; it goes into the ledger.")
    ] = "Signed anew from the command line.",
    json: JsonOption = False,
) -> None:
    """Have what is active signed anew, after the key of its stage was rotated."""
    from companyos.core.client import connect

    done = connect().post("/api/policy/renewals", {"bundle_id": bundle, "stage": stage, "reason": reason})
    name = f"{done['bundle_id']}@{done['version']}"
    emit(done, lambda console: console.print(f"{name} is signed anew for {done['stage']}."), json=json)


@log.command("verify")
def verify_log(json: JsonOption = False) -> None:
    """Verify every recorded decision; exit code 1 names the last good one."""
    from companyos.core.client import connect
    from companyos.policy import printing

    report = connect().get("/api/policy/log/verification")
    emit(report, lambda console: printing.verification(console, report), json=json)
    if not report["ok"]:
        raise typer.Exit(1)


@log.command("erase")
def erase_log(
    subject: Annotated[str, typer.Argument(help="The id of the subject, as decisions were asked.")],
    reason: Annotated[str, typer.Option(help="Why, without the name itself; it stays in the ledger.")],
    subject_type: Annotated[str, typer.Option("--type", help="The type of the subject.")] = "user",
    json: JsonOption = False,
) -> None:
    """Erase for good what the decisions about a subject looked at. The log still verifies."""
    from companyos.core.client import connect

    order = {"subject_type": subject_type, "subject_id": subject, "reason": reason}
    done = connect().post("/api/policy/log/erasures", order)
    said = f"What the decisions about {subject_type} {subject} looked at is erased (key {done['key']})."
    emit(done, lambda console: console.print(said), json=json)


keeping: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    ("list", list_bundles),
    ("keys", keys),
    ("renew", renew),
)
"""The commands by name."""

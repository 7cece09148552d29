"""``companyos policy new | lint | test | build | verify | diff``: on files alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from companyos.core.console import Console, JsonOption, emit
from companyos.policy.model import Stage

FolderArgument = Annotated[Path, typer.Argument(help="policies/<domain>/<service>/<stage>/<version>")]
_SUFFIX: Final = ".tar.gz"


def new(
    bundle: Annotated[str, typer.Argument(help="<domain>/<service>")],
    folder: Annotated[Path, typer.Option(help="Where the policies are.")] = Path("policies"),
    owner: Annotated[str, typer.Option(help="The team that answers for it.")] = "nobody yet",
    version: Annotated[str, typer.Option(help="Its version.")] = "1.0.0",
    json: JsonOption = False,
) -> None:
    """Begin a policy that passes its own tests."""
    from datetime import UTC, datetime

    from companyos.policy.authoring import scaffolding

    made = scaffolding.new(folder, bundle, owner, datetime.now(UTC).date(), version=version)
    told = {"folder": str(made)}
    emit(told, lambda console: console.print(f"Began {made}. Next: companyos policy test {made}"), json=json)


def lint(folder: FolderArgument, json: JsonOption = False) -> None:
    """Look for what is wrong with a policy; exit code 1 when something is."""
    from companyos.policy.authoring import linting

    found = linting.lint(folder)

    def human(console: Console) -> None:
        for one in found:
            row = f":{one.row}" if one.row is not None else ""
            console.print(f"{one.file}{row}: {one.sentence} [{one.rule}]")
            console.print(f"  Next: {one.next_step}")
        if not found:
            console.print(f"Nothing is wrong with {folder}.")

    emit(found, human, json=json)
    if found:
        raise typer.Exit(1)


def run_tests(
    folder: FolderArgument,
    coverage: Annotated[bool, typer.Option("--coverage", help="Say which rows the tests do not reach.")] = False,
    json: JsonOption = False,
) -> None:
    """Run the tests of a policy; exit code 1 when one fails."""
    from companyos.policy.authoring import layout, testing

    report = testing.run_tests(layout.read(folder), with_coverage=coverage)
    said = report.sentences()

    def human(console: Console) -> None:
        for sentence in said:
            console.print(sentence)
        reached = f", {report.coverage.ratio:.1%} of rows reached" if report.coverage is not None else ""
        compared = "" if report.compared else f" (not compared with another engine: {report.not_compared})"
        console.print(f"{report.passed} passed, {report.failed} failed{reached}{compared}.")

    emit({"ok": report.ok, "report": report, "sentences": said}, human, json=json)
    if not report.ok:
        raise typer.Exit(1)


def build(
    folder: FolderArgument,
    out: Annotated[Path | None, typer.Option(help="Where the bundle goes.")] = None,
    created_by: Annotated[str | None, typer.Option(help="Who made it; this user when nobody is named.")] = None,
    json: JsonOption = False,
) -> None:
    """Build a bundle of a policy, not signed yet."""
    from companyos.core.client import user_name
    from companyos.policy.authoring.building import build_folder
    from companyos.policy.drafting.files import write

    about, data = build_folder(folder, created_by or user_name())
    target = out or Path(f"{about.bundle_id.replace('/', '-')}-{about.version}{_SUFFIX}")
    write(target, data)
    told = {
        "file": str(target),
        "bundle_id": about.bundle_id,
        "version": about.version,
        "content_digest": about.checksum,
        "bytes": len(data),
    }
    emit(told, lambda console: console.print(f"Built {target}. Next: companyos policy sign {target}"), json=json)


def verify(
    file: Annotated[Path, typer.Argument(help="A signed bundle.")],
    stage: Annotated[Stage, typer.Option(help="Where it would decide.")] = "dev",
    keys: Annotated[
        Path | None,
        typer.Option(help="What the platform says at /.well-known/companyos-keys.json; this home's keys otherwise."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Tell whether a decider of a stage would take a bundle; exit code 1 when not."""
    from datetime import UTC, datetime

    from companyos.policy.drafting.files import read_bundle, trust
    from companyos_sdk import bundle as sdk

    data, roots = read_bundle(file), trust(keys)
    told: dict[str, Any]
    try:
        opened = sdk.open_bundle(data, roots, stage, now=datetime.now(UTC))
        told = {
            "ok": True,
            "bundle_id": opened.metadata.bundle_id,
            "version": opened.metadata.version,
            "stage": stage,
            "digest": opened.digest,
            "content_digest": opened.content_digest,
            "key_id": opened.key_id,
        }
    except sdk.BundleError as fault:
        told = {"ok": False, "code": fault.code, "sentence": fault.sentence, "next_step": fault.next_step}

    def human(console: Console) -> None:
        if told["ok"]:
            console.print(f"{told['bundle_id']}@{told['version']} is signed for {stage} by {told['key_id'][:16]}….")
            console.print(f"Content: {told['content_digest']}")
        else:
            console.print(f"Refused ({told['code']}): {told['sentence']}")
            console.print(f"Next: {told['next_step']}")

    emit(told, human, json=json)
    if not told["ok"]:
        raise typer.Exit(1)


def diff(
    before: Annotated[Path, typer.Argument(help="A bundle, or the folder of a policy.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
    json: JsonOption = False,
) -> None:
    """Show what is different between two versions of a policy."""
    from companyos.policy.authoring import comparing
    from companyos.policy.drafting.files import policy_at

    found = comparing.diff(policy_at(before), policy_at(after))

    def human(console: Console) -> None:
        console.print(f"{found.before} → {found.after}{': the same' if found.same else ''}")
        for name in found.obligations_added:
            console.print(f"+ obligation {name}")
        for name in found.obligations_removed:
            console.print(f"- obligation {name}")
        for value in found.data:
            console.print(f"{value.kind} data {value.path}: {value.before} → {value.after}")
        for file in (*found.policies, *found.tests):
            console.print(f"{file.kind} {file.file}")
            for line in file.lines:
                console.print(f"  {line}")

    emit(found, human, json=json)


drafts: Final[tuple[tuple[str, Callable[..., None]], ...]] = (
    ("new", new),
    ("lint", lint),
    ("test", run_tests),
    ("build", build),
    ("verify", verify),
    ("diff", diff),
)
"""The commands by name."""

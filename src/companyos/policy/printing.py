"""What commands about policies say to people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from companyos.core.errors import InvalidInput
from companyos.policy.model import Activation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from companyos.core.console import Console


def acknowledged(text: str) -> tuple[str, int]:
    """Return name and count of a sign-off ``NAME=COUNT``, or raise InvalidInput."""
    name, _, count = text.rpartition("=")
    if not name or not count.isascii() or not count.isdigit():
        raise InvalidInput(
            f"{text[:100]!r} names no difference with its count.",
            next_step="Copy it from what --dry-run says, like deny_to_allow:read:residency.eu=12.",
            field="acknowledge",
        )
    return name, int(count)


def promotion(console: Console, told: dict[str, Any]) -> None:
    """Say what became of a promotion, and everything that stands against it."""
    console.print(told["sentence"])
    tests = told["tests"]
    if tests is not None:
        console.print(
            f"Tests: {tests['passed']} passed, {tests['failed']} failed, {tests['coverage_ratio']:.1%} of rows reached."
        )
    replay = told["replay"]
    if replay is not None and replay["flips"]:
        rows = [(flip["count"], flip["name"], flip["before"], flip["after"]) for flip in replay["flips"]]
        console.table(("COUNT", "DIFFERENCE", "BEFORE", "AFTER"), rows)
    for path, count in (replay["lacking"] if replay is not None else {}).items():
        console.print(f"Not replayable: {count} records lack {path}.")
    for block in told["blocks"]:
        console.print(f"Blocked ({block['code']}): {block['sentence']}")
        console.print(f"  Next: {block['next_step']}")


def went_back(done: Activation | dict[str, Any]) -> str:
    """Return the sentence about a rollback."""
    made = done if isinstance(done, Activation) else msgspec.convert(done, Activation)
    return f"{made.bundle_id}@{made.version} is active in {made.stage} again, instead of {made.previous}."


def history(console: Console, found: Sequence[dict[str, Any]]) -> None:
    """Write what became active as a table."""
    columns = ("AT", "STAGE", "VERSION", "HOW", "BY", "APPROVED BY", "REASON")
    rows = [
        (one["at"], one["stage"], one["version"], one["kind"], one["by"], one["approver"], one["reason"])
        for one in found
    ]
    console.table(columns, rows, empty="Nothing was ever active.")


def stages(console: Console, found: Sequence[dict[str, Any]]) -> None:
    """Write what is active in every stage as a table, and below it what failed."""
    rows = []
    for one in found:
        active = one["active"] or {"version": None, "at": None, "by": None, "kind": None}
        rows.append((one["bundle_id"], one["stage"], *(active[name] for name in ("version", "at", "kind", "by"))))
    console.table(("BUNDLE", "STAGE", "VERSION", "SINCE", "HOW", "BY"), rows, empty="Nothing is active.")
    for one in found:
        if one["failure"] is not None:
            name = f"{one['bundle_id']}@{one['failed_version']}"
            console.print(f"Failed in {one['stage']} at {one['failed_at']}: {name}: {one['failure']}")


def keys(console: Console, found: Sequence[dict[str, Any]]) -> None:
    """Write public keys as PEM, each below a line that says what it is; readers of PEM pass over such lines."""
    for key in found:
        until = f" until {key['not_after']}" if key["not_after"] is not None else ""
        console.print(f"{key['stage']} {key['key_id']} from {key['not_before']}{until}")
        console.print(key["public_key_pem"].rstrip("\n"))
    if not found:
        console.print("No key has signed a bundle yet; a key is made with the first signature of its stage.")


def verification(console: Console, report: dict[str, Any]) -> None:
    """Say whether the decision log is whole, and where it is not."""
    if report["ok"]:
        count = "1 decision is" if report["records"] == 1 else f"{report['records']} decisions are"
        covered = f"{report['rooted']} covered by the ledger, {report['erased']} erased"
        console.print(f"{count} as recorded: {covered}.")
    for fault in report["faults"]:
        console.print(f"{fault['detail']} [{fault['kind']}, {fault['stream']}/{fault['segment']}]")
        console.print(f"  Last good decision: {fault['last_good'] or 'none'}")
    if report["torn_bytes"]:
        console.print(f"{report['torn_bytes']} bytes behind the last record were never logged: a process died there.")


def explanation(console: Console, told: dict[str, Any]) -> None:
    """Say why a decision came out as it did."""
    console.print(told["sentence"])
    for rule in told["fired"]:
        console.print(f"  {rule['rule']} at {rule['file']}:{rule['row']}")
    if told["failed"] is not None:
        failed = told["failed"]
        console.print(f"  The first that did not hold: {failed['rule']} at {failed['file']}:{failed['row']}")
    if told["inputs"]:
        console.table(("VALUE OF", "IS"), [(path, _short(value)) for path, value in told["inputs"].items()])


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 200 else f"{text[:200]}…"  # noqa: PLR2004 - a line or two

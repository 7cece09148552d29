"""``companyos ledger``: read, prove and verify the log of everything decided."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from companyos.core.console import Console, JsonOption, emit
from companyos.ledger import printing, transfer

app = typer.Typer(help="The signed log of everything decided.", no_args_is_help=True)

_FOLLOW_S: Final = 1.0
_QUIET_S: Final = 1.0
"""After how long a verification begins to say how far it is."""
_PAGE: Final = 500

KeyArgument = Annotated[str, typer.Argument(metavar="ID", help="The id of a record, or its index.")]


@app.command()
def tail(
    number: Annotated[int, typer.Option("-n", "--number", min=1, max=10_000, help="How many records.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new ones; JSON comes in lines.")] = False,
    actor: Annotated[str | None, typer.Option(help="Only what this actor did.")] = None,
    verb: Annotated[str | None, typer.Option(help="Only this verb, as service.create.")] = None,
    target: Annotated[str | None, typer.Option(help="Only what was done to this, as service:checkout.")] = None,
    service: Annotated[str | None, typer.Option(help="Only what belongs to this service.")] = None,
    decision: Annotated[str | None, typer.Option(help="allow or deny.")] = None,
    json: JsonOption = False,
) -> None:
    """Show the newest records, oldest first."""
    from companyos.core.client import connect

    client = connect()
    wanted = {"actor": actor, "verb": verb, "target": target, "service": service, "decision": decision}
    # Where to go on is asked first, so that no record falls between the last page and the first wait.
    newest = client.get("/api/ledger/entries", {"limit": 1})["items"]
    found: list[Any] = []
    cursor = None
    while len(found) < number:
        limit = min(number - len(found), _PAGE)
        page = client.get("/api/ledger/entries", {**wanted, "limit": limit, "cursor": cursor})
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    found.reverse()
    if not follow:
        rows = [printing.row(record) for record in found]
        emit(found, lambda console: console.table(printing.COLUMNS, rows, empty="No records match."), json=json)
        return
    last = max((record["index"] for record in (*found, *newest)), default=-1)
    for record in chain(found, _following(client, wanted, last)):
        _print_line(record, json=json)


@app.command()
def show(key: KeyArgument, json: JsonOption = False) -> None:
    """Show one record with its signature."""
    from companyos.core.client import connect

    record = connect().get(f"/api/ledger/entries/{_quoted(key)}")
    emit(record, lambda console: printing.show_record(console, record), json=json)


@app.command()
def prove(key: KeyArgument, json: JsonOption = False) -> None:
    """Print all that it takes to check a record without this platform; `ledger check` reads the JSON."""
    from companyos.core.client import connect

    document = connect().get(f"/api/ledger/entries/{_quoted(key)}/proof")
    emit(document, lambda console: printing.show_proof(console, document), json=json)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="What `prove --json` or `export` wrote; - reads standard input.")],
    key: Annotated[str | None, typer.Option(help="The ledger's verifier key that you trust.")] = None,
    json: JsonOption = False,
) -> None:
    """Check a proof or an export without asking any platform."""
    from companyos.core.errors import InvalidInput
    from companyos.ledger.offline import check as check_lines

    try:
        if str(file) == "-":
            checked = check_lines(transfer.bounded_lines(sys.stdin.buffer), key)
        else:
            with file.open("rb") as stream:
                checked = check_lines(transfer.bounded_lines(stream), key)
    except OSError as fault:
        raise InvalidInput(f"{file} cannot be read: {fault.strerror}.", next_step="Name another file.") from fault

    def human(console: Console) -> None:
        what = f"Record {checked.index}" if checked.kind == "proof" else f"All {checked.records} records"
        console.print(f"{what}: in the ledger {checked.origin} of {checked.size} records, as signed.")
        if not checked.key_was_given:
            console.print("The key came with the file; compare it with the one you know, or give it with --key:")
        console.print(checked.verifier_key)

    emit(checked, human, json=json)


@app.command()
def checkpoint(json: JsonOption = False) -> None:
    """Print the newest checkpoint; keep it for `verify --since`."""
    from companyos.core.client import connect

    note = connect().get("/api/ledger/checkpoint")
    emit({"checkpoint": note}, lambda console: console.print(note.rstrip("\n")), json=json)


@app.command()
def verify(
    since: Annotated[Path | None, typer.Option(help="A file with an older checkpoint that must be kept.")] = None,
    json: JsonOption = False,
) -> None:
    """Verify every record, the tree and its signature; exit code 1 names the first bad index."""
    from companyos.core.client import connect

    params = {"since": None if since is None else transfer.note_in_file(since)}
    report: dict[str, Any] | None = None
    shown = time.monotonic()
    # Compressed lines would come all at once, at the end.
    pieces = connect().stream("/api/ledger/verify", params, headers={"accept-encoding": "identity"})
    for line in transfer.documents(pieces):
        if "progress" in line and time.monotonic() - shown > _QUIET_S:
            shown = time.monotonic()
            checked, size = line["progress"]["checked"], line["progress"]["size"]
            Console(sys.stderr).print(f"{checked} of {size} records verified")
        report = line.get("report", report)
        if "problem" in line:
            _raise(line["problem"])
    if report is None:
        _raise({"detail": "The verification ended without a report.", "next_step": "Try again."})
    else:
        emit(report, lambda console: printing.show_report(console, report), json=json)
        if not report["ok"]:
            raise typer.Exit(1)


@app.command()
def export(
    to: Annotated[Path | None, typer.Option(help="The file to write; standard output otherwise.")] = None,
    json: JsonOption = False,
) -> None:
    """Write the whole ledger as lines of JSON; `ledger check` verifies them."""
    from companyos.core.client import connect

    pieces = connect().stream("/api/ledger/export")
    if to is not None:
        written = transfer.write(to, pieces)
        emit(written, lambda console: console.print(f"{written['records']} records in {to}."), json=json)
        return
    out = sys.stdout.buffer
    for piece in transfer.as_document(pieces) if json else pieces:
        out.write(piece)
    out.flush()


@app.command()
def erase(
    record_id: Annotated[str, typer.Argument(metavar="ID", help="The id of a record.")],
    field: Annotated[str, typer.Argument(help="ip, device, or the name of another personal value.")],
    reason: Annotated[str, typer.Option(help="Why; it stays in the ledger.")],
    json: JsonOption = False,
) -> None:
    """Erase a personal value of a record for good. Every proof stays valid."""
    from companyos.core.client import connect

    done = connect().post(f"/api/ledger/entries/{_quoted(record_id)}/erasures", {"field": field, "reason": reason})
    emit(done, lambda console: console.print(f"{field} of record {record_id} is erased."), json=json)


def _following(client: Any, wanted: dict[str, Any], last: int) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - the client is imported late
    """Yield new records as they come, until the process is interrupted."""
    while True:
        page = client.get("/api/ledger/entries", {**wanted, "after": last, "limit": _PAGE})
        while True:
            for record in page["items"]:
                last = max(last, record["index"])
                yield record
            if page["next_cursor"] is None:
                break
            page = client.get("/api/ledger/entries", {**wanted, "cursor": page["next_cursor"], "limit": _PAGE})
        time.sleep(_FOLLOW_S)


def _print_line(record: dict[str, Any], *, json: bool) -> None:
    from msgspec.json import encode

    if json:
        sys.stdout.buffer.write(encode(record) + b"\n")
        sys.stdout.buffer.flush()
    else:
        Console(sys.stdout).print("  ".join(str(value) for value in printing.row(record)))


def _raise(problem: dict[str, str]) -> None:
    from companyos.core.errors import BY_SLUG, Unavailable

    raise BY_SLUG.get(problem.get("slug", ""), Unavailable)(problem["detail"], next_step=problem["next_step"])


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")

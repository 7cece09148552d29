"""How records, proofs and reports look to people on a terminal."""

from __future__ import annotations

from typing import Any, Final

from companyos.core.console import Console

COLUMNS: Final = ("index", "time", "actor", "verb", "target", "decision")
"""What a line of a list shows of a record."""


def row(record: dict[str, Any]) -> tuple[object, ...]:
    """Return the columns of a record."""
    return tuple(record[name] for name in COLUMNS)


def show_record(console: Console, record: dict[str, Any]) -> None:
    """Print a record with what was erased and how it is signed."""
    plain = {name: value for name, value in record.items() if name not in {"details", "personal", "signature"}}
    plain["obligations"] = ", ".join(record["obligations"]) or None
    plain["erased"] = ", ".join(record["erased"]) or None
    console.pairs(plain)
    for part in ("details", "personal"):
        console.pairs({f"{part}.{name}": value for name, value in record[part].items()})
    proof = record["signature"]["proof"]
    console.print(f"Signed: {len(proof['hashes'])} hashes lead to the checkpoint of {proof['tree_size']} records.")


def show_proof(console: Console, document: dict[str, Any]) -> None:
    """Print a proof, part by part."""
    from companyos.core.canonical import dumps

    console.print(f"Record {document['index']}, in canonical JSON:")
    console.print(dumps(document["body"]).decode())
    console.print("Inclusion proof, from the leaf up:")
    for one in document["proof"]["hashes"]:
        console.print(one)
    console.print("Checkpoint:")
    console.print(document["checkpoint"].rstrip("\n"))
    console.print("Verifier key:")
    console.print(document["public_key"]["verifier_key"])
    console.print("To check it elsewhere: companyos ledger prove --json ID > FILE, then companyos ledger check FILE")


def show_report(console: Console, report: dict[str, Any]) -> None:
    """Print the outcome of a verification."""
    if report["ok"]:
        console.print(f"All {report['size']} records are as they were signed.")
        for size in report["since"]:
            console.print(f"The ledger extends the older checkpoint of {size} records.")
        return
    fault = report["fault"]
    console.print(fault["detail"])
    console.print(f"First bad index: {report['first_bad_index']}")
    if fault["through"] > fault["index"]:
        console.print(f"What is stored cannot tell more closely; the fault lies at or before {fault['through']}.")

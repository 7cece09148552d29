"""A process that changes something and records it, again and again: run by the fault tests, and killed by some.

Arguments: home, database address, name of the writer, number of changes (0 for no end). Prints the number of the ledger
entries of each change when it is committed.
"""

from __future__ import annotations

import sys

from sqlalchemy import text

from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.ledger import open_journal


def main(home: str, url: str, name: str, changes: int) -> None:
    """Count up a number that all writers share, and record each step; every second time only record something."""
    journal = open_journal(Settings(home=home, database_url=url))
    lock = " FOR UPDATE" if journal.database.dialect == "postgresql" else ""
    caller = Caller(subject=f"service:{name}", ip="192.0.2.1", device="writer")
    done = 0
    while not changes or done < changes:
        with journal.write(caller) as change:
            # Nothing but the ledger itself keeps these two apart from those of other writers.
            change.record(verb="counter.look", target="counter")
        with journal.write(caller) as change:
            before = change.connection.execute(text(f"SELECT value FROM counter{lock}")).scalar_one()
            change.connection.execute(text("UPDATE counter SET value = :value"), {"value": before + 1})
            for part in range(1 + done % 3):
                change.record(verb="counter.add", target="counter", details={"value": before + 1, "part": part})
        done += 1
        print(before + 1, flush=True)  # noqa: T201 - the parent reads it
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))

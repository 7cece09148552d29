"""What each of several processes does at once: change one service many times, and import others."""

from __future__ import annotations

from pathlib import Path

from companyos.catalog import Catalog, SourceFile
from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import SystemClock
from companyos.core.database import Database
from companyos.core.errors import PreconditionFailed
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.identity import RoleAuthorizer
from companyos.ledger import Journal, Ledger


def write(url: str, home: str, number: int, times: int) -> None:
    """Add ``times`` labels to the service ``shop``, each on top of what is there, and import one service each time."""
    access.bind(RoleAuthorizer())
    clock, settings = SystemClock(), Settings(home=home)
    ledger = Ledger(KeyStore(Path(home) / "keys", clock), settings.ledger_origin)
    catalog = Catalog(Journal(Database.open(url), ledger, clock, settings))
    caller = Caller(subject=f"user:writer-{number}", roles=frozenset({"operator"}))
    for count in range(times):
        changed = False
        while not changed:
            known = catalog.get(caller, "shop")
            labels = {**known.labels, f"{number}-{count}": "x"}
            try:
                catalog.update(caller, "shop", {"labels": labels}, if_match=f'"{known.revision}"')
                changed = True
            except PreconditionFailed:
                continue  # Somebody else was faster; that is what If-Match is for.
        names = sorted({"shared-a", "shared-b", f"own-{number}-{count}"}, reverse=bool(number % 2))
        head = "apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: %s}\nspec: {tier: t%d-%d}\n"
        text = "---\n".join(head % (name, number, count) for name in names)
        catalog.import_documents(caller, [SourceFile(path="x", text=text)])
    catalog.journal.database.close()

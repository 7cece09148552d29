from __future__ import annotations

import multiprocessing

from companyos.catalog import Catalog, ServiceQuery
from companyos.core.access import Caller
from companyos.ledger import Journal
from tests.catalog.writing import write
from tests.pillar import records

PROCESSES, TIMES = 4, 6


def test_four_processes_lose_nothing(journal: Journal, admin: Caller) -> None:
    """Each change of each process is there, each has its record, and no import waits for another for ever."""
    catalog = Catalog(journal)
    catalog.add(admin, "shop", {})
    for name in ("shared-a", "shared-b"):
        catalog.add(admin, name, {})
    url = journal.database.writer.url.render_as_string(hide_password=False)
    spawn = multiprocessing.get_context("spawn")
    workers = [
        spawn.Process(target=write, args=(url, journal.settings.home, number, TIMES)) for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * PROCESSES
    shop = catalog.get(admin, "shop")
    assert set(shop.labels) == {f"{number}-{count}" for number in range(PROCESSES) for count in range(TIMES)}
    assert shop.revision == 1 + PROCESSES * TIMES
    assert catalog.list_services(admin, ServiceQuery()).total == 3 + PROCESSES * TIMES
    changes = [record for record in records(journal) if record.verb == "service.update" and record.service == "shop"]
    assert [record.details["revision"] for record in changes] == list(range(2, 2 + PROCESSES * TIMES))
    for name in ("shared-a", "shared-b"):
        last = [record for record in records(journal) if record.service == name][-1]
        assert catalog.get(admin, name).tier == last.details["values"]["tier"]

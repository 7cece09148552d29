"""What it takes to know who everybody is: the decision point's directory of subjects, attributes and roles."""

from __future__ import annotations

import gc
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.harness import AtMost, Row, best_of, elapsed_s
from companyos.core import access
from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.identity import DirectoryCache, Identity, RoleAuthorizer
from companyos.identity.document import Document, SubjectEntry
from companyos.ledger import Journal, open_journal

_ADMIN = Caller(subject="user:bench", roles=frozenset({"admin"}))
_ATTRIBUTES = 10
_CHUNK = 2_000


def run(scale: float) -> Iterator[Row]:
    """Rows for memory and time of 10,000 subjects with ten attributes each."""
    subjects = max(500, round(10_000 * scale))
    with tempfile.TemporaryDirectory() as folder:
        access.bind(RoleAuthorizer())
        with closing(open_journal(Settings(home=str(Path(folder) / "home")))) as journal:
            _fill(journal, subjects)
            yield from _directory(journal, subjects)


def _fill(journal: Journal, subjects: int) -> None:
    identity = Identity(journal)
    said: dict[str, Any] = {f"attribute_{number}": f"value {number}" for number in range(_ATTRIBUTES - 2)}
    for first in range(0, subjects, _CHUNK):
        entries = [
            SubjectEntry(name=f"s{number}", attributes={**said, "badge": f"b{number}", "level": number})
            for number in range(first, min(first + _CHUNK, subjects))
        ]
        identity.import_document(_ADMIN, Document(source=f"part-{first}", subjects=entries))


def _directory(journal: Journal, subjects: int) -> Iterator[Row]:
    note = f"{subjects:,} subjects with {_ATTRIBUTES} attributes each"
    cache = DirectoryCache(journal)
    gc.collect()
    tracemalloc.start()
    directory = cache.refresh()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(directory) >= subjects
    yield Row(
        room="identity",
        name="directory in memory",
        value=held / 1e6,
        unit="MB",
        target=AtMost(100),
        note=f"{note}; {peak / 1e6:.0f} MB while it is loaded",
    )
    loading = elapsed_s(lambda: DirectoryCache(journal).refresh())
    yield Row(room="identity", name="directory loaded", value=loading * 1000, unit="ms", note=note)
    now = journal.clock.now()

    def ask() -> None:
        for number in range(1_000):
            found = directory.attributes_of(f"user:s{number % subjects}", None, now)
            assert found.values["level"] == number % subjects

    took = best_of(5, lambda: elapsed_s(ask), float)
    yield Row(room="identity", name="attributes of a subject", value=took * 1000, unit="µs", note="from memory")

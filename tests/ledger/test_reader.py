"""Reading the ledger, on every database."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import product
from typing import Any

import pytest

from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, InvalidInput, NotFound
from companyos.ledger import Filter, Journal, LedgerReader, Record, store
from companyos.ledger.body import seal
from companyos.ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from companyos.ledger.model import ReadCount, Report
from tests.ledger.conftest import ANA, GUEST, entry, fill


@pytest.fixture
def mixed(journal: Journal, clock: ManualClock) -> Journal:
    """Return a journal with 60 records, one a second, by three actors on five services, every tenth one a denial."""
    entries = [
        entry(
            clock.now() + timedelta(seconds=number),
            number,
            actor=f"user:u{number % 3}",
            verb=("service.create", "service.update")[number % 2],
            target=f"service:s{number % 5}",
            service=f"s{number % 5}" if number % 4 else None,
            decision="deny" if number % 10 == 0 else "allow",
        )
        for number in range(60)
    ]
    with journal.database.write() as connection:
        journal.ledger.append_all(connection, entries)
    return journal


def walked(reader: LedgerReader, wanted: Filter, *, limit: int, **options: Any) -> list[Record]:
    """Return all records that the pages of a list give one after the other."""
    found: list[Record] = []
    cursor = None
    while True:
        page = reader.entries(ANA, wanted, limit=limit, cursor=cursor, **options)
        assert len(page.items) <= limit
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
        options.pop("after", None)


START = datetime.fromisoformat("2026-01-01T00:00:00Z")
FILTERS: list[tuple[Filter, Callable[[int], bool]]] = [
    (Filter(), lambda n: n >= 0),
    (Filter(actor="user:u1"), lambda n: n % 3 == 1),
    (Filter(verb="service.update"), lambda n: n % 2 == 1),
    (Filter(target="service:s3"), lambda n: n % 5 == 3),
    (Filter(service="s3"), lambda n: n % 5 == 3 and n % 4 != 0),
    (Filter(decision="deny"), lambda n: n % 10 == 0),
    (Filter(since=START + timedelta(seconds=50)), lambda n: n >= 50),
    (Filter(until=START + timedelta(seconds=7)), lambda n: n < 7),
    (Filter(since=START + timedelta(seconds=5), until=START + timedelta(seconds=6)), lambda n: n == 5),
    (Filter(actor="user:u1", verb="service.update", service="s2"), lambda n: n % 30 == 7 and n % 4 != 0),
    (Filter(actor="user:nobody"), lambda n: n < 0),
    (Filter(service="nothing"), lambda n: n < 0),
]


@pytest.mark.parametrize("scanned", [20_000, 7])
def test_pages_give_each_matching_record_once(mixed: Journal, scanned: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both directions the pages together hold all that match, in order, also when a page may read few records."""
    monkeypatch.setattr(store, "SCANNED", scanned)
    reader = LedgerReader(mixed)
    for (wanted, matches), limit in product(FILTERS, (1, 7, 100)):
        expected = [number for number in range(60) if matches(number)]
        behind = [number for number in expected if number > 30]
        assert [record.index for record in walked(reader, wanted, limit=limit)] == expected[::-1]
        assert [record.index for record in walked(reader, wanted, limit=limit, after=-1)] == expected
        assert [record.index for record in walked(reader, wanted, limit=limit, after=30)] == behind


def test_a_list_that_is_read_while_it_grows_stays_in_order(mixed: Journal) -> None:
    """Records that come while somebody turns the pages do not shift them."""
    reader = LedgerReader(mixed)
    first = reader.entries(ANA, Filter(), limit=10)
    fill(mixed, 5)
    second = reader.entries(ANA, Filter(), limit=10, cursor=first.next_cursor)
    assert [record.index for record in (*first.items, *second.items)] == list(range(59, 39, -1))


def test_following_an_empty_ledger_and_its_end(journal: Journal, reader: LedgerReader) -> None:
    """An empty ledger and a place behind the last record give empty pages without a next one."""
    assert reader.entries(ANA, Filter()).items == []
    fill(journal, 3)
    page = reader.entries(ANA, Filter(), after=2)
    assert (page.items, page.next_cursor) == ([], None)
    page = reader.entries(ANA, Filter(), after=2**62)
    assert (page.items, page.next_cursor) == ([], None)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJzaWRld2F5cyIsMV0"}, "cursor"),
        ({"cursor": "WyJuZXdlc3QiLC0xXQ"}, "cursor"),
        ({"wanted": Filter(actor="\x00")}, "actor"),
        ({"wanted": Filter(target="t" * 513)}, "target"),
        ({"wanted": Filter(service="")}, "service"),
        ({"wanted": Filter(since=datetime(2026, 1, 1))}, "since"),  # noqa: DTZ001 - the naive one is the point
        ({"wanted": Filter(until=datetime(2026, 1, 1))}, "until"),  # noqa: DTZ001 - the naive one is the point
    ],
)
def test_what_cannot_be_asked_is_named(reader: LedgerReader, options: dict[str, Any], field: str) -> None:
    """A limit, cursor or filter that makes no sense is refused with its name."""
    with pytest.raises(InvalidInput) as caught:
        reader.entries(ANA, **{"wanted": Filter(), **options})
    assert caught.value.field == field


def test_a_record_is_found_by_id_and_by_index_with_its_signature(journal: Journal, reader: LedgerReader) -> None:
    """The signature of a record is a signed checkpoint and a proof that leads from its canonical form to the root."""
    entries = fill(journal, 45)
    for index in (0, 15, 16, 31, 44):
        record = reader.entry(ANA, entries[index].id)
        assert record == reader.entry(ANA, str(index))
        assert record.signature is not None
        checkpoint, _ = journal.ledger.verify_checkpoint(record.signature.checkpoint)
        proof = record.signature.proof
        assert (checkpoint.size, proof.index, proof.tree_size) == (45, index, 45)
        with journal.read() as connection:
            found = store.find(connection, record.id)
        assert found is not None
        hashes = [base64.b64decode(one) for one in proof.hashes]
        verify_inclusion(leaf_hash(found[1]), index, checkpoint.size, hashes, checkpoint.root)


def test_records_of_a_list_are_signed_when_asked(journal: Journal, reader: LedgerReader) -> None:
    """A list leaves signatures out, unless they are asked for; then they are those of the single records."""
    fill(journal, 20)
    assert {record.signature for record in reader.entries(ANA, Filter()).items} == {None}
    for record in reader.entries(ANA, Filter(), signed=True).items:
        assert record == reader.entry(ANA, record.id)


@pytest.mark.parametrize("key", ["5", "20", "999999999999999999", "01a202ca-c29d-7361-b79c-264cc132f7ec"])
def test_a_record_that_is_not_there_is_not_found(journal: Journal, reader: LedgerReader, key: str) -> None:
    """An index or an id that the ledger does not have is NotFound."""
    fill(journal, 5)
    with pytest.raises(NotFound):
        reader.entry(ANA, key)
    with pytest.raises(NotFound):
        reader.proof(ANA, key)


@pytest.mark.parametrize(
    "key", ["", "-1", "x", "1.5", "٥", "9" * 19, "01A202CA-C29D-7361-B79C-264CC132F7EC", "a' OR 1=1"]
)
def test_what_names_no_record_is_refused(journal: Journal, reader: LedgerReader, key: str) -> None:
    """Text that is neither an index nor an id is InvalidInput."""
    fill(journal, 5)
    with pytest.raises(InvalidInput):
        reader.entry(ANA, key)


def test_consistency_proofs_join_any_two_sizes(journal: Journal, reader: LedgerReader) -> None:
    """A proof between any two sizes of the ledger holds for the roots that it names."""
    fill(journal, 40)
    for first, second in ((1, 40), (16, 17), (7, 39), (32, 40), (40, 40), (33, None)):
        found = reader.consistency(ANA, first, second)
        hashes = [base64.b64decode(one) for one in found.hashes]
        roots = base64.b64decode(found.first_root), base64.b64decode(found.second_root)
        verify_consistency(first, second or 40, hashes, *roots)
    checkpoint, _ = journal.ledger.verify_checkpoint(reader.checkpoint(ANA))
    assert base64.b64decode(reader.consistency(ANA, 1).second_root) == checkpoint.root


@pytest.mark.parametrize(("first", "second"), [(0, 3), (4, 3), (1, 6), (-1, 2)])
def test_sizes_that_the_ledger_does_not_have_are_refused(
    journal: Journal, reader: LedgerReader, first: int, second: int
) -> None:
    """No consistency proof exists for sizes in the wrong order or beyond the end."""
    fill(journal, 5)
    with pytest.raises(InvalidInput):
        reader.consistency(ANA, first, second)


def test_an_empty_ledger_has_no_checkpoint(reader: LedgerReader) -> None:
    """Before the first record there is nothing to prove, and it is said so."""
    for ask in (
        lambda: reader.checkpoint(ANA),
        lambda: reader.consistency(ANA, 1),
        lambda: reader.entry(ANA, "0"),
        lambda: reader.export(ANA),
    ):
        with pytest.raises(NotFound, match="empty"):
            ask()
    *_, report = reader.verify(ANA)
    assert isinstance(report, Report)
    assert (report.ok, report.size, report.checkpoint) == (True, 0, None)


def test_nothing_is_read_without_permission(journal: Journal, reader: LedgerReader) -> None:
    """Each question needs its permission, before anything is read or streamed."""
    fill(journal, 3)
    for ask in (
        lambda: reader.entries(GUEST, Filter()),
        lambda: reader.entry(GUEST, "0"),
        lambda: reader.proof(GUEST, "0"),
        lambda: reader.checkpoint(GUEST),
        lambda: reader.consistency(GUEST, 1),
        lambda: reader.export(GUEST),
        lambda: reader.verify(GUEST),
        lambda: reader.reads(GUEST),
    ):
        with pytest.raises(Denied):
            ask()


def test_exports_and_verifications_are_counted(journal: Journal, reader: LedgerReader) -> None:
    """Who exported or verified the ledger is counted like other reads."""
    fill(journal, 3)
    list(reader.export(ANA))
    list(reader.verify(ANA))
    journal.reads.flush()
    assert reader.reads(ANA).items == [
        ReadCount(day="2026-01-01", actor="user:ana", action="ledger.verify", count=1),
        ReadCount(day="2026-01-01", actor="user:ana", action="ledger.export", count=1),
    ]


def test_an_id_inside_the_details_is_no_id(journal: Journal, reader: LedgerReader) -> None:
    """A record is found by its own id only, whatever ids its details speak of."""
    first = entry(journal.clock.now(), 0)
    second = entry(journal.clock.now(), 1, details={"id": first.id, "service": "svc-7"})
    with journal.database.write() as connection:
        journal.ledger.append_all(connection, [second, first])
    assert reader.entry(ANA, first.id).index == 1
    assert reader.entries(ANA, Filter(service="svc-7")).items == []


def test_text_of_every_language_can_be_recorded_and_searched(journal: Journal, reader: LedgerReader) -> None:
    """Names outside ASCII go in, are found, and come out."""
    fill(journal, 1, actor="user:žofie", service="größe", details={"reason": '日本語\n\t"quoted" \\ 🚀'})
    (record,) = reader.entries(ANA, Filter(actor="user:žofie", service="größe")).items
    assert record.details == {"reason": '日本語\n\t"quoted" \\ 🚀'}


def test_the_stored_body_is_the_canonical_record(journal: Journal) -> None:
    """The column that readers see holds exactly the bytes that were hashed."""
    one = entry(journal.clock.now(), ip=None, device=None)
    with journal.database.write() as connection:
        journal.ledger.append(connection, one)
    with journal.read() as connection:
        found = store.find(connection, one.id)
    assert found == (0, seal(one).body)

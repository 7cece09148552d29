"""The HTTP face of the ledger: it is read here, and nothing but a personal value can ever be taken out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Final

import msgspec
from litestar import MediaType, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.response import Stream
from litestar.types import ControllerRouterHandler
from msgspec import Meta

from companyos.core.access import Caller
from companyos.core.errors import CompanyOSError
from companyos.core.paging import DEFAULT_LIMIT, MAX_LIMIT, Page
from companyos.ledger import erasure
from companyos.ledger.body import MAX_CHARACTERS
from companyos.ledger.checkpoint import MAX_SIZE
from companyos.ledger.journal import Journal
from companyos.ledger.model import Consistency, Decision, Filter, ProofDocument, ReadCount, Record, Report
from companyos.ledger.reader import LedgerReader
from companyos.ledger.verify import Progress

NDJSON: Final = "application/x-ndjson"
"""One JSON document a line."""

_MAX_NOTE_CHARACTERS: Final = 4096

Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next_cursor` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
Key = Annotated[str, PathParameter(max_length=36, description="The id of a record, or its index.")]


class NewErasure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which personal value of a record to erase, and why; the reason stays for good."""

    field: Annotated[str, Meta(min_length=1, max_length=63)]
    reason: Annotated[str, Meta(min_length=1, max_length=erasure.MAX_REASON_CHARACTERS)]


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was erased, and the record that says so."""

    field: str
    record_id: str
    recorded_as: str
    """The id of the record `ledger.erase`."""


def wanted_records(
    actor: Annotated[str | None, QueryParameter(max_length=MAX_CHARACTERS["actor"])] = None,
    verb: Annotated[str | None, QueryParameter(max_length=MAX_CHARACTERS["verb"])] = None,
    target: Annotated[str | None, QueryParameter(max_length=MAX_CHARACTERS["target"])] = None,
    service: Annotated[str | None, QueryParameter(max_length=MAX_CHARACTERS["service"])] = None,
    decision: FromQuery[Decision | None] = None,
    since: Annotated[datetime | None, QueryParameter(description="The earliest time, included; with its zone.")] = None,
    until: Annotated[datetime | None, QueryParameter(description="The latest time, excluded; with its zone.")] = None,
) -> Filter:
    """Return what the query parameters of a list of records ask for."""
    return Filter(actor=actor, verb=verb, target=target, service=service, decision=decision, since=since, until=until)


@get("/entries", sync_to_thread=True, dependencies={"wanted": Provide(wanted_records, sync_to_thread=False)})
def list_entries(
    caller: NamedDependency[Caller],
    ledger_reader: NamedDependency[LedgerReader],
    wanted: NamedDependency[Filter],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
    after: Annotated[
        int | None,
        QueryParameter(ge=-1, le=MAX_SIZE, description="Oldest first, from behind this index on; -1 for all."),
    ] = None,
    signed: Annotated[bool, QueryParameter(description="Add the signature of each record.")] = False,  # noqa: FBT002 - a query parameter
) -> Page[Record]:
    """List records, newest first. A page may be short and still have a next one."""
    return ledger_reader.entries(caller, wanted, cursor=cursor, limit=limit, after=after, signed=signed)


@get("/entries/{id:str}", sync_to_thread=True)
def get_entry(caller: NamedDependency[Caller], ledger_reader: NamedDependency[LedgerReader], id: Key) -> Record:
    """Show a record with its signature: the signed checkpoint that covers it, and its inclusion proof."""
    return ledger_reader.entry(caller, id)


@get("/entries/{id:str}/proof", sync_to_thread=True)
def get_proof(caller: NamedDependency[Caller], ledger_reader: NamedDependency[LedgerReader], id: Key) -> ProofDocument:
    """Give all that it takes to check a record without this platform."""
    return ledger_reader.proof(caller, id)


@post("/entries/{id:str}/erasures", sync_to_thread=True)
def erase_value(
    caller: NamedDependency[Caller],
    journal: NamedDependency[Journal],
    id: Annotated[str, PathParameter(max_length=36)],
    data: JSONBody[NewErasure],
) -> Erasure:
    """Erase a personal value of a record. Every proof stays valid."""
    entry = erasure.erase(journal, caller, id, data.field, data.reason)
    return Erasure(field=data.field, record_id=id, recorded_as=entry.id)


@get("/checkpoint", sync_to_thread=True, media_type=MediaType.TEXT)
def get_checkpoint(caller: NamedDependency[Caller], ledger_reader: NamedDependency[LedgerReader]) -> str:
    """Give the newest checkpoint (C2SP tlog-checkpoint)."""
    return ledger_reader.checkpoint(caller)


@get("/consistency", sync_to_thread=True)
def get_consistency(
    caller: NamedDependency[Caller],
    ledger_reader: NamedDependency[LedgerReader],
    first: Annotated[int, QueryParameter(name="from", ge=1, le=MAX_SIZE, description="The size of the older tree.")],
    second: Annotated[
        int | None, QueryParameter(name="to", ge=1, le=MAX_SIZE, description="The size of the newer tree; all records.")
    ] = None,
) -> Consistency:
    """Prove that the ledger of one size extends that of a smaller one (RFC 6962)."""
    return ledger_reader.consistency(caller, first, second)


@get("/export", sync_to_thread=True, media_type=NDJSON)
def export(caller: NamedDependency[Caller], ledger_reader: NamedDependency[LedgerReader]) -> Stream:
    """Give the whole ledger as lines of JSON that can be verified elsewhere; the first one holds the checkpoint."""
    headers = {"Content-Disposition": 'attachment; filename="ledger.ndjson"'}
    return Stream(ledger_reader.export(caller), media_type=NDJSON, headers=headers)


@get("/verify", sync_to_thread=True, media_type=NDJSON)
def verify_ledger(
    caller: NamedDependency[Caller],
    ledger_reader: NamedDependency[LedgerReader],
    since: Annotated[
        str | None,
        QueryParameter(max_length=_MAX_NOTE_CHARACTERS, description="An older checkpoint that the ledger must extend."),
    ] = None,
) -> Stream:
    """Verify every record; lines of `{"progress": …}`, and at last `{"report": …}`, or `{"problem": …}`."""
    return Stream(_lines(ledger_reader.verify(caller, since)), media_type=NDJSON)


@get("/reads", sync_to_thread=True)
def list_reads(
    caller: NamedDependency[Caller],
    ledger_reader: NamedDependency[LedgerReader],
    cursor: Cursor = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Page[ReadCount]:
    """List how often who read what, by day (UTC), newest first."""
    return ledger_reader.reads(caller, cursor=cursor, limit=limit)


def _lines(steps: Iterator[Progress | Report]) -> Iterator[bytes]:
    try:
        for step in steps:
            yield msgspec.json.encode({"report" if isinstance(step, Report) else "progress": step}) + b"\n"
    except CompanyOSError as fault:
        # The answer has begun, so its status can no longer say it.
        problem = {"slug": fault.slug, "detail": fault.detail, "next_step": fault.next_step}
        yield msgspec.json.encode({"problem": problem}) + b"\n"


def _reader(journal: NamedDependency[Journal]) -> LedgerReader:
    return LedgerReader(journal)


routes: Final[Sequence[ControllerRouterHandler]] = (
    Router(
        path="/api/ledger",
        tags=["ledger"],
        dependencies={"ledger_reader": Provide(_reader, sync_to_thread=False)},
        route_handlers=[
            list_entries,
            get_entry,
            get_proof,
            erase_value,
            get_checkpoint,
            get_consistency,
            export,
            verify_ledger,
            list_reads,
        ],
    ),
)

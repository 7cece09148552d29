"""What readers of the ledger may ask: records, proofs, checkpoints, an export and a verification."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from sqlalchemy import Connection

from companyos.core.access import Caller, require
from companyos.core.errors import CompanyOSError, InvalidInput, NotFound
from companyos.core.ids import is_uuid
from companyos.core.paging import DEFAULT_LIMIT, Page, check_limit, decode_cursor, encode_cursor
from companyos.ledger import body as bodies
from companyos.ledger import exporting, merkle, raw, store, tiles
from companyos.ledger.checkpoint import MAX_SIZE, Checkpoint, verifier_key
from companyos.ledger.journal import Journal
from companyos.ledger.merkle import HashAt
from companyos.ledger.model import (
    Consistency,
    Filter,
    InclusionProof,
    ProofDocument,
    PublicKeyView,
    ReadCount,
    Record,
    Report,
    Signature,
)
from companyos.ledger.raw import Head
from companyos.ledger.store import StoredPersonal
from companyos.ledger.verify import Progress

RESOURCE: Final = "ledger"
"""What the permissions ``ledger.read``, ``ledger.export`` and ``ledger.verify`` are about."""

_INDEX_DIGITS: Final = 18


class LedgerReader:
    """The ledger of a journal, for callers who may read it; each read is counted."""

    def __init__(self, journal: Journal) -> None:
        """Take the journal."""
        self._journal = journal

    def entries(
        self,
        caller: Caller,
        wanted: Filter,
        *,
        cursor: str | None = None,
        after: int | None = None,
        limit: int = DEFAULT_LIMIT,
        signed: bool = False,
    ) -> Page[Record]:
        """Return a page of the records that match: newest first, or from behind the index ``after`` on, oldest first.

        A page may hold fewer records than ``limit``, even none, and still have a next one: where no index helps, a page
        reads a bounded number of records. ``signed`` adds the signature of each. Raises Denied, InvalidInput.
        """
        self._allow(caller, "ledger.read")
        check_limit(limit)
        _check_filter(wanted)
        place = None if cursor is None else _decode(cursor)
        with self._journal.read() as connection:
            head = raw.head(connection)
            if head is None:
                return Page(items=[])
            order, start = place or (("newest", head.size - 1) if after is None else ("oldest", after + 1))
            newest_first = order == "newest"
            found, following = store.search(
                connection, wanted, start=min(start, MAX_SIZE), limit=limit, newest_first=newest_first
            )
            records = _records(connection, [(index, data) for index, data in found if index < head.size])
            if signed:
                hash_at = _tree(connection, head)
                records = [_signed(record, head, hash_at) for record in records]
        return Page(items=records, next_cursor=None if following is None else encode_cursor(order, following))

    def entry(self, caller: Caller, key: str) -> Record:
        """Return one record, by its id or its index, with its signature. Raises Denied, InvalidInput, NotFound."""
        self._allow(caller, "ledger.read")
        with self._journal.read() as connection:
            index, data, head = _find(connection, key)
            (record,) = _records(connection, [(index, data)])
            return _signed(record, head, _tree(connection, head))

    def proof(self, caller: Caller, key: str) -> ProofDocument:
        """Return all that it takes to check one record without this platform. Raises as ``entry`` does."""
        self._allow(caller, "ledger.read")
        with self._journal.read() as connection:
            index, data, head = _find(connection, key)
            proof = _inclusion(index, head, _tree(connection, head))
            personal = exporting.opened(store.personal(connection, [index]).get(index, ()))
        return ProofDocument(
            index=index,
            body=exporting.as_object(index, data),
            personal=personal,
            proof=proof,
            checkpoint=head.checkpoint,
            public_key=self._public_key(head),
        )

    def checkpoint(self, caller: Caller) -> str:
        """Return the newest checkpoint. Raises Denied, and NotFound while the ledger is empty."""
        self._allow(caller, "ledger.read")
        with self._journal.read() as connection:
            return _head(connection).checkpoint

    def consistency(self, caller: Caller, first: int, second: int | None = None) -> Consistency:
        """Return why the tree of ``second`` records (all, when None) extends that of ``first``.

        Raises Denied, InvalidInput for sizes that the ledger does not have.
        """
        self._allow(caller, "ledger.read")
        with self._journal.read() as connection:
            head = _head(connection)
            second = head.size if second is None else second
            if not 0 < first <= second <= head.size:
                raise InvalidInput(
                    f"The ledger has {head.size} records, so no proof leads from {first} to {second}.",
                    next_step=f"Use sizes with 1 <= from <= to <= {head.size}.",
                    field="from",
                )
            hash_at = _tree(connection, head)
            return Consistency(
                first=first,
                second=second,
                hashes=_base64(merkle.consistency_proof(hash_at, first, second)),
                first_root=_base64([merkle.root_hash(hash_at, first)])[0],
                second_root=_base64([merkle.root_hash(hash_at, second)])[0],
            )

    def export(self, caller: Caller) -> Iterator[bytes]:
        """Return the whole ledger as lines of JSON (see ``exporting``), in chunks. Raises Denied, NotFound."""
        self._allow(caller, "ledger.export")
        with self._journal.read() as connection:
            head = _head(connection)
        return exporting.lines(self._journal.read, head, self._public_key(head))

    def verify(self, caller: Caller, since: str | None = None) -> Iterator[Progress | Report]:
        """Return the progress of verifying everything, and at last the report.

        The ledger must extend the pinned checkpoint and, if given, the checkpoint ``since``. Raises Denied,
        InvalidInput for a text that is no checkpoint, IntegrityFault for one that is not signed by this ledger.
        """
        self._allow(caller, "ledger.verify")
        notes = [note for note in (self._journal.pin.read(), since) if note is not None]
        older = [self._journal.ledger.verify_checkpoint(note)[0] for note in notes]
        return self._verify(older)

    def _verify(self, older: Sequence[Checkpoint]) -> Iterator[Progress | Report]:
        with self._journal.read() as connection:
            for step in self._journal.ledger.verify(connection, older):
                if isinstance(step, Report) and step.ok:
                    with suppress(CompanyOSError):  # Where the pin cannot be written, the report is no less true.
                        self._journal.pin.advance()
                yield step

    def _public_key(self, head: Head) -> PublicKeyView:
        _, key = self._journal.ledger.verify_checkpoint(head.checkpoint)
        return PublicKeyView(verifier_key=verifier_key(self._journal.ledger.origin, key), pem=key.pem)

    def reads(self, caller: Caller, *, cursor: str | None = None, limit: int = DEFAULT_LIMIT) -> Page[ReadCount]:
        """Return a page of the counts of reads, newest day first. Raises Denied, InvalidInput."""
        self._allow(caller, "ledger.read")
        check_limit(limit)
        start = None if cursor is None else tuple(str(part) for part in decode_cursor(cursor, str, str, str))
        with self._journal.read() as connection:
            found = store.reads(connection, start=start, limit=limit + 1)
        items = [ReadCount(day=row[0], actor=row[1], action=row[2], count=row[3]) for row in found[:limit]]
        following = encode_cursor(*found[limit - 1][:3]) if len(found) > limit else None
        return Page(items=items, next_cursor=following)

    def _allow(self, caller: Caller, action: str) -> None:
        """Return when the caller may. Whoever binds the authorizer counts each ``….read``; the others count here."""
        require(caller, action, RESOURCE)
        if not action.endswith(".read"):
            self._journal.reads.count(caller.subject, action)


def _check_filter(wanted: Filter) -> None:
    """Refuse what no record can have, and what a database could stumble over."""
    for name in ("actor", "verb", "target", "service"):
        text = getattr(wanted, name)
        if text is not None and not (0 < len(text) <= bodies.MAX_CHARACTERS[name] and text.isprintable()):
            raise InvalidInput(
                f"No record can have this {name}.",
                next_step=f"Use 1 to {bodies.MAX_CHARACTERS[name]} printable characters.",
                field=name,
            )
    for name in ("since", "until"):
        moment = getattr(wanted, name)
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput(
                f"The time {name} has no zone.", next_step="Write it as 2026-01-31T12:00:00Z.", field=name
            )


def _decode(cursor: str) -> tuple[str, int]:
    order, start = decode_cursor(cursor, str, int)
    if order not in {"newest", "oldest"} or not isinstance(start, int) or not 0 <= start <= MAX_SIZE:
        raise InvalidInput("The cursor is not one of ours.", next_step="Start again without a cursor.", field="cursor")
    return str(order), start


def _head(connection: Connection) -> Head:
    head = raw.head(connection)
    if head is None or head.size == 0:
        raise NotFound("The ledger is empty.", next_step="Make a change first; every change is recorded.")
    return head


def _find(connection: Connection, key: str) -> tuple[int, bytes, Head]:
    """Return index, body and head for a record that is named by its id or its index."""
    head = _head(connection)
    found: tuple[int, bytes] | None
    if key.isdecimal() and key.isascii() and len(key) <= _INDEX_DIGITS:
        data = raw.body_at(connection, int(key))
        found = None if data is None else (int(key), data)
    elif is_uuid(key):
        found = store.find(connection, key)
    else:
        raise InvalidInput(
            f"{key[:60]!r} names no record.",
            next_step="Use the id of a record, or its index in the ledger.",
            field="id",
        )
    if found is None or found[0] >= head.size:
        raise NotFound(f"The ledger has no record {key}.", next_step="`companyos ledger tail` shows the newest ones.")
    return *found, head


def _records(connection: Connection, found: Sequence[tuple[int, bytes]]) -> list[Record]:
    beside = store.personal(connection, [index for index, _ in found])
    return [_record(index, data, beside.get(index, ())) for index, data in found]


def _record(index: int, data: bytes, beside: Iterable[StoredPersonal]) -> Record:
    body = bodies.read(index, data)
    committed = bodies.commitments(body)
    values = {row.field: row.value for row in beside if row.field in committed}
    return Record(
        index=index,
        id=body.id,
        time=body.time,
        actor=body.actor,
        verb=body.verb,
        target=body.target,
        policy=body.policy,
        decision=body.decision,
        obligations=body.obligations,
        ip=values.get("ip"),
        device=values.get("device"),
        service=body.service,
        release=body.release,
        request_id=body.request_id,
        details=body.details,
        personal={name: values.get(name) for name in body.personal},
        erased=tuple(sorted(name for name in committed if values.get(name) is None)),
    )


def _tree(connection: Connection, head: Head) -> HashAt:
    """Return the stored tree; each tile is read once."""
    known: dict[tuple[int, int], bytes | None] = {}

    def read(level: int, index: int) -> bytes | None:
        if (level, index) not in known:
            known[level, index] = raw.tile(connection, level, index)
        return known[level, index]

    return tiles.hashes_of(head.tree(), read)


def _inclusion(index: int, head: Head, hash_at: HashAt) -> InclusionProof:
    hashes = _base64(merkle.inclusion_proof(hash_at, index, head.size))
    return InclusionProof(index=index, tree_size=head.size, hashes=hashes)


def _signed(record: Record, head: Head, hash_at: HashAt) -> Record:
    signature = Signature(checkpoint=head.checkpoint, proof=_inclusion(record.index, head, hash_at))
    return msgspec.structs.replace(record, signature=signature)


def _base64(hashes: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(base64.b64encode(one).decode() for one in hashes)

"""The ledger itself: append entries, and say which checkpoints are its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from companyos.core.errors import IntegrityFault, InvalidInput
from companyos.core.keys import PublishedKey, Purpose
from companyos.core.signing import PublicKey, Signer
from companyos.ledger import append, body, checkpoint, raw
from companyos.ledger import verify as verification
from companyos.ledger.checkpoint import Checkpoint
from companyos.ledger.model import Entry, LogIndex, Report
from companyos.ledger.raw import Head
from companyos.ledger.verify import Progress, StoredHead


class Keys(Protocol):
    """What the ledger needs of a key store."""

    def signer(self, purpose: Purpose) -> Signer:
        """Return what signs for the purpose now."""
        ...

    def public_keys(self, purpose: Purpose) -> tuple[PublishedKey, ...]:
        """Return every key that ever signed for the purpose."""
        ...


class Ledger:
    """An append-only log in the tables of one database, signed by the keys of one home."""

    def __init__(self, keys: Keys, origin: str) -> None:
        """Take the keys and the name of the ledger in its checkpoints."""
        self.keys = keys
        self.origin = origin

    def append(self, connection: Connection, entry: Entry) -> LogIndex:
        """Append one entry and return its index; call it last in a write transaction, and once.

        Raises InvalidInput or TooLarge for an entry that cannot be recorded, IntegrityFault, Unavailable.
        """
        return self.append_all(connection, [entry])[0]

    def append_all(self, connection: Connection, entries: Iterable[Entry]) -> tuple[LogIndex, ...]:
        """Append all entries under one checkpoint and return their indexes; as ``append`` otherwise."""
        sealed = [body.seal(entry) for entry in entries]
        if not sealed:
            return ()
        first = append.append(connection, sealed, self._sign)
        return tuple(LogIndex(index) for index in range(first, first + len(sealed)))

    def size(self, connection: Connection) -> int:
        """Return how many records there are, which is also the revision of the whole database."""
        head = raw.head(connection)
        return 0 if head is None else head.size

    def public_keys(self) -> Sequence[PublicKey]:
        """Return every key that ever signed this ledger, oldest first."""
        return [key.public_key for key in self.keys.public_keys("ledger")]

    def verify_checkpoint(self, note: str, *, at: datetime | None = None) -> tuple[Checkpoint, PublicKey]:
        """Return what a checkpoint of this ledger says, and the key that signed it.

        ``at`` is the time of the last record that it covers: a key signs nothing that happened after its window.
        Raises InvalidInput for a text that is no checkpoint, IntegrityFault for one that is not ours.
        """
        found, key = checkpoint.verify(note, self.origin, self.public_keys())
        if at is not None:
            published = next(one for one in self.keys.public_keys("ledger") if one.key_id == key.key_id)
            if published.not_after is not None and at >= published.not_after:
                raise IntegrityFault(
                    f"The checkpoint of {found.size} records is signed by the key {key.key_id[:16]}…, "
                    "which was retired before the last of them.",
                    next_step="Find out who still has that key.",
                )
        return found, key

    def verify(self, connection: Connection, older: Sequence[Checkpoint] = ()) -> Iterator[Progress | Report]:
        """Yield the progress of verifying one moment of the ledger, and at last the report.

        ``older`` are checkpoints that ``verify_checkpoint`` has returned; the ledger must extend them.
        """
        head = raw.head(connection)
        yield from verification.verify(
            raw.Tables(connection), None if head is None else self._seen(connection, head), older
        )

    def _seen(self, connection: Connection, head: Head) -> StoredHead:
        try:
            signed, _ = self.verify_checkpoint(head.checkpoint, at=_time_of_last(connection, head))
        except (IntegrityFault, InvalidInput) as fault:
            return StoredHead(head.size, head.frontier, head.checkpoint, None, fault.detail)
        return StoredHead(head.size, head.frontier, head.checkpoint, signed)

    def _sign(self, size: int, root: bytes) -> str:
        return checkpoint.sign(Checkpoint(self.origin, size, root), self.keys.signer("ledger"))


def _time_of_last(connection: Connection, head: Head) -> datetime | None:
    """Return when the last record was made, or None when it cannot be read, which verification will name."""
    data = raw.body_at(connection, head.size - 1)
    try:
        return None if data is None else body.read(head.size - 1, data).time
    except IntegrityFault:
        return None

"""The pin: the newest checkpoint that this machine has seen, in a file outside the database.

Somebody who can rewrite the database and sign could forge a ledger that is sound in itself. It would not extend the
pin: `verify` compares them, and the pin itself only moves to a tree that is proven to extend it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from companyos.core import durable
from companyos.core.database import Database
from companyos.core.errors import IntegrityFault, NotFound, Unavailable
from companyos.core.settings import Settings
from companyos.ledger import merkle, raw
from companyos.ledger.checkpoint import MAX_CHARACTERS, Checkpoint
from companyos.ledger.service import Ledger
from companyos.ledger.tiles import hashes_of


class Pin:
    """The file that holds the newest checkpoint seen."""

    def __init__(self, path: Path, database: Database, ledger: Ledger) -> None:
        """Take the file, and what it is about."""
        self.path = path
        self._database = database
        self._ledger = ledger

    @classmethod
    def of(cls, settings: Settings, database: Database, ledger: Ledger) -> Pin:
        """Return the pin for a database in its home; another database has another pin."""
        address = database.writer.url
        place = f"{address.host}:{address.port}/{address.database}?{address.query.get('host', '')}"
        name = hashlib.sha256(place.encode()).hexdigest()[:16]
        return cls(settings.folder.path / "checkpoints" / f"{name}.checkpoint", database, ledger)

    def read(self) -> str | None:
        """Return the pinned checkpoint as it is, or None. Raises Unavailable or IntegrityFault for a broken file."""
        try:
            return durable.read(self.path, limit_bytes=4 * MAX_CHARACTERS).decode()
        except NotFound:
            return None
        except (OSError, UnicodeDecodeError) as fault:
            raise Unavailable(f"The pinned checkpoint {self.path} cannot be read.") from fault

    def advance(self) -> Checkpoint | None:
        """Move the pin to the newest checkpoint and return what it says; None while the ledger is empty.

        Raises IntegrityFault, and leaves the pin, when the ledger does not extend it.
        """
        note = self.read()
        pinned = None if note is None else self._ledger.verify_checkpoint(note)[0]
        with self._database.read() as connection:
            head = raw.head(connection)
            if head is None or head.size == 0:
                if pinned is not None:
                    raise self._contradiction(pinned, "is empty")
                return None
            newest, _ = self._ledger.verify_checkpoint(head.checkpoint)
            if newest.size != head.size:
                raise IntegrityFault(f"The head says {head.size} records, and its checkpoint {newest.size}.")
            if pinned is not None:
                if newest.size < pinned.size:
                    raise self._contradiction(pinned, f"has only {newest.size}")
                hash_at = hashes_of(head.tree(), lambda level, index: raw.tile(connection, level, index))
                proof = merkle.consistency_proof(hash_at, pinned.size, newest.size)
                merkle.verify_consistency(pinned.size, newest.size, proof, pinned.root, newest.root)
        if pinned != newest:
            self._write(head.checkpoint)
        return newest

    def _write(self, note: str) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.write(self.path, note.encode())
        except OSError as fault:
            raise Unavailable(f"The checkpoint {self.path} cannot be written: {fault.strerror}.") from fault

    def _contradiction(self, pinned: Checkpoint, what: str) -> IntegrityFault:
        return IntegrityFault(
            f"The ledger had {pinned.size} records when this machine last looked, and now it {what}.",
            next_step=f"If an older backup was restored on purpose, remove {self.path}.",
        )

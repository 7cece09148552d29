"""The use cases of the decision log, for callers who may: look up, verify, erase, and take what services send."""

from __future__ import annotations

from companyos.core.access import Caller, require
from companyos.core.errors import NotFound
from companyos.core.ids import is_uuid
from companyos.ledger import Journal
from companyos.policy.log.ingesting import Outcome, ingest
from companyos.policy.log.reading import DecisionReader, PathsOf
from companyos.policy.log.record import Decision
from companyos.policy.log.verifying import Report, Verification
from companyos.policy.log.writer import DecisionLog


class Decisions:
    """The decision log of a home."""

    def __init__(
        self, journal: Journal, log: DecisionLog | None = None, paths_of: PathsOf = lambda _digest: None
    ) -> None:
        """Take the journal, and the log of this process when it writes one; see ``reading`` for ``paths_of``."""
        self.log = log or DecisionLog(journal)
        self.reader = DecisionReader(self.log.lookup, self.log.keys, paths_of)
        self._journal = journal

    def find(self, caller: Caller, audit_id: str) -> list[Decision]:
        """Return the decision with this id, and behind it its receipts.

        Raises Denied, NotFound, and IntegrityFault when what is stored was changed.
        """
        require(caller, "decision.read", f"decision:{audit_id[:64]}")
        found = self.reader.find(audit_id) if is_uuid(audit_id) else []
        if not found:
            raise NotFound(
                f"There is no decision {audit_id[:64]}.",
                next_step="Use the audit_id of an answer; it is found a moment after the decision.",
            )
        return found

    def verify(self, caller: Caller) -> Report:
        """Return whether everything is as it was recorded. Raises Denied, Unavailable."""
        require(caller, "ledger.verify", "decisions")
        return Verification(self._journal, self.log.folder, self.log.keys).run()

    def erase(self, caller: Caller, subject_type: str, subject_id: str, reason: str) -> str:
        """Make what the decisions about a subject looked at unreadable for good; return the id of the deleted key.

        Raises Denied, InvalidInput without a reason, NotFound when no decision was about the subject.
        """
        return self.log.keys.erase(caller, subject_type, subject_id, reason)

    def ingest(self, caller: Caller, body: bytes) -> Outcome:
        """Return what became of a batch of records, one a line. Raises Denied, Unavailable."""
        require(caller, "policy.report", "decisions")
        return ingest(self.log, body, caller.subject)

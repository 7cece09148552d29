"""What the use cases of bundles share: the home they work in, and what they ask others for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeAlias

from companyos.core.errors import InvalidInput
from companyos.core.ids import is_uuid
from companyos.identity import store as identity_store
from companyos.operations import Operations
from companyos.policy.guards import lockout
from companyos.policy.model import PLATFORM, STAGES, Checked, Published, Stage
from companyos.policy.replay import DecisionSource, InputPath, Recorded
from companyos.policy.shelf import Shelf
from companyos_sdk.bundle.metadata import BUNDLE_ID, VERSION

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from companyos.core.access import Caller
    from companyos.ledger import Journal
    from companyos_sdk.bundle import Bundle

_SUBJECTS_AT_ONCE: Final = 500
_ADMIN: Final = "admin"

Checker: TypeAlias = "Callable[[Bundle, datetime], Checked | None]"
"""Compiles the sources of a bundle, compares that with its plan, and runs its tests; None where no compiler is.

It raises BundleRefused when the plan is not what the sources compile to.
"""


class Base:
    """The parts that every use case has at hand."""

    def __init__(
        self, journal: Journal, decisions: DecisionSource | None = None, checker: Checker | None = None
    ) -> None:
        """Work on the home of this journal; ``decisions`` is what a promotion replays, ``checker`` what runs tests."""
        from companyos.policy.checking import check

        self.journal: Final = journal
        self._shelf: Final = Shelf(journal)
        self._operations: Final = Operations(journal)
        self._decisions: Final = decisions or Recorded()
        self._checker: Final[Checker] = checker or check
        self._replaying: Final = threading.Lock()
        self._paths: Final[OrderedDict[str, tuple[InputPath, ...] | None]] = OrderedDict()

    def _lockout(self, bundle: Bundle) -> str | None:
        """Return why this policy of the platform would lock the last admins out, or None for it and every other."""
        bundle_id = bundle.metadata.bundle_id
        if bundle_id != PLATFORM:
            return None
        with self.journal.read() as connection:
            admins = list(self._admins(connection))
        return lockout(bundle_id, bundle.program, admins, self.journal.clock.now())

    def _admins(self, connection: Connection) -> Iterator[Caller]:
        now = self.journal.clock.now()
        after = None
        while found := identity_store.subjects_page(connection, after=after, limit=_SUBJECTS_AT_ONCE):
            for subject in found:
                if subject.status == "active" and _ADMIN in subject.roles(now):
                    yield subject.caller(now)
            after = found[-1].id


def check_bundle_id(text: str) -> str:
    """Return ``<domain>/<service>`` unchanged, or raise InvalidInput that says its form."""
    if BUNDLE_ID.fullmatch(text) is None:
        raise InvalidInput(
            f"{text[:100]!r} is no id of a bundle.",
            next_step="Write <domain>/<service>, each in lower-case letters, digits, - and _.",
            field="bundle_id",
        )
    return text


def check_version(text: str) -> str:
    """Return a version unchanged, or raise InvalidInput that says its form."""
    if VERSION.fullmatch(text) is None:
        raise InvalidInput(f"{text[:80]!r} is no version.", next_step="Write it like 1.4.0.", field="version")
    return text


def check_stage(text: str) -> Stage:
    """Return the stage, or raise InvalidInput that lists them."""
    for stage in STAGES:
        if stage == text:
            return stage
    raise InvalidInput(f"There is no stage {text[:20]!r}.", next_step=f"Use one of {', '.join(STAGES)}.", field="stage")


def named(published: Published) -> str:
    """Return how holds, approvals and the ledger name a version: ``policy:companyos/documents@1.4.0``."""
    return f"policy:{published.name}"


def is_author(published: Published, caller: Caller) -> bool:
    """Tell whether the caller published it, under whichever token."""
    same = published.published_by_id is not None and published.published_by_id == caller.subject_id
    return same or published.published_by == caller.subject


def is_other_person(published: Published, caller: Caller) -> bool:
    """Tell whether the caller is a signed-in person who is certainly not the author.

    Of an author who worked on the files nobody can tell who that was.
    """
    signed_in = caller.subject.startswith("user:") and caller.subject_id is not None and is_uuid(caller.subject_id)
    return signed_in and published.published_by_id is not None and not is_author(published, caller)

"""The use cases that only look: what is active, what was, and the bytes for whoever decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from companyos.core.access import Caller, require
from companyos.core.errors import CompanyOSError
from companyos.core.paging import DEFAULT_LIMIT, Page, after_id, check_limit, page_by_id
from companyos.policy import store
from companyos.policy.base import Base, check_bundle_id, check_stage, check_version
from companyos.policy.errors import BundleNotFound, NothingActive
from companyos.policy.model import Activation, Published, Stage, StageStatus

if TYPE_CHECKING:
    from companyos.policy.replay import InputPath
    from companyos_sdk.bundle import Bundle

_REMEMBERED: Final = 256


class Looking(Base):
    """Looking at bundles."""

    def active(self, bundle_id: str, stage: Stage) -> Activation | None:
        """Return what is active in a stage, or None; it asks for no permission."""
        with self.journal.read() as connection:
            return store.active(connection, bundle_id, stage)

    def stages(self) -> list[StageStatus]:
        """Return what is active everywhere; it asks for no permission."""
        with self.journal.read() as connection:
            return store.stages(connection)

    def revision(self) -> str:
        """Return something that is another text whenever anything became active; it asks for no permission."""
        with self.journal.read() as connection:
            return store.revision(connection)

    def opened(self, activation: Activation) -> Bundle:
        """Return the bundle of an activation, verified as it was when it became active; it asks for no permission.

        Raises NotFound and IntegrityFault when its bytes are gone or changed.
        """
        return self._shelf.open(self._shelf.read(activation.digest), activation.stage, at=activation.at)

    def paths_of(self, digest: str) -> tuple[InputPath, ...] | None:
        """Return what the bundle with this digest can read of an input, None when it is not known (any more)."""
        known = self._paths
        if digest not in known:
            known[digest] = self._read_paths(digest)
            while len(known) > _REMEMBERED:
                known.popitem(last=False)
        return known[digest]

    def fetch(self, caller: Caller, bundle_id: str, stage: Stage, *, unless: str | None = None) -> tuple[bytes, str]:
        """Return the bytes of what is active, for whoever decides, and their digest.

        No bytes come back when ``unless`` is the digest already. Raises NothingActive.
        """
        require(caller, "policy.read", f"policy:{check_bundle_id(bundle_id)}")
        active = self.active(bundle_id, check_stage(stage))
        if active is None:
            raise NothingActive(bundle_id, stage)
        return (b"" if active.digest == unless else self._shelf.read(active.digest)), active.digest

    def list_stages(self, caller: Caller) -> list[StageStatus]:
        """Return what is active in every stage of every bundle, and what has failed there."""
        require(caller, "policy.read", "policies")
        return self.stages()

    def list_published(
        self, caller: Caller, *, bundle_id: str | None = None, cursor: str | None = None, limit: int = DEFAULT_LIMIT
    ) -> Page[Published]:
        """Return a page of published versions, newest first."""
        require(caller, "policy.read", f"policy:{check_bundle_id(bundle_id)}" if bundle_id else "policies")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.published_page(connection, bundle_id, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda one: one.id)

    def get_published(self, caller: Caller, bundle_id: str, version: str) -> Published:
        """Return a published version. Raises BundleNotFound."""
        require(caller, "policy.read", f"policy:{check_bundle_id(bundle_id)}@{check_version(version)}")
        with self.journal.read() as connection:
            found = store.published(connection, bundle_id, version)
        if found is None:
            raise BundleNotFound(f"{bundle_id}@{version}")
        return found

    def history(
        self,
        caller: Caller,
        bundle_id: str,
        *,
        stage: Stage | None = None,
        cursor: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page[Activation]:
        """Return a page of what became active, newest first."""
        require(caller, "policy.read", f"policy:{check_bundle_id(bundle_id)}")
        check_limit(limit)
        with self.journal.read() as connection:
            found = store.history_page(connection, bundle_id, stage, after=after_id(cursor), limit=limit + 1)
        return page_by_id(found, limit, lambda one: one.id)

    def _read_paths(self, digest: str) -> tuple[InputPath, ...] | None:
        with self.journal.read() as connection:
            activation = store.activation_by_digest(connection, digest)
        if activation is None:
            return None
        try:
            paths: tuple[InputPath, ...] = self.opened(activation).program.input_paths
        except CompanyOSError:
            return None
        return paths

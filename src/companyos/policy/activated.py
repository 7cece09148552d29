"""The bundles that are active in a stage, loaded for the decision point of this process; the last good one stays."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from companyos.core.errors import CompanyOSError
from companyos.policy.active import ActiveBundle
from companyos.policy.model import Activation, Stage
from companyos.policy.service import Policies
from companyos_sdk.policy.decision import BundleIdentity

_log: Final = logging.getLogger(__name__)


class Activated:
    """What knows which bundles are active in a stage; one thread loads at a time."""

    def __init__(self, policies: Policies, stage: Stage, only: frozenset[str] | None = None) -> None:
        """Take the use cases, the stage of this platform, and the ids of the bundles that are wanted (None: all)."""
        self._policies = policies
        self._stage = stage
        self._only = only
        self.absent: frozenset[str] = frozenset()
        """The bundles that are active and could not be loaded, as of the last ``load``."""
        self._loaded: dict[str, tuple[str, ActiveBundle]] = {}
        """By bundle id: the id of the activation, and what was loaded of it."""

    def revision(self) -> str:
        """Return something that is another text whenever an activation has changed. Raises Unavailable."""
        return self._policies.revision()

    def load(self) -> Mapping[str, ActiveBundle]:
        """Return the active bundles by their id. Raises Unavailable.

        One that cannot be loaded is left as it was, and the stage's status, the ledger and the log say so; it is absent
        where nothing of it was ever loaded.
        """
        found: dict[str, tuple[str, ActiveBundle]] = {}
        absent = set()
        for status in self._policies.stages():
            if status.stage != self._stage or status.active is None:
                continue
            if self._only is not None and status.bundle_id not in self._only:
                continue
            loaded = self._bundle(status.active)
            if loaded is not None:
                found[status.bundle_id] = loaded
            else:
                absent.add(status.bundle_id)
        self._loaded, self.absent = found, frozenset(absent)
        return {bundle_id: bundle for bundle_id, (_, bundle) in found.items()}

    def _bundle(self, activation: Activation) -> tuple[str, ActiveBundle] | None:
        known = self._loaded.get(activation.bundle_id)
        if known is not None and known[0] == activation.id:
            return known
        try:
            bundle = self._policies.opened(activation)
        except CompanyOSError as fault:
            _log.exception("An active bundle cannot be loaded; the one before stays")
            self._policies.note_unloadable(activation, str(fault))
            return known
        about = bundle.metadata
        identity = BundleIdentity(
            id=about.bundle_id,
            version=about.version,
            stage=activation.stage,
            digest=bundle.digest,
            data_digest=bundle.data_digest,
        )
        return activation.id, ActiveBundle(identity=identity, program=bundle.program, emits=about.obligations)

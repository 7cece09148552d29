"""The bundles that decide at the moment, as the decision point needs them: loaded, with their programs ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from companyos_sdk.policy.decider import Program
from companyos_sdk.policy.decision import BundleIdentity


class ActiveBundle(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that is active in the stage of this platform."""

    identity: BundleIdentity
    program: Program
    emits: tuple[str, ...] = ()
    """The types of obligations that it declares."""


class ActiveBundles(Protocol):
    """What knows which bundles are active in a stage."""

    def revision(self) -> str:
        """Return something that is another text whenever an activation has changed. Raises Unavailable."""
        ...

    def load(self) -> Mapping[str, ActiveBundle]:
        """Return the active bundles by their id.

        One that cannot be loaded is left as it was, loudly, or is absent. Raises Unavailable.
        """
        ...


class InMemory:
    """Active bundles that somebody has put here, for tests and trials."""

    def __init__(self, *bundles: ActiveBundle) -> None:
        """Take the bundles that are active from the beginning."""
        self._bundles = {bundle.identity.id: bundle for bundle in bundles}
        self._revision = 0

    def activate(self, bundle: ActiveBundle) -> None:
        """Make this the active bundle of its id."""
        self._bundles = {**self._bundles, bundle.identity.id: bundle}
        self._revision += 1

    def deactivate(self, bundle_id: str) -> None:
        """Take a bundle away."""
        self._bundles = {name: bundle for name, bundle in self._bundles.items() if name != bundle_id}
        self._revision += 1

    def revision(self) -> str:
        """Return how often something has changed."""
        return str(self._revision)

    def load(self) -> Mapping[str, ActiveBundle]:
        """Return the active bundles by their id."""
        return self._bundles

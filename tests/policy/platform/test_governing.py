"""Which policy decides about the platform: the active bundle, else the one that ships, and nothing in place of it."""

from __future__ import annotations

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Unavailable
from companyos.policy.active import ActiveBundle, InMemory
from companyos.policy.enforcing import PolicyAuthorizer
from companyos.policy.governing import LOOK_S, UNLOADABLE, Governing
from companyos.policy.model import PLATFORM
from companyos_sdk.policy.decision import BundleIdentity
from companyos_sdk.policy.record import MemoryRecorder

ADMIN = Caller(subject="user:ada", roles=frozenset({"admin"}), subject_id="ada")


class Says:
    """A program that always says the same."""

    input_paths: tuple[tuple[str, ...], ...] = ()

    def __init__(self, decision: str, reason: str) -> None:
        """Take the answer."""
        self.answer = {"decision": decision, "reason": reason, "obligations": []}

    def observe(self, input: object) -> tuple[object, tuple[object, ...]]:
        """Return it."""
        del input
        return self.answer, ()


class Bundles(InMemory):
    """Active bundles, some of which cannot be loaded, in a database that may be away."""

    def __init__(self) -> None:
        """Have none."""
        super().__init__()
        self.absent: frozenset[str] = frozenset()
        self.away = False
        self.looks = 0

    def revision(self) -> str:
        """Return the revision, or fail as a database that is away."""
        self.looks += 1
        if self.away:
            raise Unavailable("The database does not answer.", next_step="Wait.")
        return super().revision()


@pytest.fixture
def bundles() -> Bundles:
    """What is active."""
    return Bundles()


@pytest.fixture
def clock() -> ManualClock:
    """The clock of the platform."""
    return ManualClock()


@pytest.fixture
def authorizer(bundles: Bundles, clock: ManualClock) -> PolicyAuthorizer:
    """What guards the platform."""
    return PolicyAuthorizer(Governing(bundles, MemoryRecorder(), clock.monotonic).decider, clock)


def mine(decision: str = "deny", reason: str = "mine") -> ActiveBundle:
    """An active policy of a company's own."""
    return ActiveBundle(identity=BundleIdentity(id=PLATFORM, version="1.0.0"), program=Says(decision, reason))


def asked(authorizer: PolicyAuthorizer) -> tuple[bool, str]:
    """Whether an admin may see the catalog, and by which rule."""
    verdict = authorizer.decide(ADMIN, "catalog.read", "services")
    return verdict.allowed, verdict.policy


def test_the_policy_that_ships_decides_where_none_is_active(authorizer: PolicyAuthorizer, bundles: Bundles) -> None:
    """A bundle about something else changes nothing."""
    other = ActiveBundle(identity=BundleIdentity(id="shop/orders"), program=Says("deny", "shop"))
    bundles.activate(other)
    assert asked(authorizer) == (True, "roles:admin")


def test_an_activation_counts_a_moment_later(
    authorizer: PolicyAuthorizer, bundles: Bundles, clock: ManualClock
) -> None:
    """And so does its end, without a look at the database for each decision."""
    assert asked(authorizer)[0]
    bundles.activate(mine())
    looks = bundles.looks
    assert asked(authorizer)[0]
    assert bundles.looks == looks
    clock.advance(LOOK_S)
    assert asked(authorizer) == (False, "mine")
    bundles.deactivate(PLATFORM)
    clock.advance(LOOK_S)
    assert asked(authorizer)[0]


def test_an_active_policy_that_cannot_be_loaded_denies(authorizer: PolicyAuthorizer, bundles: Bundles) -> None:
    """The one that ships is not put in its place: it may be looser."""
    bundles.absent = frozenset({PLATFORM})
    assert asked(authorizer) == (False, UNLOADABLE)


def test_a_database_that_is_away_leaves_the_last_policy(
    authorizer: PolicyAuthorizer, bundles: Bundles, clock: ManualClock
) -> None:
    """Also when that was a stricter one, and after any time."""
    bundles.activate(mine())
    assert asked(authorizer) == (False, "mine")
    bundles.away = True
    for _ in range(3):
        clock.advance(60)
        assert asked(authorizer) == (False, "mine")
    bundles.away = False
    bundles.activate(mine("allow", "open"))
    clock.advance(LOOK_S)
    assert asked(authorizer) == (True, "open")

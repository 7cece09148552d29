from concurrent.futures import ThreadPoolExecutor

from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.leases import Leases


def test_one_holder_at_a_time(database: Database) -> None:
    """While a lease lasts nobody else gets it, and its holder may renew it under the same fence."""
    clock = ManualClock()
    leases = Leases(database, clock)
    first = leases.acquire("projector", "a", 10)
    assert first is not None
    assert leases.acquire("projector", "b", 10) is None
    clock.advance(9)
    renewed = leases.acquire("projector", "a", 10)
    assert renewed is not None
    assert (renewed.fence, renewed.expires_at > first.expires_at) == (first.fence, True)
    assert leases.held() == [renewed]


def test_a_lease_that_ran_out_goes_to_the_next_with_a_higher_fence(database: Database) -> None:
    """A holder that was killed loses its lease by time alone; the next one has a higher fence."""
    clock = ManualClock()
    leases = Leases(database, clock)
    first = leases.acquire("x", "a", 10)
    clock.advance(10)
    second = leases.acquire("x", "b", 10)
    assert first is not None
    assert second is not None
    assert second.fence == first.fence + 1
    assert leases.acquire("x", "a", 10) is None


def test_a_late_release_takes_nothing_from_the_present_holder(database: Database) -> None:
    """Releasing frees the name at once, but an old lease that comes back late releases nothing."""
    clock = ManualClock()
    leases = Leases(database, clock)
    old = leases.acquire("x", "a", 1)
    assert old is not None
    clock.advance(2)
    present = leases.acquire("x", "b", 100)
    assert present is not None
    leases.release(old)
    assert leases.acquire("x", "c", 1) is None
    leases.release(present)
    assert leases.held() == []
    assert leases.acquire("x", "c", 1) is not None


def test_of_many_that_start_at_once_one_gets_it(database: Database) -> None:
    """Eight threads that ask for a name nobody has held yet: exactly one gets it, and none fails."""
    leases = Leases(database, ManualClock())
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda holder: leases.acquire("new", holder, 60), "abcdefgh"))
    assert len([lease for lease in got if lease]) == 1

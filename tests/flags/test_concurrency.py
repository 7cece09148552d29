from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from companyos.core.access import Caller
from companyos.core.errors import Conflict
from companyos.flags import Flags
from companyos.ledger import Journal
from tests.flags.files import DIGEST, file
from tests.pillar import records

MANY = 8


def test_many_setters_make_one_history(flags: Flags, journal: Journal, operator: Caller) -> None:
    """Each change says what was before it, without a gap; who comes too late for the first time may try again."""
    flags.define(operator, "shop", file("a"), digest=DIGEST)

    def set_it(number: int) -> bool:
        try:
            flags.set(operator, "shop", "a", value=number % 2 == 0, reason=f"r{number}")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(MANY) as pool:
        done = list(pool.map(set_it, range(4 * MANY)))
    assert done.count(True) >= 3 * MANY
    details = [record.details for record in records(journal)[1:]]
    assert details[0]["before"] is None
    assert [one["after"] for one in details[:-1]] == [one["before"] for one in details[1:]]
    assert flags.get(operator, "shop", "a").value is details[-1]["after"]
    assert flags.get(operator, "shop", "a").revision == len(details)


def test_a_release_that_is_stepped_twice_at_once_sets_its_flags_once(
    flags: Flags, journal: Journal, operator: Caller
) -> None:
    """Two controllers for a moment, as after a pause."""
    flags.define(operator, "shop", file("a"), digest=DIGEST)
    loop = Caller(subject="system:delivery")

    def step(_: int) -> int:
        try:
            with journal.write(loop, unchanged_ok=True) as change:
                return len(flags.turn_on_in(change, loop, "shop", "production", [("a", True)], "r1"))
        except Conflict:
            return 0

    with ThreadPoolExecutor(MANY) as pool:
        assert sum(pool.map(step, range(MANY))) == 1

    def back(_: int) -> int:
        with journal.write(loop, unchanged_ok=True) as change:
            return len(flags.turn_back_in(change, loop, "r1").changes)

    with ThreadPoolExecutor(MANY) as pool:
        assert sum(pool.map(back, range(MANY))) == 1
    assert flags.get(operator, "shop", "a").value is False
    assert len(records(journal)) == 3

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, Unavailable
from companyos.server.denials import ALLOWANCE, CALLERS_LIMIT, REFILL_S, REPEAT_S, Denials, Tally, weigh

ADA = Caller(subject="user:ada")


class Written:
    """A ledger that keeps what it is given, or cannot be reached."""

    def __init__(self) -> None:
        """Start empty and reachable."""
        self.rows: list[tuple[str, str, str, str]] = []
        self.reachable = True

    def deny(self, caller: Caller, verb: str, target: str, denied: Denied) -> None:
        """Keep one row."""
        if not self.reachable:
            raise Unavailable("The database is gone.")
        self.rows.append((caller.subject, verb, target, str(denied)))


def denied(resource: str = "token:1") -> Denied:
    """Return a denial."""
    return Denied("No.", action="token.read", resource=resource, policy="roles:deny")


@given(st.lists(st.tuples(st.floats(0, 120), st.integers(0, 40)), max_size=200))
def test_rows_are_bounded_and_no_denial_is_lost(events: list[tuple[float, int]]) -> None:
    """However somebody insists, rows stay within the allowance and its refill, and with the withheld they are all."""
    tally: Tally | None = None
    now = 0.0
    rows = counted = 0
    last: dict[int, float] = {}
    for pause, what in events:
        now += pause
        tally, withheld = weigh(tally, str(what), now)
        if withheld is not None:
            rows += 1
            counted += 1 + withheld
            assert now - last.get(what, -REPEAT_S) >= REPEAT_S
            last[what] = now
    assert rows <= ALLOWANCE + now / REFILL_S
    assert counted + (tally.withheld if tally else 0) == len(events)


def test_the_same_denial_is_written_once_a_minute_with_its_count() -> None:
    """Ten denials in a row are one record; the next record a minute later says how many were not written."""
    log, clock = Written(), ManualClock()
    denials = Denials(log, clock)
    for _ in range(10):
        denials.count(ADA, denied())
    assert log.rows == [("user:ada", "token.read", "token:1", "No.")]
    clock.advance(REPEAT_S)
    denials.count(ADA, denied())
    assert log.rows[1][3] == "No. 9 more denials of this caller were counted and not written."


def test_one_who_insists_leaves_room_for_others() -> None:
    """The allowance is per caller."""
    log = Written()
    denials = Denials(log, ManualClock())
    for number in range(500):
        denials.count(ADA, denied(f"token:{number}"))
    denials.count(Caller(subject="user:eve"), denied())
    assert len(log.rows) == ALLOWANCE + 1
    assert log.rows[-1][0] == "user:eve"


def test_what_was_withheld_is_written_by_the_loop_once() -> None:
    """When no row follows, the summary says the number, and then it is settled."""
    log = Written()
    denials = Denials(log, ManualClock())
    for _ in range(5):
        denials.count(ADA, denied())
    denials.summarise()
    denials.summarise()
    assert log.rows[1:] == [
        (
            "user:ada",
            "denial.summary",
            "user:ada",
            "Many denials. 4 more denials of this caller were counted and not written.",
        )
    ]


def test_a_ledger_that_is_gone_does_not_turn_a_denial_into_something_else() -> None:
    """Recording raises nothing: the caller is denied all the same."""
    log = Written()
    log.reachable = False
    denials = Denials(log, ManualClock())
    denials.count(ADA, denied())
    assert log.rows == []


def test_the_table_of_callers_is_bounded() -> None:
    """Many callers with one denial each are all recorded, and not all remembered."""
    log = Written()
    denials = Denials(log, ManualClock())
    for number in range(CALLERS_LIMIT + 50):
        denials.count(Caller(subject=f"service:{number}"), denied())
    assert len(log.rows) == CALLERS_LIMIT + 50
    assert len(denials) == CALLERS_LIMIT

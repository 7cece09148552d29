from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.errors import InvalidInput
from companyos.flags import Change, Flags, TurnedBack
from companyos.ledger import Journal
from tests.flags.files import DIGEST, file
from tests.pillar import records

LOOP = Caller(subject="system:delivery")


def turn_on(
    flags: Flags, release_id: str, *pairs: tuple[str, bool], environment: str = "production"
) -> tuple[Change, ...]:
    """Do what the controller does when a release begins."""
    with flags.journal.write(LOOP, unchanged_ok=True) as change:
        return flags.turn_on_in(change, LOOP, "shop", environment, pairs, release_id)


def turn_back(flags: Flags, release_id: str) -> TurnedBack:
    """Do what the controller does when a release is rolled back."""
    with flags.journal.write(LOOP, unchanged_ok=True) as change:
        return flags.turn_back_in(change, LOOP, release_id)


def values(flags: Flags, operator: Caller, environment: str = "production") -> dict[str, bool]:
    """Return what counts now."""
    return {one.key: one.value for one in flags.list_flags(operator, environment=environment).items}


@pytest.fixture
def defined(flags: Flags, operator: Caller) -> Flags:
    """Return the use cases with three flags of the service shop."""
    flags.define(operator, "shop", file("a", "b", "c"), digest=DIGEST)
    return flags


def test_flags_of_a_release_are_turned_on_and_back(defined: Flags, journal: Journal, operator: Caller) -> None:
    """Exactly those, to exactly what they were, each written down with the release."""
    defined.set(operator, "shop", "b", value=True, reason="mine")
    made = turn_on(defined, "r1", ("a", True), ("b", False))
    assert [(one.key, one.before, one.after, one.release_id) for one in made] == [
        ("a", None, True, "r1"),
        ("b", True, False, "r1"),
    ]
    assert values(defined, operator) == {"a": True, "b": False, "c": False}
    assert defined.get(operator, "shop", "a").release_id == "r1"
    back = turn_back(defined, "r1")
    assert [(one.key, one.before, one.after) for one in back.changes] == [("a", True, None), ("b", False, True)]
    assert back.left == ()
    assert values(defined, operator) == {"a": False, "b": True, "c": False}
    assert defined.get(operator, "shop", "a").changed_by is None
    assert [(record.verb, record.details["flag"]) for record in records(journal)[2:]] == [
        ("flag.turn_on", "a"),
        ("flag.turn_on", "b"),
        ("flag.turn_back", "a"),
        ("flag.turn_back", "b"),
    ]
    assert {record.details["release_id"] for record in records(journal)[2:]} == {"r1"}


def test_twice_is_once(defined: Flags, journal: Journal, operator: Caller) -> None:
    """In either direction, also after a step that was undone halfway, and never back and forth."""
    assert len(turn_on(defined, "r1", ("a", True))) == 1
    assert turn_on(defined, "r1", ("a", True)) == ()
    assert len(turn_on(defined, "r1", ("a", True), ("b", True))) == 1
    assert len(turn_back(defined, "r1").changes) == 2
    size = journal.size()
    assert turn_back(defined, "r1") == TurnedBack()
    assert turn_on(defined, "r1", ("a", True), ("b", True)) == ()
    assert turn_back(defined, "unknown") == TurnedBack()
    assert journal.size() == size
    assert values(defined, operator) == {"a": False, "b": False, "c": False}


def test_what_somebody_changed_since_is_left_and_said(defined: Flags, operator: Caller) -> None:
    """To another value, or to the same one, which makes it theirs; asked again, it is said again."""
    turn_on(defined, "r1", ("a", True), ("b", True), ("c", True))
    defined.set(operator, "shop", "a", value=False, reason="too slow")
    defined.set(operator, "shop", "b", value=True, reason="mine now")
    back = turn_back(defined, "r1")
    assert [one.key for one in back.changes] == ["c"]
    assert [(one.key, one.environment, one.value, one.changed_by) for one in back.left] == [
        ("a", "production", False, "user:olga"),
        ("b", "production", True, "user:olga"),
    ]
    assert values(defined, operator) == {"a": False, "b": True, "c": False}
    again = turn_back(defined, "r1")
    assert (again.changes, again.left) == ((), back.left)


def test_a_later_release_keeps_what_it_has_set(defined: Flags, operator: Caller) -> None:
    """The older one leaves it, and names the release's own loop as who changed it."""
    turn_on(defined, "r1", ("a", True))
    turn_on(defined, "r2", ("a", False))
    back = turn_back(defined, "r1")
    assert (back.changes, [one.changed_by for one in back.left]) == ((), ["system:delivery"])
    assert turn_back(defined, "r2").changes[0].after is True
    assert values(defined, operator)["a"] is True


def test_a_flag_that_is_so_already_stays_its_owners(defined: Flags, journal: Journal, operator: Caller) -> None:
    """A release that wanted nothing else turns nothing back."""
    defined.set(operator, "shop", "a", value=True, reason="mine")
    size = journal.size()
    assert turn_on(defined, "r1", ("a", True), ("b", False)) == ()
    assert turn_back(defined, "r1") == TurnedBack()
    assert journal.size() == size
    assert values(defined, operator)["a"] is True


def test_environments_are_apart(defined: Flags, operator: Caller) -> None:
    """A release of staging turns nothing in production."""
    turn_on(defined, "r1", ("a", True), environment="staging")
    turn_on(defined, "r2", ("a", True))
    turn_back(defined, "r1")
    assert (values(defined, operator)["a"], values(defined, operator, "staging")["a"]) == (True, False)


def test_a_flag_that_nobody_defined_is_turned_on_too(flags: Flags, operator: Caller) -> None:
    """The definition may come with the release; until then it is shown as undefined, and back it is gone."""
    turn_on(flags, "r1", ("new", True))
    assert flags.get(operator, "shop", "new").defined is False
    turn_back(flags, "r1")
    assert values(flags, operator) == {}


def test_pairs_may_come_once_through(flags: Flags, operator: Caller) -> None:
    """As from a generator over the flags of a release."""
    with flags.journal.write(LOOP) as change:
        flags.turn_on_in(change, LOOP, "shop", "production", ((key, True) for key in "ab"), "r1")
    assert values(flags, operator) == {"a": True, "b": True}


def test_it_belongs_to_the_callers_transaction(defined: Flags, operator: Caller) -> None:
    """When the release's own step is undone, so are its flags."""

    def fail() -> None:
        with defined.journal.write(LOOP) as change:
            defined.turn_on_in(change, LOOP, "shop", "production", [("a", True)], "r1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert values(defined, operator)["a"] is False
    with pytest.raises(InvalidInput):
        turn_on(defined, "r1", ("a", True), ("No Key", True))
    assert values(defined, operator)["a"] is False


steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "on", "back"]), st.sampled_from("ab"), st.booleans(), st.sampled_from(["r1", "r2"])
    ),
    max_size=8,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_a_release_that_is_alone_leaves_no_trace(
    flags: Flags, operator: Caller, before: list[tuple[str, str, bool, str]]
) -> None:
    """Whatever happened before it: its turning on and its turning back give what was."""
    name = f"s{flags.journal.size()}-{len(before)}"
    flags.define(operator, name, file("a", "b"), digest=DIGEST)

    def now() -> dict[str, bool]:
        return {one.key: one.value for one in flags.list_flags(operator, service=name).items}

    for kind, key, value, release in before:
        with flags.journal.write(LOOP, unchanged_ok=True) as change:
            if kind == "on":
                flags.turn_on_in(change, LOOP, name, "production", [(key, value)], name + release)
            elif kind == "back":
                flags.turn_back_in(change, LOOP, name + release)
        if kind == "set":
            flags.set(operator, name, key, value=value, reason="x")
    was = now()
    with flags.journal.write(LOOP, unchanged_ok=True) as change:
        flags.turn_on_in(change, LOOP, name, "production", [("a", True), ("b", False)], name + "last")
    assert now() == {"a": True, "b": False}
    with flags.journal.write(LOOP, unchanged_ok=True) as change:
        assert flags.turn_back_in(change, LOOP, name + "last").left == ()
    assert now() == was

from __future__ import annotations

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, InvalidInput
from companyos.flags import Flag, Flags
from companyos.flags.errors import FlagNotFound
from companyos.ledger import Journal
from tests.flags.files import DIGEST, OTHER_DIGEST, file
from tests.pillar import records


def test_an_artifact_defines_the_flags_of_its_service(flags: Flags, journal: Journal, operator: Caller) -> None:
    """Once per artifact; a later one replaces the list, and what is set stays."""
    assert [one.key for one in flags.define(operator, "shop", file("a", "b"), digest=DIGEST)] == ["a", "b"]
    flags.define(operator, "shop", file("a", "b"), digest=DIGEST)
    flags.set(operator, "shop", "b", value=True, reason="try it")
    flags.define(operator, "shop", file("a", "c", default=True), digest=OTHER_DIGEST)
    shown = flags.list_flags(operator, service="shop").items
    assert [(one.key, one.value, one.default, one.defined) for one in shown] == [
        ("a", True, True, True),
        ("b", True, False, False),
        ("c", True, True, True),
    ]
    assert [(record.verb, record.policy) for record in records(journal)] == [
        ("flag.define", "roles:operator"),
        ("flag.set", "roles:operator"),
        ("flag.define", "roles:operator"),
    ]
    assert records(journal)[0].details["flags"] == ["a", "b"]


def test_a_service_without_flags_writes_nothing(flags: Flags, journal: Journal, operator: Caller) -> None:
    """Most have none; one that had some and has none now is written down."""
    assert flags.define(operator, "shop", b"", digest=DIGEST) == ()
    assert journal.size() == 0
    flags.define(operator, "shop", file("a"), digest=DIGEST)
    flags.define(operator, "shop", b"flags: []\n", digest=OTHER_DIGEST)
    assert flags.list_flags(operator, service="shop").items == []
    assert journal.size() == 2


@pytest.mark.parametrize(("service", "digest"), [("Shop", DIGEST), ("shop", "x"), ("a\0b", DIGEST)])
def test_a_definition_needs_a_service_and_a_digest(flags: Flags, operator: Caller, service: str, digest: str) -> None:
    """Nothing is written for what is neither."""
    with pytest.raises(InvalidInput):
        flags.define(operator, service, file("a"), digest=digest)
    assert flags.journal.size() == 0


def test_a_flag_is_set_in_one_environment(flags: Flags, journal: Journal, operator: Caller, clock: ManualClock) -> None:
    """With who, when and why; the same again changes nothing."""
    flags.define(operator, "shop", file("a"), digest=DIGEST)
    before = flags.get(operator, "shop", "a")
    assert before == Flag(
        service="shop",
        environment="production",
        key="a",
        value=False,
        default=False,
        description="About a.",
        owner="checkout",
        expires=before.expires,
        cleanup="Delete it.",
    )
    clock.advance(60)
    made = flags.set(operator, "shop", "a", value=True, reason="try it")
    assert (made.value, made.changed_by, made.changed_at, made.revision) == (True, "user:olga", clock.now(), 1)
    assert flags.set(operator, "shop", "a", value=True, reason="again") == made
    assert flags.get(operator, "shop", "a", environment="staging").value is False
    flags.set(operator, "shop", "a", value=False, reason="enough")
    history = flags.history(operator, "shop", "a").items
    assert [(one.before, one.after, one.reason) for one in history] == [
        (True, False, "enough"),
        (None, True, "try it"),
    ]
    last = records(journal)[-1]
    assert (last.verb, last.target, last.service) == ("flag.set", "service:shop", "shop")
    assert (last.details["flag"], last.details["before"], last.details["after"]) == ("a", True, False)


def test_a_default_can_be_made_ones_own(flags: Flags, operator: Caller) -> None:
    """Set to what it is by default, it stays so when the default changes."""
    flags.define(operator, "shop", file("a"), digest=DIGEST)
    flags.set(operator, "shop", "a", value=False, reason="must stay off")
    flags.define(operator, "shop", file("a", default=True), digest=OTHER_DIGEST)
    assert flags.get(operator, "shop", "a").value is False


def test_what_nobody_defined_cannot_be_set(flags: Flags, operator: Caller) -> None:
    """A typing error does not become a flag."""
    with pytest.raises(FlagNotFound):
        flags.set(operator, "shop", "a", value=True, reason="x")
    with pytest.raises(FlagNotFound):
        flags.get(operator, "shop", "a")
    assert flags.history(operator, "shop", "a").items == []


@pytest.mark.parametrize(
    ("service", "environment", "key"),
    [
        ("Shop", "production", "a"),
        ("shop", "", "a"),
        ("shop", "a\0", "a"),
        ("shop", "production", "\0"),
        ("s" * 40, "p", "a"),
    ],
)
def test_names_are_checked_before_anything_is_asked(
    flags: Flags, admin: Caller, service: str, environment: str, key: str
) -> None:
    """PostgreSQL would fail on some of them."""
    with pytest.raises(InvalidInput):
        flags.get(admin, service, key, environment=environment)
    with pytest.raises(InvalidInput):
        flags.set(admin, service, key, value=True, reason="x", environment=environment)


def test_looking_takes_a_viewer_and_changing_more(flags: Flags, operator: Caller, viewer: Caller) -> None:
    """By the table of roles."""
    flags.define(operator, "shop", file("a"), digest=DIGEST)
    assert flags.get(viewer, "shop", "a").key == "a"
    assert flags.history(viewer, "shop", "a").items == []
    with pytest.raises(Denied):
        flags.set(viewer, "shop", "a", value=True, reason="x")
    with pytest.raises(Denied):
        flags.define(viewer, "shop", file("b"), digest=OTHER_DIGEST)
    nobody = Caller(subject="user:nobody")
    for ask in (lambda: flags.get(nobody, "shop", "a"), lambda: flags.list_flags(nobody)):
        with pytest.raises(Denied):
            ask()
    with pytest.raises(Denied):
        flags.history(nobody, "shop", "a")


def test_pages_hold_every_flag_once(flags: Flags, operator: Caller) -> None:
    """By service and key, whatever the limit."""
    keys = ["a", "b", "b.c", "b-c", "z9"]
    for number, service in enumerate(["cart", "cart-eu", "shop"]):
        flags.define(operator, service, file(*keys), digest=f"sha256:{number:064}")
    whole = [(one.service, one.key) for one in flags.list_flags(operator).items]
    assert len(whole) == len(set(whole)) == 15
    for limit in (1, 2, 4, 15):
        seen: list[tuple[str, str]] = []
        cursor = None
        while True:
            page = flags.list_flags(operator, cursor=cursor, limit=limit)
            assert len(page.items) <= limit
            seen += [(one.service, one.key) for one in page.items]
            if (cursor := page.next_cursor) is None:
                break
        assert seen == whole


def test_a_cursor_of_another_list_is_refused(flags: Flags, operator: Caller) -> None:
    """It names a place in this list, or nothing."""
    for cursor in ("x", "WyJhIl0", "WyJBIiwiYiJd"):
        with pytest.raises(InvalidInput):
            flags.list_flags(operator, cursor=cursor)


def test_history_has_pages_too(flags: Flags, operator: Caller) -> None:
    """Newest first, in all environments."""
    flags.define(operator, "shop", file("a"), digest=DIGEST)
    for number in range(5):
        flags.set(operator, "shop", "a", value=number % 2 == 0, reason=f"r{number}", environment="staging")
    first = flags.history(operator, "shop", "a", limit=3)
    rest = flags.history(operator, "shop", "a", cursor=first.next_cursor, limit=3)
    assert [one.reason for one in (*first.items, *rest.items)] == ["r4", "r3", "r2", "r1", "r0"]
    assert rest.next_cursor is None

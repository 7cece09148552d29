from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Conflict, Denied, InvalidInput, NotFound, PreconditionFailed
from companyos.identity import Attributes, Identity, Subject, attribute_store, attributes_of, attributing
from companyos.identity.attribute import Place
from companyos.identity.attributing import tag_of
from companyos.ledger import Journal
from companyos.ledger.erasure import erase
from tests.pillar import records

NOBODY = "019a0000-0000-7000-8000-000000000000"


def known(journal: Journal, subject: Subject, workspace: str | None = None) -> Attributes:
    """What a decision point sees of a subject now."""
    with journal.read() as connection:
        return attributes_of(connection, subject.id, workspace, journal.clock.now())


def test_scopes_cover_one_another(journal: Journal, admin: Caller, clock: ManualClock) -> None:
    """Subject before workspace before org, and what has expired is stale and not replaced, on both databases."""
    identity = Identity(journal)
    pat = identity.create_subject(admin, "pat", org_id="acme", workspace_id="emea")
    identity.set_attribute(admin, "org", "acme", "clearance", "low")
    identity.set_attribute(admin, "org", "acme", "country", ["DE", "FR"])
    identity.set_attribute(admin, "workspace", "emea", "clearance", "mid")
    assert known(journal, pat).values == {"clearance": "mid", "country": ["DE", "FR"]}
    said = identity.set_attribute(admin, "subject", "user:pat", "clearance", "high", ttl=60)
    assert (said.subject_id, said.source, said.ttl) == (pat.id, "user:root", 60)
    assert known(journal, pat).values["clearance"] == "high"
    clock.advance(60)
    assert known(journal, pat) == Attributes({"country": ["DE", "FR"]}, frozenset({"clearance"}))
    identity.remove_attribute(admin, "subject", pat.id, "clearance")
    assert known(journal, pat).values["clearance"] == "mid"


def test_two_first_statements_at_once_are_one(journal: Journal, admin: Caller) -> None:
    """The database lets no holder have two rows of one name, whatever the scope; the loser hears of a conflict."""
    identity = Identity(journal)
    pat = identity.create_subject(admin, "pat")
    for scope, holder in (("subject", pat.id), ("org", "acme"), ("workspace", "emea")):
        said = identity.set_attribute(admin, scope, holder, "clearance", 1)
        twin = type(said)(**{field: getattr(said, field) for field in said.__struct_fields__} | {"id": NOBODY})
        with pytest.raises(Conflict), journal.database.write() as connection:
            attribute_store.put(connection, [twin])


def test_a_workspace_says_nothing_of_strangers(
    identity: Identity, quick: Journal, admin: Caller, clock: ManualClock
) -> None:
    """Naming a workspace in a request does not give what it says, unless the subject belongs there now."""
    pat = identity.create_subject(admin, "pat")
    identity.set_attribute(admin, "workspace", "vault", "clearance", "high")
    assert known(quick, pat, "vault").values == {}
    identity.bind_role(admin, pat.id, "viewer", workspace_id="vault", expires_at=clock.now() + timedelta(seconds=60))
    assert known(quick, pat, "vault").values == {"clearance": "high"}
    assert known(quick, pat).values == {}
    clock.advance(60)
    assert known(quick, pat, "vault").values == {}


def test_of_the_suspended_and_the_unknown_nothing_is_known(identity: Identity, quick: Journal, admin: Caller) -> None:
    """No value, and no name that would say that there was one."""
    pat = identity.create_subject(admin, "pat")
    identity.set_attribute(admin, "subject", pat.id, "clearance", "high")
    identity.suspend(admin, pat.id)
    assert known(quick, pat) == Attributes({})
    profile = identity.profile(admin, "user:pat")
    assert (profile.attributes, profile.stale, profile.roles, len(profile.said)) == ({}, [], [], 1)
    with quick.read() as connection:
        assert attributes_of(connection, NOBODY, None, quick.clock.now()) == Attributes({})
    identity.change_subject(admin, pat.id, status="active")
    assert known(quick, pat).values == {"clearance": "high"}


def test_a_profile_says_who_said_what(identity: Identity, admin: Caller, clock: ManualClock) -> None:
    """It shows the roles of the place, what holds, what is stale, and each statement with its source."""
    pat = identity.create_subject(admin, "pat", org_id="acme")
    identity.bind_role(admin, pat.id, "viewer")
    identity.bind_role(admin, pat.id, "operator", workspace_id="emea")
    identity.set_attribute(admin, "subject", pat.id, "clearance", "high", ttl=10, source="import:hr")
    identity.set_attribute(admin, "org", "acme", "country", "DE")
    assert identity.profile(admin, pat.id).roles == ["viewer"]
    clock.advance(10)
    profile = identity.profile(admin, pat.id, workspace_id="emea")
    assert (profile.roles, profile.attributes, profile.stale) == (
        ["operator", "viewer"],
        {"country": "DE"},
        ["clearance"],
    )
    assert {(one.name, one.source) for one in profile.said} == {("clearance", "import:hr"), ("country", "user:root")}


def test_values_of_people_can_be_erased_from_the_ledger(identity: Identity, quick: Journal, admin: Caller) -> None:
    """What is said of a subject is a personal value; what is said of an org is no secret of a person."""
    identity.create_subject(admin, "pat")
    identity.set_attribute(admin, "subject", "user:pat", "clearance", "top secret")
    identity.set_attribute(admin, "org", "acme", "country", "DE")
    _, of_pat, of_acme = records(quick)
    assert (of_pat.verb, of_pat.target, of_pat.personal) == ("attribute.set", "user:pat", {"value_0": '"top secret"'})
    assert "secret" not in str(of_pat.details)
    assert of_acme.details["attributes"] == [{"name": "country", "source": "user:root", "ttl": None, "value": "DE"}]
    erase(quick, admin, of_pat.id, "value_0", "asked for")
    assert records(quick)[1].personal == {"value_0": None}


def test_what_is_said_for_ever_already_is_not_recorded_again(identity: Identity, quick: Journal, admin: Caller) -> None:
    """A repeated statement without an end changes nothing; one with an end starts its time anew."""
    first = identity.set_attribute(admin, "org", "acme", "country", "DE")
    size = quick.size()
    assert identity.set_attribute(admin, "org", "acme", "country", "DE") == first
    assert quick.size() == size
    identity.set_attribute(admin, "org", "acme", "country", "DE", ttl=60)
    identity.set_attribute(admin, "org", "acme", "country", "DE", ttl=60)
    assert quick.size() == size + 2
    assert identity.set_attribute(admin, "org", "acme", "flag", value=True).value is True
    size = quick.size()
    assert identity.set_attribute(admin, "org", "acme", "flag", 1).value == 1
    assert quick.size() == size + 1, "true is not 1"


def test_a_change_may_name_what_it_replaces(identity: Identity, admin: Caller) -> None:
    """With the ETag of an older statement nothing happens."""
    first = identity.set_attribute(admin, "org", "acme", "country", "DE")
    second = identity.set_attribute(admin, "org", "acme", "country", "FR", if_match=tag_of(first))
    assert tag_of(first) != tag_of(second)
    for attempt in (
        lambda: identity.set_attribute(admin, "org", "acme", "country", "IT", if_match=tag_of(first)),
        lambda: identity.set_attribute(admin, "org", "acme", "new", "IT", if_match="*"),
        lambda: identity.remove_attribute(admin, "org", "acme", "country", if_match=tag_of(first)),
    ):
        with pytest.raises(PreconditionFailed):
            attempt()
    assert identity.get_attribute(admin, "org", "acme", "country").value == "FR"
    identity.remove_attribute(admin, "org", "acme", "country", if_match=tag_of(second))


def test_bad_statements_change_nothing(identity: Identity, quick: Journal, admin: Caller) -> None:
    """Names, values, times, sources and holders that are none, and removing what is not there."""
    identity.create_subject(admin, "pat")
    size = quick.size()
    attempts: list[Callable[[], object]] = [
        lambda: identity.set_attribute(admin, "subject", "user:pat", "A", 1),
        lambda: identity.set_attribute(admin, "subject", "user:pat", "a", {}),
        lambda: identity.set_attribute(admin, "subject", "user:pat", "a", 1, ttl=0),
        lambda: identity.set_attribute(admin, "subject", "user:pat", "a", 1, source="jwt:x"),
        lambda: identity.set_attribute(admin, "team", "user:pat", "a", 1),
        lambda: identity.set_attribute(admin, "org", "A B", "a", 1),
        lambda: identity.set_attribute(admin, "subject", "user:nobody", "a", 1),
        lambda: identity.set_attribute(admin, "subject", NOBODY, "a", 1),
        lambda: identity.set_attribute(admin, "subject", "'; --", "a", 1),
        lambda: identity.remove_attribute(admin, "org", "acme", "a"),
        lambda: identity.get_attribute(admin, "org", "acme", "a"),
        lambda: identity.list_attributes(admin, holder="acme"),
        lambda: identity.profile(admin, "user:pat", workspace_id="A B"),
    ]
    for number, attempt in enumerate(attempts):
        with pytest.raises((InvalidInput, NotFound)):
            attempt()
        assert quick.size() == size, number


def test_a_holder_has_so_many_attributes_and_no_more(
    identity: Identity, admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is there can still be changed."""
    monkeypatch.setattr(attributing, "MAX_ATTRIBUTES", 2)
    for name in ("a", "b"):
        identity.set_attribute(admin, "org", "acme", name, 1)
    with pytest.raises(InvalidInput, match="2 attributes of org:acme already"):
        identity.set_attribute(admin, "org", "acme", "c", 1)
    assert identity.set_attribute(admin, "org", "acme", "a", 2).value == 2


def test_only_an_admin_says_anything(identity: Identity, quick: Journal, operator: Caller) -> None:
    """Every use case asks before it looks."""
    attempts: list[Callable[[], object]] = [
        lambda: identity.set_attribute(operator, "subject", NOBODY, "a", 1),
        lambda: identity.remove_attribute(operator, "subject", NOBODY, "a"),
        lambda: identity.get_attribute(operator, "subject", NOBODY, "a"),
        lambda: identity.list_attributes(operator),
        lambda: identity.profile(operator, NOBODY),
    ]
    for attempt in attempts:
        with pytest.raises(Denied):
            attempt()
    assert quick.size() == 0


def test_lists_are_filtered_and_come_in_pages(identity: Identity, admin: Caller) -> None:
    """By scope, by holder, by name, each item once."""
    pat = identity.create_subject(admin, "pat")
    for name in ("a", "b", "c"):
        identity.set_attribute(admin, "subject", pat.id, name, 1)
        identity.set_attribute(admin, "org", "acme", name, 1)
    first = identity.list_attributes(admin, scope="subject", holder="user:pat", limit=2)
    rest = identity.list_attributes(admin, scope="subject", holder=pat.id, limit=2, cursor=first.next_cursor)
    assert [one.name for one in (*first.items, *rest.items)] == ["a", "b", "c"]
    assert [one.org_id for one in identity.list_attributes(admin, scope="org", name="b").items] == ["acme"]
    assert len(identity.list_attributes(admin).items) == 6


def test_many_places_are_read_in_parts(identity: Identity, quick: Journal, admin: Caller) -> None:
    """A list of holders that is longer than a statement may be loses none of them."""
    identity.set_attribute(admin, "org", "o-1200", "a", 1)
    with quick.read() as connection:
        found = attribute_store.of_places(connection, [Place("org", f"o-{number}") for number in range(1500)])
    assert [one.org_id for one in found] == ["o-1200"]

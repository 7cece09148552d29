from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from companyos.core import access
from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.errors import Denied, InvalidInput
from companyos.identity import Identity, RoleBinding, granting
from companyos.identity.errors import RoleBeyondCaller, RoleExists, RoleInUse, RoleNotFound
from companyos.identity.roles import ROLES
from companyos.ledger import Journal
from tests.pillar import person, records


def test_a_role_lives_from_creation_to_deletion(journal: Journal, admin: Caller) -> None:
    """It is listed behind the built-in ones, bound, kept while somebody has it, and gone; on both databases."""
    identity = Identity(journal)
    buyer = identity.create_role(admin, "buyer", description="Orders things.", org_id=None)
    assert [role.name for role in identity.list_roles(admin)] == [*ROLES, "buyer"]
    pat = identity.create_subject(admin, "pat")
    bound = identity.bind_role(admin, "user:pat", "buyer")
    assert bound.bindings == (RoleBinding(role="buyer", role_id=buyer.id),)
    assert identity.get_subject(admin, pat.id) == bound
    with pytest.raises(RoleInUse, match="1 subjects have it"):
        identity.delete_role(admin, "buyer")
    assert identity.unbind_role(admin, pat.id, "buyer").bindings == ()
    identity.delete_role(admin, buyer.id)
    assert [role.name for role in identity.list_roles(admin)] == [*ROLES]
    assert [record.verb for record in records(journal)] == [
        "role.create",
        "subject.create",
        "role.bind",
        "role.unbind",
        "role.delete",
    ]


def test_names_of_roles_are_unique_and_the_built_in_ones_taken(identity: Identity, admin: Caller) -> None:
    """Nobody makes a second admin, and no name means two things."""
    identity.create_role(admin, "buyer", org_id="acme")
    for name in ("buyer", "admin", "viewer"):
        with pytest.raises(RoleExists):
            identity.create_role(admin, name, org_id="other")
    for name in ROLES:
        with pytest.raises(RoleInUse):
            identity.delete_role(admin, name)
    with pytest.raises(RoleNotFound):
        identity.delete_role(admin, "seller")


def test_a_role_of_our_own_opens_no_route(identity: Identity, admin: Caller) -> None:
    """It reaches policies as a role of the caller; the table of the platform knows nothing of it."""
    identity.create_role(admin, "catalog.write")
    token = identity.issue_token(admin, "ci")
    identity.bind_role(admin, "service:ci", "catalog.write")
    caller = identity.authenticate(token.secret)
    assert caller.roles == {"catalog.write"}
    with pytest.raises(Denied):
        access.require(caller, "catalog.write", "service:x")


def test_a_role_counts_where_and_until_it_is_bound(identity: Identity, admin: Caller, clock: ManualClock) -> None:
    """The same role in two places is two bindings; each ends by itself, in the moment that it names."""
    pat = identity.create_subject(admin, "pat")
    end = clock.now() + timedelta(seconds=60)
    identity.bind_role(admin, pat.id, "viewer", workspace_id="emea")
    both = identity.bind_role(admin, pat.id, "viewer", expires_at=end)
    assert len(both.bindings) == 2
    assert both.roles(clock.now()) == {"viewer"}
    clock.advance(60)
    assert both.roles(clock.now()) == frozenset()
    assert both.roles(clock.now(), "emea") == {"viewer"}
    assert both.roles(clock.now(), "apac") == frozenset()
    assert identity.unbind_role(admin, pat.id, "viewer").bindings == (RoleBinding(role="viewer", workspace_id="emea"),)


def test_binding_again_replaces_the_end(identity: Identity, admin: Caller, clock: ManualClock) -> None:
    """A second binding of a role in one place is the first with another end."""
    pat = identity.create_subject(admin, "pat")
    end = clock.now() + timedelta(seconds=60)
    identity.bind_role(admin, pat.id, "viewer", expires_at=end)
    assert identity.bind_role(admin, pat.id, "viewer").bindings == (RoleBinding(role="viewer"),)


def test_a_role_whose_bindings_have_all_expired_can_go(identity: Identity, admin: Caller, clock: ManualClock) -> None:
    """It takes them along, so that none comes back with a later role of that name."""
    identity.create_role(admin, "buyer")
    pat = identity.create_subject(admin, "pat")
    identity.bind_role(admin, pat.id, "buyer", expires_at=clock.now() + timedelta(seconds=60))
    with pytest.raises(RoleInUse):
        identity.delete_role(admin, "buyer")
    clock.advance(60)
    identity.delete_role(admin, "buyer")
    identity.create_role(admin, "buyer")
    assert identity.get_subject(admin, pat.id).bindings == ()


def test_a_role_of_an_org_is_for_its_subjects(identity: Identity, admin: Caller) -> None:
    """Nobody outside gets it."""
    identity.create_role(admin, "buyer", org_id="acme")
    identity.create_subject(admin, "pat", org_id="other")
    identity.create_subject(admin, "kim", org_id="acme")
    with pytest.raises(InvalidInput, match="for subjects of acme"):
        identity.bind_role(admin, "user:pat", "buyer")
    assert identity.bind_role(admin, "user:kim", "buyer").bindings[0].role == "buyer"


def test_a_role_of_our_own_is_set_with_the_others(identity: Identity, admin: Caller) -> None:
    """The set of roles of a subject takes names of both kinds, and leaves what it has in workspaces."""
    identity.create_role(admin, "buyer")
    pat = identity.create_subject(admin, "pat")
    identity.bind_role(admin, pat.id, "operator", workspace_id="emea")
    wanted = [RoleBinding(role="buyer"), RoleBinding(role="viewer")]
    changed = identity.change_subject(admin, pat.id, roles=wanted)
    assert {(one.role, one.workspace_id) for one in changed.bindings} == {
        ("operator", "emea"),
        ("buyer", None),
        ("viewer", None),
    }
    assert identity.change_subject(admin, pat.id, roles=[]).bindings[0].role == "operator"


def test_bad_bindings_change_nothing(identity: Identity, quick: Journal, admin: Caller) -> None:
    """Unknown roles, workspaces that are none, roles with bad names and texts."""
    pat = identity.create_subject(admin, "pat")
    size = quick.size()
    attempts: list[Callable[[], object]] = [
        lambda: identity.bind_role(admin, pat.id, "root"),
        lambda: identity.bind_role(admin, pat.id, "viewer", workspace_id="A B"),
        lambda: identity.bind_role(admin, pat.id, "viewer", workspace_id=""),
        lambda: identity.unbind_role(admin, pat.id, "root"),
        lambda: identity.create_role(admin, "Buyer"),
        lambda: identity.create_role(admin, "buyer", description="a\nb"),
        lambda: identity.create_role(admin, "buyer", description="a" * 501),
        lambda: identity.create_role(admin, "buyer", org_id="A B"),
        lambda: identity.create_subject(admin, "kim", org_id="A B"),
    ]
    for number, attempt in enumerate(attempts):
        with pytest.raises(InvalidInput):
            attempt()
        assert quick.size() == size, number


def test_bindings_and_roles_have_a_limit(identity: Identity, admin: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody fills a table with roles, or a subject with bindings."""
    monkeypatch.setattr(granting, "MAX_BINDINGS", 2)
    monkeypatch.setattr(granting, "MAX_ROLES", 1)
    identity.create_role(admin, "buyer")
    with pytest.raises(InvalidInput, match="1 roles already"):
        identity.create_role(admin, "seller")
    pat = identity.create_subject(admin, "pat")
    for place in ("a", "b"):
        identity.bind_role(admin, pat.id, "viewer", workspace_id=place)
    with pytest.raises(InvalidInput, match="more than 2 bindings"):
        identity.bind_role(admin, pat.id, "viewer", workspace_id="c")


def test_nobody_gives_away_a_role_that_they_lack(identity: Identity, admin: Caller) -> None:
    """Neither a built-in one nor one of our own, whoever lets them try."""

    class Everything:
        def decide(self, caller: Caller, action: str, resource: str, facts: object = None) -> access.Verdict:
            return access.Verdict(allowed=bool((caller, action, resource, facts)), policy="test", reason="")

    identity.create_role(admin, "buyer")
    identity.create_subject(admin, "pat")
    access.bind(Everything())
    for role in ("buyer", "admin"):
        with pytest.raises(RoleBeyondCaller):
            identity.bind_role(person("ivo", "viewer"), "user:pat", role)
    assert identity.bind_role(person("ivo", "buyer"), "user:pat", "buyer").bindings[0].role == "buyer"


def test_only_an_admin_touches_roles(identity: Identity, quick: Journal, operator: Caller) -> None:
    """Every use case asks before it looks."""
    attempts: list[Callable[[], object]] = [
        lambda: identity.list_roles(operator),
        lambda: identity.create_role(operator, "x"),
        lambda: identity.delete_role(operator, "x"),
        lambda: identity.bind_role(operator, "user:x", "viewer"),
        lambda: identity.unbind_role(operator, "user:x", "viewer"),
    ]
    for attempt in attempts:
        with pytest.raises(Denied):
            attempt()
    assert quick.size() == 0

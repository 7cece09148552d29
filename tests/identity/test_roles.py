from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.access import Caller
from companyos.core.errors import InvalidInput
from companyos.identity.roles import ACTIONS, ALLOWED, ROLES, RoleAuthorizer, beyond, check_roles
from tests.pillar import person

rules = RoleAuthorizer()
some_roles = st.frozensets(st.sampled_from(ROLES))
some_actions = st.sampled_from(sorted(ACTIONS))


@pytest.mark.parametrize(
    ("role", "allowed", "denied"),
    [
        ("viewer", "catalog.read", "catalog.write"),
        ("viewer", "tower.read", "ledger.read"),
        ("viewer", "manifest.read", "token.read"),
        ("viewer", "hold.read", "identity.read"),
        ("viewer", "artifact.read", "artifact.write"),
        ("viewer", "flag.read", "flag.write"),
        ("viewer", "release.read", "release.deploy"),
        ("viewer", "release.read", "release.control"),
        ("viewer", "incident.read", "notification.read"),
        ("operator", "catalog.write", "catalog.remove"),
        ("operator", "ledger.verify", "ledger.export"),
        ("operator", "hold.place", "hold.lift"),
        ("operator", "approval.request", "approval.decide"),
        ("operator", "artifact.write", "artifact.allow"),
        ("operator", "artifact.sign", "artifact.allow"),
        ("operator", "artifact.deny", "artifact.allow"),
        ("operator", "flag.write", "catalog.remove"),
        ("operator", "release.deploy", "hold.lift"),
        ("operator", "release.control", "hold.lift"),
        ("operator", "alert.write", "token.issue"),
        ("operator", "notification.read", "identity.read"),
        ("sre_lead", "approval.decide", "token.issue"),
        ("sre_lead", "artifact.allow", "identity.write"),
        ("sre_lead", "incident.write", "ledger.export"),
        ("security_approver", "ledger.export", "catalog.write"),
        ("security_approver", "hold.lift", "approval.request"),
        ("security_approver", "artifact.deny", "artifact.write"),
        ("security_approver", "artifact.allow", "release.deploy"),
    ],
)
def test_each_role_ends_where_the_next_begins(role: str, allowed: str, denied: str) -> None:
    """What a role may do, and the nearest thing that it may not."""
    caller = person("pat", role)
    assert rules.decide(caller, allowed, "x").policy == f"roles:{role}"
    assert rules.decide(caller, allowed, "x").allowed
    assert not rules.decide(caller, denied, "x").allowed


@given(some_actions)
def test_admin_may_do_all_that_is_known(action: str) -> None:
    """No known action is closed to an admin."""
    assert rules.decide(person("root", "admin"), action, "x").allowed


@given(some_roles, st.text(max_size=30).filter(lambda action: action not in ACTIONS))
def test_an_unknown_action_is_denied_to_everybody(roles: frozenset[str], action: str) -> None:
    """A route with a misspelt action is closed instead of open."""
    verdict = rules.decide(person("pat", *roles), action, "x")
    assert (verdict.allowed, verdict.policy) == (False, "roles:deny")


@given(some_actions.filter(lambda action: action != "session.close"))
def test_nobody_without_a_role_may_do_anything(action: str) -> None:
    """The default is no."""
    assert not rules.decide(person("pat"), action, "x").allowed


@given(some_roles, some_roles, some_actions)
def test_more_roles_never_allow_less(fewer: frozenset[str], more: frozenset[str], action: str) -> None:
    """Rights only add up: no role takes one away."""
    if rules.decide(person("pat", *fewer), action, "x").allowed:
        assert rules.decide(person("pat", *fewer, *more), action, "x").allowed


def test_everyone_who_is_signed_in_may_sign_out() -> None:
    """Ending the own session takes no role, only a session."""
    assert rules.decide(person("pat"), "session.close", "x").policy == "roles:signed-in"
    assert not rules.decide(Caller(subject="anonymous"), "session.close", "x").allowed


def test_a_denial_names_the_roles_that_would_do() -> None:
    """The reader of a denial learns what to ask for."""
    assert "sre_lead, security_approver, admin" in rules.decide(person("pat"), "hold.lift", "x").reason


def test_unknown_roles_are_refused_by_name() -> None:
    """A typing error in a role is not a role without rights."""
    with pytest.raises(InvalidInput, match="'operater'") as caught:
        check_roles(["viewer", "operater"])
    assert caught.value.field == "roles"


def test_roles_come_once_and_in_their_order() -> None:
    """Two ways to write one set of roles are equal."""
    assert check_roles(["admin", "viewer", "viewer"]) == ("viewer", "admin")


@given(some_roles, some_roles)
def test_nobody_hands_out_more_than_they_have(own: frozenset[str], given_out: frozenset[str]) -> None:
    """Only an admin grants a role that they lack."""
    missing = beyond(person("pat", *own), given_out)
    assert set(missing) == (set() if "admin" in own else given_out - own)


def test_every_role_has_a_row() -> None:
    """A role without a row would raise in the middle of a decision."""
    assert set(ALLOWED) == set(ROLES)

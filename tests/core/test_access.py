from collections.abc import Iterator

import pytest

from companyos.core.access import ANONYMOUS, Caller, DenyAll, Verdict, bind, require, unbind
from companyos.core.errors import Denied


class OnlyReads:
    """Allows actions that read."""

    def decide(self, caller: Caller, action: str, resource: str, facts: object = None) -> Verdict:
        """Allow reading."""
        del caller, resource, facts
        return Verdict(allowed=action.endswith(".read"), policy="test:reads", reason="only reading")


@pytest.fixture(autouse=True)
def _unbound() -> Iterator[None]:
    bind(DenyAll())
    yield
    bind(DenyAll())


def test_nothing_is_allowed_before_rules_are_bound() -> None:
    """Without an authorizer every action is denied, for admins too."""
    with pytest.raises(Denied, match="No access rules"):
        require(Caller(subject="user:ada", roles=frozenset({"admin"})), "catalog.read", "service:x")


def test_a_denial_says_who_what_and_which_rule() -> None:
    """A denial carries the action, the resource and the policy, so that it can be recorded."""
    bind(OnlyReads())
    assert require(ANONYMOUS, "catalog.read", "service:x").policy == "test:reads"
    with pytest.raises(Denied) as fault:
        require(ANONYMOUS, "catalog.write", "service:x")
    assert (fault.value.action, fault.value.resource, fault.value.policy) == (
        "catalog.write",
        "service:x",
        "test:reads",
    )
    assert "anonymous may not catalog.write on service:x" in str(fault.value)


def test_whoever_unbinds_gives_the_word_back() -> None:
    """To the one before, and not when somebody else has been bound since."""
    first, second = OnlyReads(), OnlyReads()
    bind(first)
    assert bind(second) is first
    unbind(second, first)
    assert bind(first) is first
    unbind(second, DenyAll())
    assert require(ANONYMOUS, "catalog.read", "service:x").allowed

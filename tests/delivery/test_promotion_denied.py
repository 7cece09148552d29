"""A release whose deployer may not promote it any more is held, and goes on when it may again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from companyos.core import access
from companyos.core.access import NO_FACTS, Caller, Verdict
from companyos.core.database import Database
from companyos.identity import Identity, RoleAuthorizer
from companyos.ledger import Journal
from tests.delivery.controlling import Platform, SkewedClock, details
from tests.pillar import bound, journal, records

__all__ = ["bound", "journal"]


class Rules(RoleAuthorizer):
    """The role table, and a word of its own about promotions; each of its decisions has an id."""

    def __init__(self) -> None:
        """Allow promotions."""
        self.promotions = True
        self.asked: list[tuple[str, str, Mapping[str, Any]]] = []

    def decide(self, caller: Caller, action: str, resource: str, facts: Mapping[str, Any] = NO_FACTS) -> Verdict:
        """Return what the table says, unless it is about a promotion that is not allowed."""
        if action in {"release.promote", "release.deploy"} and resource.startswith("release:"):
            self.asked.append((action, f"{caller.subject} {resource}", facts))
            audit_id = f"audit-{len(self.asked)}"
            if action == "release.promote" and not self.promotions:
                return Verdict(allowed=False, policy="window.closed", reason="it is Friday.", audit_id=audit_id)
            return Verdict(allowed=True, policy="window.open", reason="", audit_id=audit_id)
        return super().decide(caller, action, resource, facts)


@pytest.fixture
def rules(bound: None) -> Rules:
    """The rules that are bound."""
    rules = Rules()
    access.bind(rules)
    return rules


@pytest.fixture
def database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Return a database of one kind, which is enough: no query is new here."""
    own = Database.open(f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'companyos.db')}")
    yield own
    own.close()


@pytest.fixture
def platform(journal: Journal, rules: Rules) -> Platform:
    """Return a platform on which nothing runs yet."""
    clock = journal.clock
    assert isinstance(clock, SkewedClock)
    return Platform(journal, clock)


@pytest.fixture
def clock() -> SkewedClock:
    """Return the clock of everything."""
    return SkewedClock()


def test_deploy_and_promotion_ask_for_the_deployer_and_keep_the_audit_ids(platform: Platform, rules: Rules) -> None:
    """With what is known of the release, and the answer's id stands in the record of each."""
    platform.steady("1.0")
    second = platform.deploy("1.1")
    platform.until_phase(second, "steady")
    asked = [(action, who) for action, who, _ in rules.asked]
    first = [(f"release.{verb}", "user:olga release:shop@1.0") for verb in ("deploy", "promote")]
    assert asked == [*first, *((action, who.replace("1.0", "1.1")) for action, who in first)]
    facts = rules.asked[-1][2]
    assert (facts["service"], facts["version"], facts["environment"], facts["first"]) == (
        "shop",
        "1.1",
        "production",
        False,
    )
    found = {one.verb: details(one).get("audit_id") for one in records(platform.journal) if one.release == "shop@1.1"}
    assert (found["release.deploy"], found["release.promote"]) == ("audit-3", "audit-4")


def test_a_denied_promotion_holds_and_goes_on_when_it_is_allowed(platform: Platform, rules: Rules) -> None:
    """It is held once, with the rule in the sentence, and no user is moved to it."""
    platform.steady("1.0")
    rules.promotions = False
    second = platform.deploy("1.1")
    shown = platform.until_phase(second, "held")
    assert shown.held is not None
    assert shown.held.reason == "policy"
    assert "window.closed" in shown.held.sentence
    assert "it is Friday" in shown.held.sentence
    platform.pass_time(40.0)
    assert platform.moves(second) == ["start", "advance", "hold"]
    assert platform.arms()[second] < 1
    rules.promotions = True
    platform.until_phase(second, "steady")
    assert platform.moves(second)[-2:] == ["promote", "settle"]


def test_a_person_cannot_go_past_it(platform: Platform, rules: Rules) -> None:
    """Whoever orders the promotion is not who deployed it."""
    platform.steady("1.0")
    rules.promotions = False
    second = platform.deploy("1.1")
    platform.until_phase(second, "canary")
    platform.ask(second, "promote")
    platform.until_phase(second, "held")
    assert "promote" not in platform.moves(second)


def test_a_first_release_waits_too(platform: Platform, rules: Rules) -> None:
    """It would take all of the traffic at once."""
    rules.promotions = False
    first = platform.deploy("1.0")
    platform.pass_time(5.0)
    assert platform.phase(first) == "pending"
    assert platform.arms() == {}
    rules.promotions = True
    platform.until_phase(first, "steady")


def test_roles_are_those_of_the_moment(platform: Platform) -> None:
    """A deployer who has lost the role promotes nothing; the roles of the day of the deploy do not count."""
    access.bind(RoleAuthorizer())
    identity = Identity(platform.journal)
    deployer = identity.create_subject(platform.olga, "dora")
    identity.bind_role(platform.olga, deployer.id, "operator")
    platform.steady("1.0")
    admin = platform.olga
    platform.olga = Caller(subject="user:dora", roles=frozenset({"operator"}), subject_id=deployer.id)
    second = platform.deploy("1.1")
    identity.unbind_role(admin, deployer.id, "operator")
    shown = platform.until_phase(second, "held")
    assert shown.held is not None
    assert (shown.held.reason, "roles:deny" in shown.held.sentence) == ("policy", True)
    identity.bind_role(admin, deployer.id, "operator")
    platform.until_phase(second, "steady")

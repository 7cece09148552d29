from __future__ import annotations

from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.core.clock import ManualClock
from companyos.core.database import Database
from companyos.core.keys import KeyStore
from companyos.core.settings import Settings
from companyos.ledger import Journal, Ledger
from companyos.policy.activated import Activated
from companyos.policy.service import Policies
from companyos_sdk.rego.values import UNDEFINED
from tests.needs import needs
from tests.pillar import records
from tests.policy.bundles import ALLOW, BUNDLE_ID, deny
from tests.policy.people import Checks, Decided, bring, promote, publish

RULES = {"read": ALLOW}


def test_what_is_active_in_the_stage_is_loaded_and_noticed(
    policies: Policies, author: Caller, approver: Caller
) -> None:
    """The revision changes with every activation; other stages play no part in what is loaded."""
    active = Activated(policies, "prod")
    empty = active.revision()
    assert active.load() == {}
    bring(policies, author, approver, RULES, "1.0.0")
    assert active.revision() != empty
    found = active.load()[BUNDLE_ID]
    assert (found.identity.version, found.identity.stage, found.emits) == ("1.0.0", "prod", ("log_event",))
    assert found.program.observe({"action": "read"})[0] == ALLOW
    known = active.revision()
    publish(policies, author, RULES, "1.1.0")
    promote(policies, author, "1.1.0", "dev")
    assert active.revision() != known
    assert active.load()[BUNDLE_ID] is found, "what did not change is not loaded again"


def test_one_that_cannot_be_loaded_leaves_the_last_good_one_and_says_so_once(
    policies: Policies, author: Caller, approver: Caller, journal: Journal
) -> None:
    """A process that decides goes on with what it has; one that starts has nothing, which denies."""
    active = Activated(policies, "prod")
    bring(policies, author, approver, RULES, "1.0.0")
    good = active.load()[BUNDLE_ID]
    bring(policies, author, approver, {"read": deny("night")}, "1.1.0")
    now = policies.active(BUNDLE_ID, "prod")
    assert now is not None
    hexadecimal = now.digest.removeprefix("sha256:")
    (journal.settings.folder.artifacts / "sha256" / hexadecimal[:2] / hexadecimal[2:]).unlink()
    assert active.load()[BUNDLE_ID] is good
    assert active.load()[BUNDLE_ID] is good
    assert Activated(policies, "prod").load() == {}
    status = next(one for one in policies.stages() if one.stage == "prod")
    assert "There is no artifact" in (status.failure or "")
    failures = [row for row in records(journal) if row.verb == "policy.fail"]
    assert [(row.actor, row.details["version"]) for row in failures] == [("system:policy", "1.1.0")]


def test_the_paths_of_a_bundle_are_known_by_its_digest(policies: Policies, author: Caller, approver: Caller) -> None:
    """So that a value that was absent is told from one that was never read; an unknown digest has none."""
    bring(policies, author, approver, RULES, "1.0.0")
    active = policies.active(BUNDLE_ID, "prod")
    assert active is not None
    program = policies.opened(active).program
    assert policies.paths_of(active.digest) == program.input_paths
    assert program.observe({})[0] is UNDEFINED
    assert policies.paths_of("sha256:" + "0" * 64) is None
    assert policies.paths_of("") is None


@pytest.fixture
def on_postgres(migrated_postgres: Database, tmp_path: Path, clock: ManualClock) -> Journal:
    """Return a journal on PostgreSQL."""
    settings = Settings(home=str(tmp_path / "home"))
    settings.folder.create()
    ledger = Ledger(KeyStore(settings.folder.keys, clock), settings.ledger_origin)
    return Journal(migrated_postgres, ledger, clock, settings)


@needs("postgres")
def test_the_whole_way_on_postgresql(on_postgres: Journal, author: Caller, approver: Caller) -> None:
    """Published, promoted with a replay, taken back, listed."""
    decided = Decided()
    policies = Policies(on_postgres, decided, Checks())
    bring(policies, author, approver, RULES, "1.0.0")
    decided.add("prod", "read", ALLOW, 7)
    bring(policies, author, approver, RULES, "1.1.0")
    back = policies.roll_back(approver, BUNDLE_ID, "prod", reason="Back.")
    assert (back.version, back.previous) == ("1.0.0", "1.1.0")
    history = policies.history(approver, BUNDLE_ID, stage="prod").items
    assert [one.kind for one in history] == ["rollback", "promote", "promote"]
    assert history[1].replay is not None
    assert history[1].replay.same == 7
    assert {one.stage for one in policies.stages()} == {"dev", "staging", "prod"}
    assert [one.version for one in policies.list_published(author).items] == ["1.1.0", "1.0.0"]

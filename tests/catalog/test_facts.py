from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from companyos.catalog.facts import CONFIRM_AFTER, restate
from companyos.catalog.model import FACTS, Provenance, Service, Statement

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
words = st.none() | st.sampled_from(["a", "b", "c"])
sets = st.sampled_from([(), ("eu",), ("eu", "us")])
said = st.fixed_dictionaries({}, optional={"owner": words, "tier": words, "regions": sets})
sources = st.sampled_from(["manual", "manifest:one", "manifest:two"])


def statement(source: str, *, complete: bool = True, **facts: Any) -> Statement:
    """Return what a source says about a service."""
    return Statement(kind="service", name="shop", source=source, said=facts, complete=complete)


statements = st.builds(
    lambda source, complete, facts: statement(source, complete=complete, **facts), sources, st.booleans(), said
)


def after(*heard: Statement, at: datetime = NOW) -> Service:
    """Return what is known after these statements, heard one after the other."""
    known: Service | None = None
    for one in heard:
        entity = restate(known, one, at).entity
        assert isinstance(entity, Service)
        known = entity
    assert known is not None
    return known


def test_each_fact_remembers_who_said_it() -> None:
    """Sources can speak of different facts of one service."""
    known = after(statement("manifest:one", owner="pay"), statement("manual", complete=False, tier="critical"))
    assert known.provenance == {
        "owner": Provenance(source="manifest:one", observed_at=NOW),
        "tier": Provenance(source="manual", observed_at=NOW),
    }
    assert (known.owner, known.tier, known.revision) == ("pay", "critical", 2)


def test_the_latest_statement_wins() -> None:
    """Whoever makes it; the fact then has that source."""
    known = after(statement("manifest:one", owner="pay"), statement("manual", complete=False, owner="shop"))
    assert (known.owner, known.provenance["owner"].source) == ("shop", "manual")


def test_a_source_withdraws_what_it_no_longer_says() -> None:
    """The owner that was deleted from a manifest is gone: the service has no owner."""
    known = after(statement("manifest:one", owner="pay", tier="1"), statement("manifest:one", tier="1"))
    assert (known.owner, known.tier) == (None, "1")
    assert "owner" not in known.provenance


def test_silence_withdraws_nothing_that_others_said() -> None:
    """A manifest knows nothing of what a person has entered."""
    entered = statement("manual", complete=False, owner="pay")
    assert after(entered, statement("manifest:one", tier="1")).owner == "pay"
    assert after(entered, statement("manifest:one", tier="1", owner=None)).owner == "pay"


def test_a_partial_statement_withdraws_only_what_it_names() -> None:
    """Changing the tier by hand leaves the owner, and an empty owner takes it away."""
    first = statement("manual", complete=False, owner="pay", tier="1")
    assert after(first, statement("manual", complete=False, tier="2")).owner == "pay"
    assert after(first, statement("manual", complete=False, owner=None)).owner is None


def test_a_confirmation_is_news_after_an_hour() -> None:
    """Before that it is no change; after it the fact is fresh again and the revision grows."""
    known = after(statement("manifest:one", owner="pay"))
    again = statement("manifest:one", owner="pay")
    early = restate(known, again, NOW + CONFIRM_AFTER - timedelta(seconds=1))
    assert (early.outcome, early.entity) == ("unchanged", known)
    late = restate(known, again, NOW + CONFIRM_AFTER)
    assert (late.outcome, late.changed, late.entity.revision) == ("confirmed", (), 2)
    assert late.entity.provenance["owner"].observed_at == NOW + CONFIRM_AFTER


def test_another_source_does_not_take_over_by_agreeing() -> None:
    """Who said it first keeps it, so that two sources that agree do not write in turns."""
    known = after(statement("manifest:one", owner="pay"))
    agreed = restate(known, statement("manifest:two", owner="pay"), NOW + timedelta(days=9))
    assert agreed.outcome == "unchanged"


@given(st.lists(statements, min_size=1, max_size=6))
def test_saying_it_twice_changes_nothing(heard: list[Statement]) -> None:
    """An import that is run again at once records nothing."""
    known = after(*heard)
    assert restate(known, heard[-1], NOW).outcome == "unchanged"


@given(st.lists(statements, min_size=1, max_size=6))
def test_a_fact_has_provenance_exactly_while_it_is_stated(heard: list[Statement]) -> None:
    """No value without a source, no source without a value."""
    known = after(*heard)
    stated = {fact for fact in FACTS["service"] if getattr(known, fact) not in (None, (), {})}
    assert set(known.provenance) == stated


@given(st.lists(statements, min_size=1, max_size=6), statements)
def test_the_revision_grows_by_one_exactly_with_a_change(heard: list[Statement], last: Statement) -> None:
    """An entity tag never stands for two states."""
    known = after(*heard)
    restated = restate(known, last, NOW)
    assert restated.entity.revision == known.revision + (restated.outcome != "unchanged")
    assert (restated.entity == known) == (restated.outcome == "unchanged")


def test_a_first_statement_creates_even_when_it_says_nothing() -> None:
    """A name is enough to be in the catalog, without an owner."""
    restated = restate(None, statement("manual"), NOW)
    assert (restated.outcome, restated.entity.revision, restated.changed) == ("created", 1, ())

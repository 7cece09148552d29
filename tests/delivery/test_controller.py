"""The controller from a first release to the next and back, on twins and both kinds of database."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from companyos.core.errors import Conflict, Denied
from companyos.delivery import machine
from companyos.delivery.adapters.memory_runtime import Script
from companyos.delivery.model import Phase
from companyos.delivery.recording import Overtaken
from companyos.delivery.tables import release_actions, releases
from companyos.evidence.tables import artifact_denials
from companyos.ledger import Journal
from companyos.operations import Operations
from companyos.operations.tables import incidents, notifications
from tests.delivery.controlling import BRISK, FLAG, Platform, SkewedClock, details
from tests.delivery.lives import SLOWLY
from tests.delivery.running import launch_of
from tests.pillar import bound, database, journal, migrated_postgres, records

__all__ = ["bound", "database", "journal", "migrated_postgres"]


@pytest.fixture
def clock() -> SkewedClock:
    """Return the clock of everything."""
    return SkewedClock()


@pytest.fixture
def platform(journal: Journal, clock: SkewedClock) -> Platform:
    """Return a platform on which nothing runs yet."""
    return Platform(journal, clock)


def test_a_release_climbs_and_takes_the_place_of_the_last(platform: Platform) -> None:
    """Every share that was decided is what the router does, no request is lost, and the old version stops."""
    first = platform.steady("1.0")
    assert platform.arms() == {first: 1.0}
    second = platform.deploy("1.1", flags=True)
    shares = []
    for phase in ("canary", "promoted", "steady"):
        platform.until_phase(second, phase)
        shares.append(platform.arms()[second])
    assert shares == [0.1, 0.98, 1.0]
    assert platform.moves(second) == ["start", "advance", "promote", "settle"]
    platform.until(lambda: platform.running() == {second}, "the end of the old version")
    assert platform.unrouted == 0
    assert len(platform.show(second).attestations) == 1


def test_the_share_of_a_release_never_falls_on_its_way_up(platform: Platform) -> None:
    """Not for one look either, when it takes the place of the last one."""
    platform.steady("1.0")
    platform.applied.clear()
    second = platform.deploy("1.1")
    platform.until_phase(second, "steady")
    platform.pass_time(2.0)
    shares = []
    for (route,) in platform.applied:
        arms = {route.stable.release_id: 1 - route.canary_ratio}
        if route.canary is not None:
            arms[route.canary.release_id] = route.canary_ratio
        shares.append(arms.get(second, 0.0))
    assert shares == sorted(shares)
    assert len(shares) <= 6


@pytest.mark.parametrize("phase", ["canary", "held", "promoted", "steady"])
def test_a_person_brings_a_release_back_from_wherever_it_is(platform: Platform, phase: Phase) -> None:
    """The traffic is with the version before, nobody was answered by nothing, and everything that follows is done."""
    first = platform.steady("1.0")
    second = platform.deploy("1.1", policy=BRISK if phase == "steady" else SLOWLY, flags=True)
    platform.until_phase(second, "canary")
    if phase == "held":
        platform.ask(second, "hold")
    elif phase == "promoted":
        platform.ask(second, "promote")
    platform.until_phase(second, phase)
    if phase == "steady":
        platform.until(lambda: platform.running() == {second}, "the end of the old version")
    platform.ask(second, "rollback", "users cannot pay")
    shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == "manual"
    assert "users cannot pay" in shown.cause.sentence
    platform.until(lambda: platform.running() == {first}, "the end of the new version")
    assert platform.arms() == {first: 1.0}
    assert platform.unrouted == 0
    counts = [platform.rows(table) for table in (artifact_denials, incidents, notifications)]
    assert counts == [1, 1, 1]
    assert shown.incident_id is not None
    (incident,) = platform.all(incidents)
    assert incident.status == "mitigated"
    verbs = platform.verbs()
    assert (verbs["flag.turn_on"], verbs["flag.turn_back"]) == (1, 1)
    assert platform.moves(second)[-2:] == ["rollback", "rolled_back"]
    third = platform.deploy("1.2")
    platform.until_phase(third, "steady")
    assert platform.show(third).baseline == platform.show(second).baseline


def test_a_steady_release_serves_until_the_one_before_runs_again(platform: Platform) -> None:
    """The old version takes its time to start; until then users are better served by the new one than by nobody."""
    first = platform.steady("1.0")
    second = platform.steady("1.1")
    platform.until(lambda: platform.running() == {second}, "the end of the old version")
    platform.runtime.does(first, Script(prepare_s=3.0, ready_s=1.0))
    platform.ask(second, "rollback")
    platform.until(lambda: platform.phase(second) == "rollback_pending", "the decision")
    platform.answered.clear()
    platform.pass_time(2.0)
    assert set(platform.answered) == {second}
    (incident,) = platform.all(incidents)
    assert incident.status == "open", "users are not served by the old version yet"
    platform.until_phase(second, "rolled_back")
    platform.answered.clear()
    platform.pass_time(1.0)
    assert set(platform.answered) == {first}
    assert platform.unrouted == 0
    (incident,) = platform.all(incidents)
    assert incident.status == "mitigated"


def test_an_incident_that_a_person_has_closed_stays_closed(platform: Platform) -> None:
    """Whoever is faster than the old version does not keep the rollback from its end."""
    first = platform.steady("1.0")
    second = platform.steady("1.1")
    platform.until(lambda: platform.running() == {second}, "the end of the old version")
    platform.runtime.does(first, Script(prepare_s=3.0, ready_s=1.0))
    platform.ask(second, "rollback")
    platform.until(lambda: bool(platform.all(incidents)), "the incident")
    (incident,) = platform.all(incidents)
    Operations(platform.journal).close_incident(platform.olga, incident.id, text="seen")
    platform.until_phase(second, "rolled_back")
    (incident,) = platform.all(incidents)
    assert incident.status == "closed"


@pytest.mark.parametrize(
    ("script", "trigger", "words"),
    [
        (Script(fate="never_ready"), "not_ready", "503"),
        (Script(fate="exits"), "crash_loop", "exit 1"),
        (Script(fate="refused", reason="The artifact is damaged."), "not_ready", "The artifact is damaged."),
        (Script(fate="out_of_memory"), "out_of_memory", "MB of memory"),
    ],
)
def test_a_candidate_that_cannot_run_goes_back_with_the_true_reason(
    platform: Platform, script: Script, trigger: str, words: str
) -> None:
    """It never got a request of a user."""
    first = platform.steady("1.0")
    second = platform.deploy("1.1")
    platform.runtime.does(second, script)
    shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == trigger
    assert words in shown.cause.sentence
    assert platform.answered[second] == 0
    platform.until(lambda: set(platform.runtime.instances()) == {first}, "its end")


@pytest.mark.parametrize(
    ("script", "trigger"), [(Script(fate="never_ready"), "not_ready"), (Script(fate="exits"), "crash_loop")]
)
def test_a_first_release_that_cannot_run_goes_back_to_nothing(platform: Platform, script: Script, trigger: str) -> None:
    """There is no route, nothing runs, and the next one may come."""
    first = platform.deploy("1.0", flags=True)
    platform.runtime.does(first, script)
    shown = platform.until_phase(first, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == trigger
    platform.pass_time(6.0)
    assert platform.arms() == {}
    assert dict(platform.runtime.instances()) == {}
    platform.steady("1.1")


def test_what_was_denied_is_refused_and_the_refusal_is_on_record(platform: Platform) -> None:
    """The same bytes do not come again."""
    platform.steady("1.0")
    second = platform.deploy("1.1", policy=SLOWLY)
    platform.until_phase(second, "canary")
    platform.ask(second, "abort")
    shown = platform.until_phase(second, "rolled_back")
    with pytest.raises(Denied, match=r"was denied after shop@1\.1"):
        platform.delivery.deploy(platform.olga, digest=shown.digest)
    denied = records(platform.journal)[-1]
    assert (denied.verb, denied.decision, denied.policy) == ("release.deploy", "deny", "admission:denied-digest")
    assert "because" in details(denied)["reason"]


def test_two_releases_of_two_services_do_not_wait_for_each_other(platform: Platform) -> None:
    """One goes back while the other one climbs."""
    platform.steady("1.0")
    platform.steady("1.0", "cart")
    bad = platform.deploy("1.1", policy=msgspec.structs.replace(SLOWLY, steps=(10.0, 100.0)))
    good = platform.deploy("1.1", "cart")
    platform.fails(bad)
    platform.until_phase(bad, "rolled_back")
    platform.until_phase(good, "steady")
    assert platform.arms("cart") == {good: 1.0}
    assert platform.show(bad).seconds_to_rollback is not None
    assert platform.unrouted == 0


def test_a_router_that_is_gone_gets_the_weights_when_it_is_back(platform: Platform) -> None:
    """A rollback meanwhile is not done before the router has really done it."""
    first = platform.steady("1.0")
    second = platform.deploy("1.1", policy=SLOWLY)
    platform.until_phase(second, "canary")
    platform.traffic.reachable = False
    platform.ask(second, "abort")
    platform.pass_time(5.0)
    assert platform.phase(second) == "rollback_pending"
    assert "set_weight" in platform.show(second).actions_open
    assert second in platform.running()
    platform.traffic.reachable = True
    platform.until_phase(second, "rolled_back")
    assert platform.arms() == {first: 1.0}


def test_a_stable_release_that_was_lost_is_started_again(platform: Platform) -> None:
    """The machine was restarted: nothing runs, and nobody asks for anything."""
    first = platform.steady("1.0")
    platform.runtime.forget(first)
    platform.boot()
    platform.until(lambda: platform.running() == {first}, "the release")
    assert platform.arms() == {first: 1.0}


def test_what_nobody_has_deployed_is_stopped(platform: Platform) -> None:
    """A process that is left over from a lost database runs no longer than it takes to see it."""
    first = platform.steady("1.0")
    platform.runtime.start(launch_of("sha256:" + "a" * 64))
    assert len(platform.runtime.instances()) == 2
    platform.until(lambda: set(platform.runtime.instances()) == {first}, "the end of the leftover")


def test_the_old_version_may_finish_what_it_has_begun(platform: Platform) -> None:
    """It gets the whole of its time, whoever looks meanwhile for what is left over."""
    first = platform.steady("1.0")
    platform.runtime.does(first, Script(drains_s=12.0))
    second = platform.deploy("1.1", policy=msgspec.structs.replace(BRISK, drain_s=14.0))
    platform.until(lambda: bool(platform.runtime.stopped), "the stop")
    assert platform.runtime.stopped == [(first, 14.0)]
    platform.pass_time(11.0)
    assert platform.runtime.instances()[first].state == "stopping"
    platform.until(lambda: set(platform.runtime.instances()) == {second}, "its end")


def test_nothing_that_a_route_names_is_stopped(platform: Platform) -> None:
    """A router that does not obey still sends users to the old version."""
    first = platform.steady("1.0")
    second = platform.deploy("1.1", policy=msgspec.structs.replace(BRISK, bake_s=1.0))
    platform.until_phase(second, "promoted")
    platform.traffic.reachable = False
    platform.until(lambda: platform.phase(second) == "steady", "the end of the bake")
    platform.pass_time(12.0)
    assert first in platform.running()
    platform.traffic.reachable = True
    platform.until(lambda: platform.running() == {second}, "its end")


def test_a_controller_that_was_overtaken_does_nothing_of_what_it_believed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one has decided between its look and its word: it says so, and begins anew from what is written."""
    platform.steady("1.0")
    second = platform.deploy("1.1")
    platform.until_phase(second, "canary")
    decide = machine.step

    def overtaken(*arguments: Any, **named: Any) -> machine.Step:
        step = decide(*arguments, **named)
        if step.move is not None:
            with platform.journal.database.write() as connection:
                connection.execute(update(releases).where(releases.c.id == second).values(revision=99))
        return step

    before = platform.moves(second), platform.arms()
    with monkeypatch.context() as patch:
        patch.setattr(machine, "step", overtaken)
        with pytest.raises(Overtaken, match="decided by somebody else"):
            platform.pass_time(30.0)
    assert (platform.moves(second), platform.arms()) == before
    platform.controller.forget()
    platform.until_phase(second, "steady")
    assert platform.moves(second) == ["start", "advance", "promote", "settle"]


def test_an_action_that_fails_is_tried_again_and_holds_up_nothing_else(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notification cannot be written for a while; the traffic goes back all the same."""
    first = platform.steady("1.0")
    second = platform.deploy("1.1", policy=SLOWLY)
    platform.until_phase(second, "canary")

    def refuses(*_: object, **__: object) -> None:
        raise Conflict("The outbox is full.")

    with monkeypatch.context() as patch:
        patch.setattr("companyos.operations.notifying.Notifying.notify_in", refuses)
        platform.ask(second, "abort")
        platform.pass_time(8.0)
        assert platform.arms() == {first: 1.0}
        assert platform.show(second).actions_open == ("notify_on_call",)
    platform.until_phase(second, "rolled_back")
    assert platform.rows(notifications) == 1


def test_flags_are_on_with_the_release_and_off_without_it(platform: Platform) -> None:
    """And the record of the actions says which."""
    platform.steady("1.0")
    second = platform.deploy("1.1", policy=SLOWLY, flags=True)
    platform.until_phase(second, "canary")
    done = {row.kind: row.result for row in platform.all(release_actions) if row.release_id == second}
    assert done["turn_on_flags"] == {"flags": [FLAG]}
    platform.ask(second, "abort")
    platform.until_phase(second, "rolled_back")
    done = {row.kind: row.result for row in platform.all(release_actions) if row.release_id == second}
    assert done["turn_back_flags"] == {"flags": [FLAG], "left": []}

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from companyos.core.api import Client
from companyos.core.console import want_json
from companyos.core.errors import Denied, InvalidInput, NotFound, TooManyRequests, Unavailable
from companyos.core.in_process import InProcessTransport
from companyos.delivery import watching
from companyos.delivery.http import routes
from companyos.delivery.model import Cause, CommandKind, Held, Phase
from companyos.delivery.view import Detail, Summary
from companyos.delivery.watching import Follower, Timing
from tests.delivery.scripted import AT, ID, ScriptedDelivery, release, transition
from tests.pillar import person, web

LATER = AT.replace(minute=30)
BY_HAND = Held(reason="manual", sentence="Held by olga.")
AWAY = Unavailable("The server starts again.")


class Time:
    """A clock that moves when somebody pauses."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timing = Timing(now=lambda: self.now, pause=self.pause)

    def pause(self, seconds: float) -> None:
        """Let the time pass."""
        assert seconds >= 0
        self.now += seconds


@pytest.fixture
def time() -> Time:
    """Return a clock that a test moves."""
    return Time()


@pytest.fixture(autouse=True)
def words() -> Iterator[None]:
    """Speak to people, whatever an earlier test wanted."""
    want_json(wanted=False)
    yield
    want_json(wanted=False)


def client(delivery: ScriptedDelivery) -> Client:
    """Return a client of the routes over a delivery."""
    caller = person("olga", "operator")
    return Client(InProcessTransport(web(routes, caller, delivery=delivery).app, caller), "here")


def follow(time: Time, *script: Any, **options: Any) -> str:
    """Watch a script and return how it ended."""
    ended, _ = watching.watch(client(ScriptedDelivery(*script)), ID, timing=time.timing, **options)
    return ended


CLIMB = (
    release("pending", rung=0, verdict="Accepted."),
    release(rung=0, verdict="At 1 %.", transitions=(transition(1, "canary", 1.0, "Started at 1 %."),)),
    release(
        rung=1,
        verdict="No worse so far.",
        transitions=(transition(1, "canary", 1.0, "Started at 1 %."), transition(2, "canary", 10.0, "Now 10 %.")),
    ),
)
HISTORY = CLIMB[-1].transitions


def test_a_release_is_followed_line_by_line(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a terminal each transition and each new verdict is one line, and nothing is said twice."""
    promoted = transition(3, "promoted", 100.0, "Promoted.")
    script = (*CLIMB, CLIMB[-1], release("steady", rung=3, verdict="Fine.", transitions=(*HISTORY, promoted)))
    assert follow(time, *script) == "promoted"
    assert capsys.readouterr().out.splitlines() == [
        "shop@1.1 in production: starting, 1 % of the traffic. Accepted.",
        "2026-01-02 03:04:05Z  canary               1 %  Started at 1 %.",
        "shop@1.1 in production: canary, 1 % of the traffic. At 1 %.",
        "2026-01-02 03:04:05Z  canary              10 %  Now 10 %.",
        "shop@1.1 in production: canary, 10 % of the traffic. No worse so far.",
        "2026-01-02 03:04:05Z  promoted, bakes    100 %  Promoted.",
        "shop@1.1 in production: steady, 100 % of the traffic. Fine.",
    ]


def test_beside_json_the_lines_go_to_standard_error(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is for the one document."""
    want_json(wanted=True)
    follow(time, release("steady", rung=3))
    said = capsys.readouterr()
    assert said.out == ""
    assert "steady" in said.err


@pytest.mark.parametrize(
    ("state", "until", "ended"),
    [
        ("promoted", "promoted", "promoted"),
        ("promoted", "final", None),
        ("steady", "promoted", "promoted"),
        ("steady", "final", "promoted"),
        ("rolled_back", "promoted", "rolled_back"),
        ("rolled_back", "final", "rolled_back"),
        ("rollback_pending", "promoted", None),
        ("held", "promoted", None),
        ("pending", "final", None),
    ],
)
def test_when_a_release_has_ended(state: Phase, until: watching.Until, ended: watching.Outcome | None) -> None:
    """One that bakes has ended for who waits for its promotion; one on its way back has not."""
    assert watching.outcome(release(state), until) == ended


def test_when_the_time_is_over_a_canary_is_undecided_and_a_baking_one_promoted(time: Time) -> None:
    """The time is kept to the second; a timeout of 0 looks once."""
    assert follow(time, release("held"), timeout_s=60) == "undecided"
    assert time.now == pytest.approx(160.0)
    assert follow(time, release("promoted"), timeout_s=60) == "promoted"
    assert follow(time, release("rolled_back"), timeout_s=0) == "rolled_back"


def test_the_last_look_counts(time: Time) -> None:
    """What ends exactly when the time is over has ended."""
    assert follow(time, *[release()] * 120, release("steady"), timeout_s=60) == "promoted"


def test_a_restart_of_the_server_is_waited_out(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to 30 s, said once; then the fault is the answer."""
    assert follow(time, release(), *[AWAY] * 58, release("steady")) == "promoted"
    assert capsys.readouterr().out.count("does not answer") == 1
    begin = time.now
    with pytest.raises(Unavailable, match="starts again"):
        follow(time, release(), AWAY)
    assert time.now - begin == pytest.approx(30.5)
    assert follow(time, AWAY, release("steady")) == "promoted"
    with pytest.raises(Unavailable, match="starts again"):
        follow(time, AWAY, timeout_s=0)


def test_each_absence_has_its_own_patience(time: Time) -> None:
    """Two restarts of 20 s are not one of 40 s."""
    assert follow(time, release(), *[AWAY] * 40, release(), *[AWAY] * 40, release("steady")) == "promoted"


def test_the_timeout_holds_while_the_platform_is_away(time: Time) -> None:
    """What was seen last is the answer then."""
    assert follow(time, release(), AWAY, timeout_s=5) == "undecided"
    assert time.now <= 105.0


def test_a_platform_that_asks_for_patience_gets_it(time: Time) -> None:
    """A minute after a 429 that does not say how long, and never beyond the end of the time."""
    slowly = TooManyRequests("Slowly.", retry_after_s=60)
    assert follow(time, release(), slowly, release("steady")) == "promoted"
    assert time.now == pytest.approx(160.5)
    assert follow(time, release(), slowly, timeout_s=5) == "undecided"
    assert time.now == pytest.approx(165.5)


def test_a_refusal_ends_the_watch(time: Time) -> None:
    """No right to look is no absence."""
    with pytest.raises(Denied):
        follow(time, release(), Denied("You may not look."))


def test_ctrl_c_says_how_the_release_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends the watching and nothing else."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watching.watch(client(ScriptedDelivery(release())), ID, timing=Timing(pause=interrupted))
    last = capsys.readouterr().out.splitlines()[-1]
    assert f"goes on by itself. Watch it: companyos release watch {ID}" in last
    assert f"companyos release abort {ID} --reason" in last


def test_numbers_alone_are_no_news_for_a_minute() -> None:
    """A forecast that counts down must not flood a log."""
    follower = Follower()
    verdicts = ["Needs 1,200 more requests.", "Needs 1,150 more requests.", "Held by a person."]
    assert [len(follower.news(release(verdict=verdict), 5.0)) for verdict in verdicts] == [1, 0, 1]
    assert follower.news(release(verdict="Held by a person."), 70.0)[0].startswith("No controller")
    follower = Follower()
    assert follower.news(release(verdict=verdicts[0]), 5.0) != []
    later = release(verdict=verdicts[1], observed_at=LATER)
    assert follower.news(later, 66.0) == ["shop@1.1 in production: canary, 10 % of the traffic. " + verdicts[1]]


def test_a_release_that_nobody_looks_at_is_not_fine() -> None:
    """It is said once, again after a look, and never of a release that has ended."""
    follower = Follower()

    def told(now: float, **values: Any) -> bool:
        return any("No controller" in line for line in follower.news(release(**values), now))

    assert [told(now) for now in (5.0, 14.9, 15.0, 30.0)] == [False, False, True, False]
    assert [told(now, observed_at=LATER) for now in (31.0, 41.0)] == [False, True]
    ended = Follower()
    assert [len(ended.news(release("steady"), now)) for now in (5.0, 100.0)] == [1, 0]


def test_on_a_terminal_the_view_is_drawn_over_itself(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ladder, indicators and verdict stand on it; markup and controls from the platform do nothing."""

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert follow(time, *CLIMB, release("steady", rung=3, verdict="[red]Fine[/red]\x1b[2J.")) == "promoted"
    drawn = screen.getvalue()
    assert "1 % done → 10 % now → 50 % → 100 %" in drawn
    assert "error rate" in drawn
    assert r"[red]Fine[/red]\x1b[2J." in drawn
    assert "\x1b[2J" not in drawn


def test_a_release_is_found_by_id_or_by_name() -> None:
    """The newest of a name; everything else is refused before or by the platform."""
    delivery = ScriptedDelivery(release())
    platform = client(delivery)
    assert watching.find(platform, ID)["id"] == ID
    delivery.known = [release()]
    assert watching.find(platform, "shop@1.1")["id"] == ID
    assert ("list", (None, "shop@1.1", None, None, 1)) in delivery.calls
    with pytest.raises(NotFound, match="There is no release 'shop@9'"):
        watching.find(platform, "shop@9")
    for wrong in ("", "shop", "@1", "shop@", "../releases", "a\0b"):
        with pytest.raises(InvalidInput, match="neither the id"):
            watching.find(platform, wrong)
    for wrong in ("shop@1\0", "Shop@1", "shop@" + "1" * 200, "shop@1\n"):
        with pytest.raises(InvalidInput):
            watching.find(platform, wrong)


def test_an_answer_in_another_language_is_unknown_and_no_crash() -> None:
    """A platform of another version may describe releases in another way."""
    with pytest.raises(Unavailable, match="does not know"):
        watching.typed({"id": ID}, Detail)
    assert watching.typed({**_plain(release()), "new": 1}, Summary).name == "shop@1.1"


def _plain(value: Detail) -> dict[str, Any]:
    return watching.get(client(ScriptedDelivery(value)), ID)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("hold", release(), release("held", held=BY_HAND)),
        ("resume", release("held", held=BY_HAND), release()),
        ("resume", release("held", held=BY_HAND), release("held", held=Held(reason="no_data", sentence="Quiet."))),
        ("promote", release(), release("promoted", rung=3)),
        ("abort", release(), release("rollback_pending")),
        ("rollback", release("steady"), release("rolled_back")),
    ],
)
def test_what_becomes_of_a_command_is_waited_for(kind: CommandKind, before: Detail, after: Detail, time: Time) -> None:
    """It takes effect some looks later, and its state is the answer."""
    platform = client(ScriptedDelivery(before, before, before, after))
    asked = watching.ask(platform, ID, kind, "because")
    done, sentence, document = watching.effect(platform, asked, kind, timing=time.timing)
    assert (done, document["state"]) == (True, after.state)
    assert sentence.endswith(after.verdict)
    assert time.now < 103.0


def test_a_command_that_nobody_carries_out_says_so(time: Time) -> None:
    """No controller has looked since; or one has, and the release is what it was."""
    nobody = client(ScriptedDelivery(release()))
    asked = watching.ask(nobody, ID, "hold", "because")
    done, sentence, _ = watching.effect(nobody, asked, "hold", timing=time.timing)
    assert not done
    assert "no controller has looked at it for 3 s" in sentence
    seen = client(ScriptedDelivery(release(), release(observed_at=LATER)))
    asked = watching.ask(seen, ID, "hold", "because")
    done, sentence, _ = watching.effect(seen, asked, "hold", timing=time.timing)
    assert not done
    assert "has not changed shop@1.1 yet, which is canary" in sentence


def test_the_end_is_told_with_its_cause() -> None:
    """Promoted, back, or not decided and how it goes on."""
    assert watching.ending(release("steady"), "promoted") == ["shop@1.1 is promoted."]
    assert "bakes" in watching.ending(release("promoted"), "promoted")[0]
    cause = Cause(trigger="latency", sentence="p95 is 900 ms, the limit 300 ms.")
    assert watching.ending(release("rolled_back", cause=cause), "rolled_back")[:2] == [
        "shop@1.1 was rolled back.",
        "Cause: p95 is 900 ms, the limit 300 ms.",
    ]
    undecided = watching.ending(release("held", held=BY_HAND), "undecided")
    assert undecided[:2] == ["shop@1.1 is not decided yet: held.", "Held: Held by olga."]
    assert "release abort" in undecided[-1]

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from companyos.cli import main
from companyos.core.api import Client
from companyos.core.console import want_json
from companyos.core.errors import Conflict, Denied, Unavailable
from companyos.core.in_process import InProcessTransport
from companyos.delivery import commands, printing, shipping, watching
from companyos.delivery.http import routes
from companyos.delivery.model import Cause, FlagChange, Held
from companyos.delivery.policy import ReleasePolicy
from companyos.delivery.view import Difference
from tests.delivery.scripted import AT, DIGEST, EARLIER, ID, ScriptedDelivery, release
from tests.pillar import person, web

Command = Callable[..., tuple[int, str, str]]
CAUSE = Cause(trigger="error_rate", sentence="2.3 % of the requests failed, the limit is 1 %.")
BY_HAND = Held(reason="manual", sentence="Held by olga.")
BACK = release("rolled_back", cause=CAUSE)


@pytest.fixture
def delivery() -> ScriptedDelivery:
    """Return a delivery whose script a test writes."""
    return ScriptedDelivery(release())


@pytest.fixture
def companyos(
    delivery: ScriptedDelivery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Return what runs a command against that delivery: exit code, standard output and error."""
    caller = person("olga", "operator")
    client = Client(InProcessTransport(web(routes, caller, delivery=delivery).app, caller), "here")
    program = typer.Typer(rich_markup_mode=None)
    program.command()(commands.ship)
    program.command()(commands.deploy)
    program.add_typer(commands.app, name="release")
    monkeypatch.setattr(main, "app", program)
    monkeypatch.setattr("companyos.core.client.connect", lambda: client)
    monkeypatch.setattr(watching, "POLL_S", 0.0)
    monkeypatch.setattr(watching, "EFFECT_S", 0.2)

    def call(*words: str) -> tuple[int, str, str]:
        code = main.run(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    yield call
    want_json(wanted=False)


def test_releases_are_listed_over_all_pages(companyos: Command, delivery: ScriptedDelivery) -> None:
    """Newest first, up to the limit; an empty list says so."""
    assert companyos("release", "list")[:2] == (0, "There is no release.\n")
    delivery.known = [release(version=f"1.{number}", name=f"shop@1.{number}") for number in range(700)]
    code, out, _ = companyos("release", "list", "--limit", "600")
    assert code == 0
    assert len(out.splitlines()) == 601
    assert "shop@1.599" in out
    code, out, _ = companyos("release", "list", "--service", "shop", "--in-flight", "--limit", "2", "--json")
    assert [item["name"] for item in json.loads(out)] == ["shop@1.0", "shop@1.1"]
    assert delivery.calls[-1] == ("list", ("shop", None, True, None, 2))


def test_a_release_is_shown_by_name(companyos: Command, delivery: ScriptedDelivery) -> None:
    """As lines for people, as the document for programs."""
    delivery.known = [release()]
    code, out, _ = companyos("release", "show", "shop@1.1")
    assert code == 0
    assert "1 % done → 10 % now → 50 % → 100 %" in out
    assert json.loads(companyos("release", "show", ID, "--json")[1])["digest"] == DIGEST


@pytest.mark.parametrize(
    ("release_", "code"),
    [(EARLIER[:-1] + "9", 1), ("shop@9", 1), ("shop", 2), ("shop@\0", 2), ("../x", 2), ("a" * 10_000, 2)],
)
@pytest.mark.parametrize("word", ["show", "watch", "abort"])
def test_what_is_not_there_is_said_in_one_sentence(companyos: Command, release_: str, code: int, word: str) -> None:
    """1 when there is none, 2 when it cannot be one."""
    reason = ("--reason", "r") if word == "abort" else ()
    found, out, err = companyos("release", word, release_, *reason)
    assert (found, out) == (code, "")
    assert err.startswith("Error: ")
    assert len(err) < 400


@pytest.mark.parametrize(
    ("script", "options", "code", "sentence"),
    [
        ([release(), release("steady")], (), 0, "shop@1.1 is promoted."),
        ([release("promoted")], ("--until", "promoted"), 0, "It bakes"),
        ([release("promoted")], ("--timeout", "0"), 0, "It bakes"),
        ([release(), BACK], (), 1, CAUSE.sentence),
        ([release("held", held=BY_HAND)], ("--timeout", "0"), 3, "is not decided yet: held."),
        ([release(), Denied("You may not look.")], (), 1, "You may not look."),
    ],
)
def test_how_a_watch_ends(
    companyos: Command,
    delivery: ScriptedDelivery,
    script: list[Any],
    options: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    """0 promoted, 1 rolled back or refused, 3 undecided."""
    delivery.script = [script[0], *script]
    found, out, err = companyos("release", "watch", ID, *options)
    assert (found, sentence in out + err) == (code, True), out + err


def test_a_platform_that_stays_away_gives_3(
    companyos: Command, delivery: ScriptedDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It could not be found out."""
    monkeypatch.setattr(watching, "PATIENCE_S", 0.0)
    delivery.script = [release(), release(), Unavailable("The server is away.")]
    code, _, err = companyos("release", "watch", ID)
    assert (code, "The server is away." in err) == (3, True)


def test_ctrl_c_gives_130_and_says_how_it_goes_on(
    companyos: Command, delivery: ScriptedDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The release does not end with the command."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watching, "Timing", lambda: TIMING(pause=interrupted))
    code, out, _ = companyos("release", "watch", ID)
    assert code == 130
    assert f"companyos release watch {ID}" in out
    code, out, err = companyos("deploy", DIGEST, "--watch", "--json")
    assert (code, out) == (130, "")
    assert f"companyos release abort {ID}" in err


TIMING = watching.Timing


def test_with_json_a_watch_is_one_document(companyos: Command, delivery: ScriptedDelivery) -> None:
    """What happened on the way goes to standard error."""
    delivery.script = [release(), release(), BACK]
    code, out, err = companyos("release", "watch", ID, "--json")
    found = json.loads(out)
    assert (code, found["outcome"], found["release"]["cause"]["trigger"]) == (1, "rolled_back", "error_rate")
    assert "canary" in err


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("hold", release("held", held=BY_HAND)),
        ("resume", release()),
        ("promote", release("promoted")),
        ("abort", release("rollback_pending")),
        ("rollback", BACK),
    ],
)
def test_a_command_says_what_became_of_it(
    companyos: Command, delivery: ScriptedDelivery, kind: str, after: Any
) -> None:
    """The reason arrives, and the new state is the answer."""
    before = release("held", held=BY_HAND) if kind == "resume" else release()
    delivery.script = [before, before, after]
    code, out, _ = companyos("release", kind, ID, "--reason", "because")
    assert (code, out) == (0, f"{printing.headline(after)}. {after.verdict}\n")
    assert delivery.calls[1] == (kind, (ID, "because", None))


def test_a_command_that_nothing_came_of_gives_3(companyos: Command, delivery: ScriptedDelivery) -> None:
    """It is written down, and no controller runs."""
    code, out, _ = companyos("release", "hold", ID, "--reason", "because")
    assert (code, "no controller has looked" in out) == (3, True)
    code, out, _ = companyos("release", "hold", ID, "--reason", "because", "--json")
    assert (code, json.loads(out)["done"]) == (3, False)


def test_a_command_that_makes_no_sense_gives_1(companyos: Command, delivery: ScriptedDelivery) -> None:
    """The platform says why."""
    delivery.refusal = Conflict("shop@1.1 is steady already.")
    code, _, err = companyos("release", "promote", ID, "--reason", "because")
    assert (code, "steady already" in err) == (1, True)


@pytest.mark.parametrize("reason", ["", "r" * 501, "a\0b", "two\nlines"])
def test_a_reason_is_one_line(companyos: Command, delivery: ScriptedDelivery, reason: str) -> None:
    """A bad one is bad input, and nothing is asked of the release."""
    assert companyos("release", "abort", ID, "--reason", reason)[0] == 2
    assert [name for name, _ in delivery.calls] == ["get"]
    assert companyos("release", "abort", ID)[0] == 2


def test_an_artifact_is_deployed(companyos: Command, delivery: ScriptedDelivery, tmp_path: Path) -> None:
    """With flags and a policy; without --watch it ends when the release is accepted."""
    policy = tmp_path / "hasty.yaml"
    policy.write_text("release:\n  steps: [50, 100]\n  hold_s: 1\n")
    words = ("--environment", "staging", "--turn-on", "new-cart", "--turn-on", "new-shop", "--policy", str(policy))
    code, out, _ = companyos("deploy", DIGEST, *words)
    assert (code, f"companyos release watch {ID}" in out) == (0, True)
    flags = (FlagChange(key="new-cart"), FlagChange(key="new-shop"))
    assert delivery.calls == [
        ("deploy", (DIGEST, "staging", flags, ReleasePolicy(steps=(50.0, 100.0), hold_s=1.0))),
    ]
    assert json.loads(companyos("deploy", DIGEST, "--json")[1])["id"] == ID


def test_a_deploy_that_is_watched_ends_like_its_release(companyos: Command, delivery: ScriptedDelivery) -> None:
    """0 promoted, 1 rolled back, 3 undecided."""
    for after, code in ((release("promoted"), 0), (BACK, 1)):
        delivery.script = [release("pending"), after]
        assert companyos("deploy", DIGEST, "--watch")[0] == code
    delivery.script = [release("held")]
    assert companyos("deploy", DIGEST, "--watch", "--timeout", "0")[0] == 3


def test_a_deploy_that_is_refused_gives_1(companyos: Command, delivery: ScriptedDelivery) -> None:
    """With the rule's own sentence; a digest that is none is bad input."""
    delivery.refusal = Denied("The artifact is not signed.")
    code, _, err = companyos("deploy", DIGEST)
    assert (code, "not signed" in err) == (1, True)
    for wrong in ("latest", "sha256:\0", DIGEST + "\n"):
        assert companyos("deploy", wrong)[0] == 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.yaml", "steps: [10, 1, 100]", "The steps of a release grow"),
        ("p.yaml", "release: {steps: [1, 10]}", "the last one is 100"),
        ("p.yaml", "steps: [0.15, 100]", "0.15 is none"),
        ("p.yaml", "surprise: 1", "surprise"),
        ("p.yaml", "release: {}\nhold_s: 1", "release"),
        ("p.yaml", "hold_s: soon", "hold_s"),
        ("p.json", '{"hold_s": -1}', "hold_s"),
        ("p.json", "hold_s: 1", "p.json"),
        ("p.yaml", "a: &x [1]\nb: *x", "anchor"),
        ("p.yaml", "[" * 50 + "]" * 50, "deeper"),
        ("p.yaml", "--- {}\n--- {}", "documents"),
        ("p.yaml", "# " + "x" * 70_000, "larger"),
        ("p.yaml", "- 1", "p.yaml"),
    ],
)
def test_a_bad_policy_file_is_named(
    companyos: Command, delivery: ScriptedDelivery, tmp_path: Path, name: str, text: str, said: str
) -> None:
    """Before anything is asked of the platform, and with the field at fault."""
    path = tmp_path / name
    path.write_text(text)
    code, _, err = companyos("release", "replay", "--policy", str(path))
    assert (code, said in err) == (2, True), err
    assert companyos("deploy", DIGEST, "--policy", str(path))[0] == 2
    assert delivery.calls == []


def test_a_policy_file_that_cannot_be_read_is_bad_input(companyos: Command, tmp_path: Path) -> None:
    """Nothing there, a folder, a name that is none."""
    for path in (str(tmp_path / "nothing"), str(tmp_path), "a\0b"):
        assert companyos("release", "replay", "--policy", path)[0] == 2, path


def test_a_replay_shows_what_would_be_different(companyos: Command, delivery: ScriptedDelivery, tmp_path: Path) -> None:
    """A JSON file is a policy too; an empty one is the product's."""
    delivery.differences = [
        Difference(
            release_id=ID,
            name="shop@1.1",
            recorded="rolled_back",
            recorded_at=AT,
            replayed="steady",
            replayed_at=AT,
            changed=True,
            sentence="It would have been promoted.",
        )
    ]
    path = tmp_path / "policy.json"
    path.write_text('{"triggers": "literal"}')
    code, out, _ = companyos("release", "replay", "--policy", str(path), "--service", "shop", "--limit", "9")
    assert code == 0
    assert "1 of 1 releases would have ended differently." in out
    assert "It would have been promoted." in out
    assert delivery.calls == [("replay", (ReleasePolicy(triggers="literal"), "shop", 9))]
    path = tmp_path / "empty.yaml"
    path.write_text("")
    assert companyos("release", "replay", "--policy", str(path), "--json")[0] == 0
    assert delivery.calls[-1] == ("replay", (ReleasePolicy(), None, 200))


@pytest.fixture
def shipped(delivery: ScriptedDelivery, monkeypatch: pytest.MonkeyPatch) -> list[shipping.Order]:
    """Let the steps before the deploy be done, and return what was ordered."""
    orders: list[shipping.Order] = []

    def ship(client: Client, order: shipping.Order) -> dict[str, Any]:
        orders.append(order)
        return {
            "commits": [],
            "release": shipping.deploy(
                client, DIGEST, environment=order.environment, flags=order.flags, policy=order.policy
            ),
        }

    monkeypatch.setattr(shipping, "ship", ship)
    return orders


def test_shipping_ends_like_its_release(
    companyos: Command, delivery: ScriptedDelivery, shipped: list[shipping.Order]
) -> None:
    """0 promoted, although it still bakes; 1 rolled back with its cause; 1 refused; 3 when the time is over."""
    delivery.script = [release("pending"), release(), release("promoted")]
    assert companyos("ship")[0] == 0
    delivery.script = [release("pending"), release(), BACK]
    code, out, _ = companyos("ship")
    assert (code, CAUSE.sentence in out) == (1, True)
    delivery.script = [release("held", held=BY_HAND)]
    code, out, _ = companyos("ship", "--timeout", "0", "--json")
    assert (code, json.loads(out)["outcome"]) == (3, "undecided")
    delivery.refusal = Denied("shop@1.1 is on the deny-list.")
    code, _, err = companyos("ship")
    assert (code, "deny-list" in err) == (1, True)


def test_shipping_takes_what_was_said(
    companyos: Command, delivery: ScriptedDelivery, shipped: list[shipping.Order], tmp_path: Path
) -> None:
    """And with --detach it ends when the release is accepted."""
    words = ("--environment", "staging", "--turn-on", "new-cart", "--allow-dirty", "--check", "--detach")
    code, out, _ = companyos("ship", str(tmp_path), *words)
    assert (code, "is accepted for production" in out) == (0, True)
    assert shipped == [
        shipping.Order(repository=tmp_path, environment="staging", flags=("new-cart",), allow_dirty=True, check=True)
    ]
    assert [name for name, _ in delivery.calls] == ["deploy"]
    assert set(json.loads(companyos("ship", "--detach", "--json")[1])) == {"commits", "release"}

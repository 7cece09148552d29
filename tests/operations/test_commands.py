from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.cli import main
from companyos.core import access
from companyos.core.clock import ManualClock
from companyos.ledger import Journal, open_journal
from companyos.operations import Operations
from companyos.operations.outbox import MAX_ATTEMPTS, Outbox
from tests.operations.outgoing import notify
from tests.operations.receiver import Receiver, reply


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the home that commands work on."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    yield tmp_path / "home"
    access.bind(access.DenyAll())


@pytest.fixture
def kept(home: Path, receiver: Receiver, clock: ManualClock) -> Iterator[Journal]:
    """Return a journal on that home, whose notifications go to the receiver."""
    journal = open_journal(receiver.settings(str(home)), clock)
    yield journal
    journal.close()


def test_the_list_says_how_each_delivery_goes(
    kept: Journal, receiver: Receiver, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newest first: waiting, delivered, given up; for programs as the API says it."""
    operations, outbox = Operations(kept), Outbox(kept)
    receiver.answer = lambda _, to: reply(to, 500)
    notify(operations, "lost")
    for _ in range(MAX_ATTEMPTS):
        outbox.deliver_due()
        clock.advance(5000)
    receiver.answer = lambda _, to: reply(to, 204)
    notify(operations, "good")
    outbox.deliver_due()
    notify(operations, "fresh")
    assert main.run(["notification", "list"]) == 0
    header, fresh, good, lost = capsys.readouterr().out.splitlines()
    assert header.split() == ["CREATED", "KIND", "SUBJECT", "ATTEMPTS", "STATUS"]
    assert "waiting until" in fresh
    assert "delivered" in good
    assert "given up" in lost
    assert lost.endswith("The receiver answered 500.")
    assert main.run(["notification", "list", "--status", "gave_up", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["key"], found["attempts"]) == ("lost", MAX_ATTEMPTS)
    assert main.run(["notification", "list", "--limit", "2"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "There are more; --limit shows more than 2."


def test_an_empty_outbox_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words."""
    assert main.run(["notification", "list"]) == 0
    assert capsys.readouterr().out == "There is no notification.\n"

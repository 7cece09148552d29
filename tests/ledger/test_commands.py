"""The commands of the ledger as a person uses them, without a server: in this process, on the files of a home."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from companyos.cli.main import run
from companyos.core.settings import Settings
from companyos.ledger import Journal, open_journal
from tests.ledger.conftest import fill

SIZE = 25
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a home with some records, which commands find."""
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    changed(tmp_path / "home", lambda journal: fill(journal, SIZE, personal={"email": "ana@example.com"}))
    return tmp_path / "home"


@pytest.fixture
def say(home: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Return what runs `companyos ledger …` and gives its exit code, standard output and standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["ledger", *arguments])
        out, error = capsys.readouterr()
        return code, out, error

    return command


def changed(home: Path, change: Callable[[Journal], object]) -> None:
    """Do something to the ledger of a home, as another process would."""
    journal = open_journal(Settings(home=str(home)))
    change(journal)
    journal.close()


def sql(home: Path, *statements: str) -> None:
    """Do something to the tables behind the ledger's back."""

    def change(journal: Journal) -> None:
        with journal.database.write() as connection:
            for statement in statements:
                connection.execute(text(statement))

    changed(home, change)


def test_tail_shows_the_newest_records_oldest_first(say: Say) -> None:
    """`tail` ends with the newest record, `-n` says how many, and options choose which."""
    code, out, _ = say("tail", "-n", "3", "--json")
    assert code == 0
    assert [record["index"] for record in json.loads(out)] == [22, 23, 24]
    code, out, _ = say("tail", "-n", "3")
    assert [line.split()[0] for line in out.splitlines()] == ["index", "22", "23", "24"]
    code, out, _ = say("tail", "--service", "svc-7", "--json")
    assert [record["index"] for record in json.loads(out)] == [7]
    code, out, _ = say("tail", "--actor", "user:nobody")
    assert (code, out) == (0, "No records match.\n")


def test_tail_follows_what_other_processes_record(home: Path) -> None:
    """`tail --follow` goes on with each new record that matches, whoever wrote it, until it is interrupted."""
    command = [
        sys.executable,
        "-m",
        "companyos",
        "ledger",
        "tail",
        "-n",
        "2",
        "--follow",
        "--json",
        "--verb",
        "service.create",
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        seen = [json.loads(child.stdout.readline())["index"] for _ in range(2)]
        changed(home, lambda journal: fill(journal, 1, verb="service.other"))
        changed(home, lambda journal: fill(journal, 2))
        seen += [json.loads(child.stdout.readline())["index"] for _ in range(2)]
        assert seen == [SIZE - 2, SIZE - 1, SIZE + 1, SIZE + 2]
        changed(home, lambda journal: fill(journal, 1100))
        more = [json.loads(child.stdout.readline())["index"] for _ in range(1100)]
        assert more == list(range(SIZE + 3, SIZE + 1103)), "three pages at once come whole and in order"
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=30) == 130
    finally:
        child.kill()
        child.communicate()


def test_tail_asks_for_more_pages_than_one(say: Say, home: Path) -> None:
    """More records than a page holds come from several pages."""
    changed(home, lambda journal: fill(journal, 600))
    code, out, _ = say("tail", "-n", "620", "--json")
    assert code == 0
    assert [record["index"] for record in json.loads(out)] == list(range(5, 625))


def test_show_gives_one_record(say: Say) -> None:
    """`show` takes an index or an id, and says how the record is signed."""
    code, out, _ = say("show", "3", "--json")
    record = json.loads(out)
    assert (code, record["index"], record["ip"]) == (0, 3, "192.0.2.7")
    assert record["signature"]["proof"]["tree_size"] == SIZE
    code, out, _ = say("show", record["id"])
    assert code == 0
    assert "personal.email" in out
    assert "ana@example.com" in out
    assert f"checkpoint of {SIZE} records" in out


def test_prove_and_check(say: Say, tmp_path: Path) -> None:
    """What `prove --json` prints is checked by `check` without a platform, and no changed file is."""
    code, out, _ = say("prove", "3", "--json")
    assert code == 0
    file = tmp_path / "proof.json"
    file.write_text(out)
    key = json.loads(out)["public_key"]["verifier_key"]
    code, said, _ = say("check", str(file), "--json")
    assert (code, json.loads(said)["index"]) == (0, 3)
    code, said, _ = say("check", str(file))
    assert key in said
    assert "compare it" in said
    code, said, _ = say("check", str(file), "--key", key)
    assert (code, "compare it" in said) == (0, False)
    file.write_text(out.replace('"user:ana"', '"user:eve"'))
    code, said, error = say("check", str(file))
    assert (code, said) == (1, "")
    assert "does not lead to the root" in error


def test_prove_for_people_prints_every_part(say: Say) -> None:
    """Without `--json` the record, the proof, the checkpoint and the key are printed."""
    code, out, _ = say("prove", "3")
    assert code == 0
    parts = ("canonical JSON", '"actor":"user:ana"', "Inclusion proof", "Checkpoint", "— companyos.local", "Verifier")
    for part in parts:
        assert part in out


@pytest.mark.parametrize("content", ["", "garbage", "{}", "[1]", "\x00" * 10])
def test_check_of_something_else_is_bad_input(say: Say, tmp_path: Path, content: str) -> None:
    """A file that is neither proof nor export, or is not there, ends with exit code 2."""
    file = tmp_path / "file"
    file.write_text(content)
    assert say("check", str(file))[0] == 2
    assert say("check", str(tmp_path / "nothing"))[0] == 2


def test_verify_says_yes_with_zero(say: Say) -> None:
    """A sound ledger verifies with exit code 0; the second time it is also compared with what was seen before."""
    code, out, error = say("verify", "--json")
    report = json.loads(out)
    assert (code, error) == (0, "")
    assert (report["ok"], report["size"], report["checked"], report["first_bad_index"]) == (True, SIZE, SIZE, None)
    code, out, _ = say("verify")
    assert code == 0
    assert f"All {SIZE} records are as they were signed." in out
    assert f"extends the older checkpoint of {SIZE} records" in out


def test_verify_names_the_first_bad_index_with_one(say: Say, home: Path) -> None:
    """A changed record ends with exit code 1 and its index, for people and as JSON."""
    sql(home, "UPDATE ledger_entries SET body = replace(body, 'ana', 'eve') WHERE idx IN (13, 20)")
    code, out, _ = say("verify", "--json")
    assert (code, json.loads(out)["first_bad_index"]) == (1, 13)
    code, out, _ = say("verify")
    assert code == 1
    assert "First bad index: 13" in out


def test_verify_since_finds_a_rewritten_history(say: Say, home: Path, tmp_path: Path) -> None:
    """A checkpoint that was kept elsewhere convicts a ledger that was written anew; no other file is taken for one."""
    code, out, _ = say("checkpoint")
    assert code == 0
    file = tmp_path / "old.checkpoint"
    file.write_text(out)
    assert say("verify", "--since", str(file))[0] == 0
    sql(home, *(f"DELETE FROM ledger_{table}" for table in ("entries", "personal", "tiles", "head")))
    changed(home, lambda journal: fill(journal, SIZE + 5))
    for pin in (home / "checkpoints").iterdir():
        pin.unlink()
    assert say("verify")[0] == 0
    for pin in (home / "checkpoints").iterdir():
        pin.unlink()
    code, out, _ = say("verify", "--since", str(file), "--json")
    assert (code, json.loads(out)["fault"]["kind"]) == (1, "history")
    file.write_text("nonsense")
    assert say("verify", "--since", str(file))[0] == 2
    assert say("verify", "--since", str(tmp_path / "nothing"))[0] == 2
    assert say("verify", "--since", str(tmp_path))[0] == 2


def test_verify_since_a_checkpoint_of_somebody_else_is_no(say: Say, tmp_path: Path) -> None:
    """A checkpoint that this ledger never signed proves nothing about it."""
    from companyos.core.signing import LocalSigner
    from companyos.ledger.checkpoint import Checkpoint, sign

    file = tmp_path / "forged.checkpoint"
    file.write_text(sign(Checkpoint("companyos.local/ledger", 3, bytes(32)), LocalSigner.generate("ed25519")))
    code, out, error = say("verify", "--since", str(file))
    assert (code, out) == (1, "")
    assert "not signed by a key of this ledger" in error


def test_export_goes_to_a_file_or_to_standard_output(say: Say, tmp_path: Path) -> None:
    """`export --to` writes a file that only its owner reads; without it lines come out, with `--json` one document."""
    file = tmp_path / "ledger.ndjson"
    code, out, _ = say("export", "--to", str(file), "--json")
    assert code == 0
    assert json.loads(out) == {"file": str(file), "records": SIZE, "bytes": file.stat().st_size}
    assert file.stat().st_mode & 0o077 == 0
    code, out, _ = say("check", str(file))
    assert (code, f"All {SIZE} records" in out) == (0, True)
    code, out, _ = say("export")
    assert (code, out) == (0, file.read_text())
    code, out, _ = say("export", "--json")
    document = json.loads(out)
    assert [record["index"] for record in document["records"]] == list(range(SIZE))
    assert document["header"]["size"] == SIZE
    assert say("export", "--to", str(tmp_path / "no" / "such" / "folder"))[0] == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "ledger.ndjson"]


def test_erase_takes_a_reason(say: Say) -> None:
    """A value is erased with a reason, and not without one; the ledger still verifies."""
    record = json.loads(say("show", "3", "--json")[1])
    assert say("erase", record["id"], "email")[0] == 2
    code, out, _ = say("erase", record["id"], "email", "--reason", "asked by the person")
    assert code == 0
    assert "is erased" in out
    assert say("erase", record["id"], "email", "--reason", "again")[0] == 1
    after = json.loads(say("show", "3", "--json")[1])
    assert (after["personal"], after["erased"]) == ({"email": None}, ["email"])
    assert say("verify")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "999"), 1),
        (("show", "nonsense"), 2),
        (("show", "../../status"), 1),
        (("prove", "999"), 1),
        (("tail", "-n", "0"), 2),
        (("tail", "--decision", "maybe"), 2),
        (("tail", "--target", "\x1b[2J"), 2),
        (("nothing",), 2),
    ],
)
def test_what_is_not_there_or_makes_no_sense(say: Say, arguments: tuple[str, ...], code: int) -> None:
    """The answer no is exit code 1 and bad input 2, each with one sentence and nothing on standard output."""
    found, out, error = say(*arguments)
    assert (found, out) == (code, "")
    assert error.startswith("Error: ")
    found, out, error = say(*arguments, "--json")
    assert (found, out) == (code, "")
    assert json.loads(error)["detail"]


def test_hostile_text_never_reaches_the_terminal(say: Say, home: Path) -> None:
    """Control characters in the details of a record are printed as escapes."""
    hostile: dict[str, Any] = {"reason": "\x1b[2J\u202e"}
    changed(home, lambda journal: fill(journal, 1, details=hostile))
    for command in ("show", "prove"):
        _, out, _ = say(command, str(SIZE))
        assert "\x1b" not in out
        assert "\u202e" not in out


def test_without_roles_nothing_is_shown_and_the_denial_is_recorded(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person without roles at this machine gets no record, and the attempt is one."""
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "")
    for arguments in (("tail",), ("show", "1"), ("prove", "1"), ("verify",), ("export",), ("checkpoint",)):
        code, out, error = say(*arguments)
        assert (code, out) == (1, "")
        assert "may not ledger." in error
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "admin")
    _, out, _ = say("tail", "-n", "100", "--decision", "deny", "--json")
    assert {record["verb"] for record in json.loads(out)} == {"ledger.read", "ledger.verify", "ledger.export"}

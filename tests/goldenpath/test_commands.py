from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from companyos.core.documents import parse_yaml_documents
from tests.goldenpath.scaffolding import Said, git, run_new
from tests.needs import ROOT


def answers_of(folder: Path) -> dict[str, object]:
    """The answers that a service was made from."""
    (record,) = parse_yaml_documents((folder / ".companyos-answers.yml").read_bytes(), where="answers")
    assert isinstance(record, dict)
    answers = record["answers"]
    assert isinstance(answers, dict)
    return dict(answers)


def test_a_service_in_one_command(tmp_path: Path) -> None:
    """What a newcomer types, and what they are told."""
    said = run_new("api-python", "orders", "--into", str(tmp_path))
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Created {tmp_path.resolve() / 'orders'} from api-python ")
    assert "make setup test" in said.out
    assert "Nobody owns it yet" in said.out
    assert git(tmp_path / "orders", "status", "--porcelain") == ""


def test_json_is_one_document(tmp_path: Path) -> None:
    """For programs: where it is, what made it, and the commit."""
    said = run_new(
        "api-python", "orders", "--into", str(tmp_path), "--answer", "owner=team-a", "--answer", "port=9000", "--json"
    )
    made = said.document
    assert (made["path"], made["template"]) == (str(tmp_path.resolve() / "orders"), "api-python")
    assert (made["answers"]["owner"], made["answers"]["port"]) == ("team-a", 9000)
    assert made["git"]["commit"] == git(tmp_path / "orders", "rev-parse", "HEAD")
    assert answers_of(tmp_path / "orders") == {"name": "orders", **made["answers"]}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("api-python", "Orders"), 2, "A service cannot be called 'Orders'."),
        (("api-python", "../orders"), 2, "A service cannot be called '../orders'."),
        (("api-cobol", "orders"), 1, "There is no template 'api-cobol'."),
        (("api-python", "orders", "--answer", "port"), 2, "--answer 'port' has no =."),
        (("api-python", "orders", "--answer", "port=1", "--answer", "port=2"), 2, "answers port again"),
        (("api-python", "orders", "--answer", "prot=1"), 2, "does not ask for 'prot'"),
        (("api-python", "orders", "--answer", "tier=golden"), 2, "tier cannot be 'golden'."),
        (("api-python", "orders", "--into", "/no/such/folder"), 2, "does not exist"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_next_step(
    tmp_path: Path, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """The exit code tells a bad input from a no, and nothing is made."""
    said = run_new(*words, *(() if "--into" in words else ("--into", str(tmp_path))))
    assert said.code == code
    assert sentence in said.err
    assert "Next: " in said.err
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    """Also without --defaults: a pipeline never waits for somebody."""
    assert run_new("api-python", "orders", "--into", str(tmp_path)).code == 0
    assert answers_of(tmp_path / "orders")["tier"] == "standard"


def on_a_terminal(typed: str, *words: str) -> Said:
    """Run ``new`` on a terminal on which somebody types."""
    theirs, ours = pty.openpty()
    try:
        os.write(theirs, typed.encode())
        with subprocess.Popen(
            [sys.executable, "-m", "tests.goldenpath.scaffolding", *words],
            cwd=ROOT,
            stdin=ours,
            stdout=ours,
            stderr=ours,
        ) as process:
            os.close(ours)
            shown = b""
            try:
                while part := os.read(theirs, 65_536):
                    shown += part
            except OSError:  # Linux says so when the other side is gone.
                pass
            return Said(process.wait(timeout=30), shown.decode(), "")
    finally:
        os.close(theirs)


def test_on_a_terminal_each_question_is_asked_until_it_is_answered(tmp_path: Path) -> None:
    """Enter takes the default, a wrong answer is explained and asked again, a given one is not asked."""
    typed = "Takes orders.\nBad Team\nteam-a\n\ngolden\ncritical\n+1d\n"
    said = on_a_terminal(typed, "api-python", "orders", "--into", str(tmp_path), "--answer", "port=9000")
    assert said.code == 0, said.out
    assert "flag_expires [20" in said.out
    assert "owner cannot be 'Bad Team'. Give up to 63 lower-case letters" in said.out
    assert "tier cannot be 'golden'. Give one of critical, standard, experimental" in said.out
    answers = answers_of(tmp_path / "orders")
    assert str(answers.pop("flag_expires")).startswith("20")
    assert answers == {
        "name": "orders",
        "description": "Takes orders.",
        "owner": "team-a",
        "domain": "general",
        "tier": "critical",
        "port": 9000,
    }


def test_with_defaults_nothing_is_asked_on_a_terminal_either(tmp_path: Path) -> None:
    """--defaults means it."""
    said = on_a_terminal("", "api-python", "orders", "--into", str(tmp_path), "--defaults")
    assert said.code == 0
    assert "Enter takes" not in said.out

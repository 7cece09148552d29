"""What holds for every command there is, found by walking the tree of commands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from companyos.cli import main
from companyos.core import access

STAYING = {("up",), ("serve",), ("demo",)}
"""Commands that run until they are ended; they have stories of their own."""

OFFLINE = {("ledger", "check"), ("new",)} | {
    ("policy", name) for name in ("new", "lint", "test", "build", "verify", "diff")
}
"""Commands that work on the person's own files and ask no platform, so that there is nothing to be denied."""

OPEN = {("policy", "keys")}
"""Commands that print what anybody may have."""

NAMED = {"bundle": "companyos/documents", "digest": f"sha256:{'0' * 64}"}
"""Values of arguments that have a form of their own."""

MANIFEST = """\
apiVersion: companyos.dev/v1
kind: Service
metadata:
  name: checkout
spec:
  owner: payments
"""
IDENTIFIER = "018f0000-0000-7000-8000-000000000000"


@cache
def leaves() -> tuple[tuple[tuple[str, ...], Any], ...]:
    """Every command with the words that lead to it."""

    def below(group: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, (*words, name))
            else:
                yield (*words, name), command

    return tuple(below(typer.main.get_command(main.app), ()))


def arguments_of(command: Any, folder: Path) -> list[str]:
    """Plausible values for everything that a command demands."""
    given: list[str] = []
    for param in command.params:
        if not param.required:
            continue
        value = sample(param.name, param.type_descriptor.annotation, folder)
        given += [value] if param.param_type_name == "argument" else [param.opts[0], value]
    return given


def commit(folder: Path) -> None:
    """Make the folder a repository with one commit, for commands that read it before they ask the platform."""
    (folder / "companyos.yaml").write_text(MANIFEST)
    (folder / "requirements.lock").write_text("")
    (folder / ".gitignore").write_text("*\n")
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@localhost")
    for words in (
        ("init", "--quiet"),
        ("add", "--force", "companyos.yaml", "requirements.lock"),
        (*identity, "commit", "--quiet", "--message", "One"),
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)


def sample(name: str, annotation: Any, folder: Path) -> str:
    """A value of the right kind."""
    if name == "policy":
        path = folder / "policy.yaml"
        path.write_text("hold_s: 60\n")
        return str(path)
    if annotation is int or annotation is float:
        return "1"
    if annotation is Path or "path" in name or "file" in name:
        path = folder / "companyos.yaml"
        path.write_text(MANIFEST)
        return str(path)
    if choices := get_args(annotation):
        return str(choices[0])
    if name in NAMED:
        return NAMED[name]
    return IDENTIFIER if name == "release" or "id" in name.split("_") else "checkout"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of its own with a home that does not exist yet; what the commands bind is unbound again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))
    for name in ("COMPANYOS_URL", "COMPANYOS_TOKEN", "COMPANYOS_DATABASE_URL", "COMPANYOS_LOCAL_ROLES"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    access.bind(access.DenyAll())


def test_tree_holds_what_was_promised() -> None:
    """The commands of the platform and one group for each pillar are there."""
    found = {words for words, _ in leaves()}
    assert {("up",), ("down",), ("demo",), ("status",), ("serve",), ("doctor",), ("db", "upgrade")} <= found
    assert {("policy", name) for name in ("list", "keys", "renew", "rollback")} <= found
    assert {("policy", "log", name) for name in ("verify", "erase")} <= found
    assert {words[0] for words in found if len(words) > 1} == {
        "db",
        "identity",
        "ledger",
        "notification",
        "policy",
        "release",
        "service",
        "token",
        "tower",
    }


def test_every_command_says_what_it_does_and_takes_json() -> None:
    """Each has a help text and the option; so has each option."""
    for words, command in leaves():
        assert command.help, words
        assert any("--json" in param.opts for param in command.params), words
        for param in command.params:
            assert param.help or param.param_type_name == "argument", (words, param.name)


def test_person_without_roles_is_denied_everywhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no local roles every command ends with 1 and a denial, and writes nothing to standard output."""
    assert main.run(["db", "upgrade"]) == 0
    capsys.readouterr()
    commit(folder)
    monkeypatch.setenv("COMPANYOS_LOCAL_ROLES", "")
    for words, command in leaves():
        if words in OFFLINE | OPEN:
            continue
        code = main.run([*words, *arguments_of(command, folder), "--json"])
        out, err = capsys.readouterr()
        assert (code, out) == (1, ""), (words, code, out, err)
        assert json.loads(err[err.index("{") :])["type"].endswith("/denied"), (words, err)


def test_standard_output_is_json_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json standard output is one document, or empty when a problem object is on standard error."""
    for words, command in leaves():
        if words in STAYING:
            continue
        code = main.run([*words, *arguments_of(command, folder), "--json"])
        out, err = capsys.readouterr()
        if out:
            json.loads(out)
        else:
            assert code in {1, 2, 3}, (words, err)
            assert json.loads(err[err.index("{") :])["detail"], words
        assert "Traceback" not in err, words
        assert "did not expect" not in err, (words, err)


def test_people_get_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json every command says something, and no control character of a terminal."""
    for words, command in leaves():
        if words in STAYING:
            continue
        main.run([*words, *arguments_of(command, folder)])
        out, err = capsys.readouterr()
        assert out or err, words
        assert "\x1b" not in out + err, words

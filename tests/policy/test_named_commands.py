from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import companyos.policy
import companyos_sdk
from companyos.cli import main

PLACES = [Path(module.__file__ or "").parent for module in (companyos.policy, companyos_sdk)]
PHRASE = re.compile(r"\bcompanyos((?: [^\s`;,]+)+)")
WORD = re.compile(r"[a-z][a-z-]*")
VALUE = "<value>"


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Yield every text of a module with its row; what an f-string fills in is a value."""
    tree = ast.parse(source)
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.lineno, node.value


def fault(words: list[str], command: Any) -> str | None:
    """Return which of the words behind ``companyos`` is no command and no option; None when they all are."""
    for number, word in enumerate(words):
        if not hasattr(command, "commands"):
            known = {"--help"} | {name for param in command.params for name in param.opts}
            return next((bad for bad in map(bare, words[number:]) if bad.startswith("--") and bad not in known), None)
        if bare(word) not in command.commands:
            return bare(word)
        command = command.commands[bare(word)]
    return None


def bare(word: str) -> str:
    """Return a word without what a sentence puts behind it."""
    return word.rstrip(".:)'\"…").partition("=")[0]


def named() -> Iterator[tuple[str, list[str]]]:
    """Yield where a text names a command, and its words."""
    for place in PLACES:
        for file in sorted(place.rglob("*.py")):
            for row, text in texts(file.read_text()):
                for found in PHRASE.finditer(text):
                    words = found[1].split()
                    if "`" in text[: found.start()][-2:] or WORD.fullmatch(bare(words[0])):
                        yield f"{file.relative_to(place.parent)}:{row}", words


def test_texts_name_only_commands_and_options_that_exist() -> None:
    """Whoever is told to run something can run it: sentences, next steps, help texts and docstrings."""
    tree = typer.main.get_command(main.app)
    places = list(named())
    assert len(places) > 20, "the search finds what is there"
    wrong = {place: " ".join(words) for place, words in places if fault(words, tree) is not None}
    assert wrong == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("policy log verify", None),
        ("policy rollback <value> --local", None),
        ("policy test --coverage shows", None),
        ("keys export", "keys"),
        ("policy log check", "check"),
        ("policy promote <value> --force", "--force"),
    ],
)
def test_what_does_not_exist_is_found(words: str, expected: str | None) -> None:
    """The words themselves are told apart, and so are options."""
    assert fault(words.split(), typer.main.get_command(main.app)) == expected

"""What the README tells a newcomer to type does what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from companyos.cli import main
from companyos.core import access
from tests.needs import ROOT


def commands() -> list[list[str]]:
    """The `companyos` commands of the README's first steps, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [line.split()[1:] for line in re.findall(r"^companyos .+$", text, re.MULTILINE)]


@pytest.fixture
def companyos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[list[str]], str]]:
    """Runs a command in the checkout on a new home, where no server runs, and returns what it prints."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COMPANYOS_HOME", str(tmp_path / "home"))

    def run(arguments: list[str]) -> str:
        code = main.run(arguments)
        printed = capsys.readouterr()
        assert (code, printed.err) == (0, ""), f"companyos {' '.join(arguments)}"
        return printed.out

    yield run
    access.bind(access.DenyAll())


def test_the_first_steps_work_in_order(companyos: Callable[[list[str]], str]) -> None:
    """A service is added, a catalog imported, both are listed, and the ledger vouches for each change."""
    steps = {" ".join(arguments[:2]): companyos(arguments) for arguments in commands()}
    assert list(steps) == ["service add", "service import", "service list", "ledger tail", "ledger verify"]
    assert re.search(r"shipping-labels +no owner", steps["service list"])
    assert "service:checkout" in steps["ledger tail"]
    assert "All 4 records are as they were signed." in steps["ledger verify"]


def test_the_example_manifest_is_valid(companyos: Callable[[list[str]], str]) -> None:
    """The manifest that the README links to is one that the catalog takes, with its facts."""
    companyos(["service", "import", "docs/examples/companyos.yaml"])
    shown = companyos(["service", "show", "checkout"])
    manifest = (ROOT / "docs" / "examples" / "companyos.yaml").read_text(encoding="utf-8")
    facts = re.findall(r"^  (description|owner|lifecycle): (.+)$", manifest, re.MULTILINE)
    assert len(facts) == 3
    assert [value for _, value in facts if value not in shown] == []

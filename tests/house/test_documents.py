"""What the documents of the repository say is true, and complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.test_files import tracked
from tests.needs import ROOT
from tools import docs

_LINK = re.compile(r"\[[^\]]*\]\((?!https?://|#|mailto:)([^)#\s]+)[^)]*\)")
_PICTURE = re.compile(r' src(?:set)?="([^"]+)"')
_ADR_SECTIONS = ("Status:", "## Context", "## Decision", "## Consequences", "## Numbers")


def make_targets() -> set[str]:
    """The names of what `make` can do."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def decisions() -> list[Path]:
    """Every ADR but the template, in order."""
    return sorted(path for path in (ROOT / "docs" / "adr").glob("[0-9]*.md") if not path.name.startswith("0000"))


def test_reference_pages_are_made_from_the_code() -> None:
    """Every setting, command and route is documented as it is; `make docs` writes the pages anew."""
    # A process of its own, because making the application binds what decides about access.
    done = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_page_that_is_behind_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The check fails on a page that differs, and writing mends it."""
    monkeypatch.setattr(docs, "DOCS", tmp_path)
    monkeypatch.setattr(docs, "pages", lambda: {"settings.md": docs.settings_page})
    assert docs.main(["--check"]) == 1
    assert docs.main([]) == 0
    assert docs.main(["--check"]) == 0
    page = tmp_path / "settings.md"
    page.write_text(page.read_text(encoding="utf-8").replace("8700", "8701"), encoding="utf-8")
    assert docs.main(["--check"]) == 1


def test_the_two_commands_of_the_readme_exist() -> None:
    """A newcomer types what the README says, so both are targets of the Makefile."""
    commands = re.findall(r"^make ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert commands[:2] == ["up", "test"]
    assert set(commands) <= make_targets()


def test_every_target_says_what_it_does() -> None:
    """`make help` lists all of them."""
    described = re.findall(r"^([a-z-]+):[^#\n]*## \S", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(described) == sorted(make_targets())


@pytest.mark.parametrize("page", [path for path in tracked() if path.suffix == ".md"], ids=str)
def test_links_between_files_lead_somewhere(page: Path) -> None:
    """A link or a picture of a page names a file that exists."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = _LINK.findall(text) + _PICTURE.findall(text)
    assert [target for target in targets if not (ROOT / page.parent / target).exists()] == []


def test_decisions_are_numbered_without_gaps() -> None:
    """A number is given once."""
    numbers = [int(path.name[:4]) for path in decisions()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("decision", decisions(), ids=lambda path: path.name)
def test_a_decision_has_all_its_parts(decision: Path) -> None:
    """Each ADR carries its number and every section of the template, and stands in the index with its title."""
    text = decision.read_text(encoding="utf-8")
    title = text.splitlines()[0].removeprefix(f"# {decision.name[:4]}: ")
    index = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    assert title != text.splitlines()[0]
    assert [section for section in _ADR_SECTIONS if f"\n{section}" not in text] == []
    assert f"| [{decision.name[:4]}]({decision.name}) | {title} |" in index

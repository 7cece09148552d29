"""Folders of policies for tests."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from companyos.policy.authoring import scaffolding
from tests.needs import ROOT

EXAMPLES = ROOT / "policies" / "companyos" / "documents" / "dev" / "1.0.0"
"""The example policies of the repository."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A policy that `policy new` has made."""
    return scaffolding.new(tmp_path / "policies", "finance/invoice-api", "finance", date(2026, 11, 28))


def change(folder: Path, name: str, before: str, after: str) -> None:
    """Replace a piece of a file that is there exactly once."""
    path = folder / name
    text = path.read_text()
    assert text.count(before) == 1, (name, before)
    path.write_text(text.replace(before, after))

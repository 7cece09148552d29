"""The service that the template makes keeps its own rules: style, types and shell, with the tools of the platform."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from companyos.goldenpath.creating import create
from tests.goldenpath.scaffolding import given, working_folder
from tests.needs import needs

LONG = given(description="x" * 200, owner="o" * 63, domain="d" * 63, tier="experimental", port=65535)
CHECKS = (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",))


@needs("checks")
@pytest.mark.parametrize(("name", "answers"), [("orders", {}), ("n" * 39, LONG)], ids=["defaults", "longest"])
def test_style_and_types_are_clean(tmp_path: Path, name: str, answers: dict[str, str]) -> None:
    """Born green: `make lint` finds nothing right after `companyos new`, however long the answers are."""
    create(working_folder(), name, tmp_path, answers)
    for tool, *words in CHECKS:
        done = subprocess.run(
            [sys.executable, "-m", tool, *words],
            cwd=tmp_path / name,
            env={**os.environ, "MYPY_CACHE_DIR": str(tmp_path / "cache"), "RUFF_NO_CACHE": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{tool}: {done.stdout}{done.stderr}"


def test_scripts_are_bash(orders: Path) -> None:
    """Each script can be parsed, and runs from any folder with the errors on."""
    for script in sorted((orders / "scripts").iterdir()):
        text = script.read_text(encoding="utf-8")
        assert text.startswith("#!/usr/bin/env bash\n"), script
        assert '\nset -eu\ncd "$(dirname "$0")/.."\n' in text, script
        subprocess.run(["bash", "-n", str(script)], check=True)

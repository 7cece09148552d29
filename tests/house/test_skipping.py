"""How this project's tests may skip. Each story runs pytest on a small project under the same rules."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import ROOT, needs

CASES = """
import pytest
from tests.needs import needs


def test_plain(): ...


@needs("shared")
def test_needs_shared(): ...


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs("shared"))])
def database(request):
    return request.param


def test_on_each_database(database): ...
"""

LAZY = """
import pytest


def test_lazy():
    pytest.skip("not today")


@pytest.mark.skip("never")
def test_lazier(): ...
"""

LAZIEST = """
import pytest

pytest.importorskip("no_such_module")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout under our rules for skipping, without tests yet and without a folder `shared` beside it."""
    checkout = tmp_path / "checkout"
    (checkout / "tests").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", checkout)
    for name in ("__init__.py", "needs.py", "skipping.py"):
        shutil.copy(ROOT / "tests" / name, checkout / "tests")
    (checkout / "tests" / "conftest.py").write_text('pytest_plugins = ["tests.skipping"]\n', encoding="utf-8")
    return checkout


def run(project: Path, cases: str, *, require_all: str = "") -> tuple[int, str]:
    """The exit code and the output of pytest on these cases."""
    (project / "tests" / "test_cases.py").write_text(cases, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "pytest_timeout"],
        cwd=project,
        env={**os.environ, "REQUIRE_ALL": require_all, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_missing_part_is_left_out_and_named(project: Path) -> None:
    """Without the part the run is green, and its end says what was left out and why."""
    code, output = run(project, CASES)
    assert code == 0
    assert "2 passed, 2 skipped" in output
    assert "2 tests need shared: no folder ../shared beside the checkout." in output


def test_with_the_part_nothing_is_left_out(project: Path) -> None:
    """The probe looks at the machine, not at a switch."""
    (project.parent / "shared").mkdir()
    code, output = run(project, CASES, require_all="1")
    assert code == 0
    assert "4 passed" in output
    assert "left out" not in output


def test_require_all_turns_a_missing_part_into_failures(project: Path) -> None:
    """With REQUIRE_ALL=1 a test whose part is missing fails with the name of the part."""
    code, output = run(project, CASES, require_all="1")
    assert code == 1
    assert "2 passed, 2 errors" in output
    assert "REQUIRE_ALL is set and this test needs shared" in output


@pytest.mark.parametrize("require_all", ["", "1"])
def test_any_other_skip_is_a_failure(project: Path, require_all: str) -> None:
    """`pytest.skip` and its mark are failures everywhere, so that no test fades away unseen."""
    code, output = run(project, LAZY, require_all=require_all)
    assert code == 1
    assert "skipped" not in output.splitlines()[-1]
    assert output.count("A test may skip only through tests.needs.needs()") >= 2


def test_a_module_may_not_skip_itself(project: Path) -> None:
    """`importorskip` would hide a whole file."""
    code, output = run(project, LAZIEST)
    assert code != 0
    assert "A module may skip only through pytestmark = needs(...)" in output


@pytest.mark.parametrize("names", [(), ("docker",), ("node", "nodes")])
def test_an_unknown_need_is_refused(names: tuple[str, ...]) -> None:
    """A typing error must not become a test that never runs."""
    with pytest.raises(
        ValueError, match=r"needs\(\) takes some of checks, chromium, envoy, postgres, node, rego, shared, template"
    ):
        needs(*names)  # type: ignore[arg-type]  # the fault is the point

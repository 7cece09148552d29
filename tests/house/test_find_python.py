"""How set-up finds a Python, on machines made of a few commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import ROOT

_TOOLS = ("grep", "id", "uname")
_BASH = shutil.which("bash") or "bash"
_SHIM = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
_TOO_OLD = "#!/bin/sh\nexit 5\n"
_WITHOUT_ENSUREPIP = "#!/bin/sh\necho 3.12\nexit 4\n"


class Machine:
    """A folder that is the whole PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for tool in _TOOLS:
            (folder / tool).symlink_to(str(shutil.which(tool)))

    def add(self, name: str, script: str) -> Path:
        """A command of that name which runs the script."""
        path = self.folder / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        return path

    def add_python(self, name: str) -> Path:
        """A command of that name which is the Python that runs this test."""
        return self.add(name, f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')

    def find(self, path: str | None = None) -> subprocess.CompletedProcess[str]:
        """What `scripts/find-python` answers here."""
        return subprocess.run(
            [_BASH, str(ROOT / "scripts" / "find-python")],
            env={"PATH": path or str(self.folder), "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine without any Python."""
    return Machine(tmp_path / "bin")


def test_the_newest_supported_version_wins(machine: Machine) -> None:
    """python3.14 comes before python3.11 and before plain python3."""
    machine.add_python("python3")
    machine.add_python("python3.11")
    newest = machine.add_python("python3.14")
    assert machine.find().stdout == f"{newest}\n"


def test_a_shim_that_does_not_run_is_passed_over(machine: Machine, tmp_path: Path) -> None:
    """A name on the PATH proves nothing; the same name in a later folder may be the one that runs."""
    machine.add("python3.13", _SHIM)
    machine.add("python3.11", _SHIM)
    other = Machine(tmp_path / "other")
    real = other.add_python("python3.11")
    assert machine.find(f"{machine.folder}:{other.folder}").stdout == f"{real}\n"


def test_plain_python3_is_enough(machine: Machine) -> None:
    """Many systems have no versioned name."""
    plain = machine.add_python("python3")
    assert machine.find().stdout == f"{plain}\n"


def test_an_old_python_is_passed_over(machine: Machine) -> None:
    """A version that the probe refuses is as good as none."""
    machine.add("python3", _TOO_OLD)
    machine.add("apt-get", _SHIM)
    answer = machine.find()
    assert answer.returncode == 3
    assert "none of them runs here" in answer.stderr


@pytest.mark.parametrize(
    ("installer", "command"),
    [
        ("brew", "brew install python@3.13"),
        ("apt-get", "apt-get install -y python3"),
        ("dnf", "dnf install -y python3.12"),
        ("zypper", "zypper install -y python312"),
        ("pacman", "pacman -S --needed python"),
        ("apk", "apk add python3"),
    ],
)
def test_without_python_the_one_command_is_named(machine: Machine, installer: str, command: str) -> None:
    """Set-up stops with exit code 3, prints nothing to be taken for a path, and says what to type on this system."""
    machine.add(installer, _SHIM)
    answer = machine.find()
    assert (answer.returncode, answer.stdout) == (3, "")
    assert command in answer.stderr


def test_a_missing_ensurepip_is_named_with_its_package(machine: Machine) -> None:
    """Debian ships ensurepip as a package of its own, named after the version."""
    machine.add("python3.12", _WITHOUT_ENSUREPIP)
    machine.add("apt-get", _SHIM)
    answer = machine.find()
    assert answer.returncode == 3
    assert "Python 3.12 is here" in answer.stderr
    assert "apt-get install -y python3.12-venv" in answer.stderr


def test_a_complete_python_wins_over_one_without_ensurepip(machine: Machine) -> None:
    """A newer version that cannot make an environment does not stop an older one that can."""
    machine.add("python3.13", _WITHOUT_ENSUREPIP)
    complete = machine.add_python("python3.11")
    assert machine.find().stdout == f"{complete}\n"


def test_uv_helps_where_no_python_can(machine: Machine) -> None:
    """The tool uv brings a Python of its own, so it is asked last and only when it runs."""
    machine.add("python3.12", _WITHOUT_ENSUREPIP)
    machine.add("uv", "#!/bin/sh\nexit 0\n")
    assert machine.find().stdout == "uv\n"

"""What `make` passes on, seen through `make -n`, which prints the commands and runs none of them."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.needs import ROOT


def commands(*arguments: str, **environment: str) -> str:
    """The commands that `make` would run."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PORT", "HOST"))
    }
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_up_takes_port_and_host() -> None:
    """A busy port is left with `make up PORT=…`, and another machine is let in with `HOST=…`."""
    assert '--port "8701"' in commands("up", "PORT=8701")
    assert '--host "0.0.0.0"' in commands("up", "HOST=0.0.0.0")
    assert '--port "8702"' in commands("up", PORT="8702")


def test_up_passes_nothing_that_was_not_asked_for() -> None:
    """The defaults are the platform's own, so that settings of the environment and the file count."""
    printed = commands("up")
    assert "--port" not in printed
    assert "--host" not in printed


def test_the_name_of_the_machine_is_not_the_address() -> None:
    """Some shells export HOST with the name of the machine; only HOST after `make` is meant for us."""
    assert "--host" not in commands("up", HOST="laptop.local")


@pytest.mark.parametrize("target", ["up", "down"])
def test_state_stays_in_the_checkout_unless_told_otherwise(target: str) -> None:
    """`make up` and `make down` agree on the home."""
    assert 'COMPANYOS_HOME="${COMPANYOS_HOME:-$PWD/.companyos}"' in commands(target)


def test_tests_do_not_see_the_home_of_the_checkout() -> None:
    """A developer's running platform is not what the tests find."""
    assert "COMPANYOS_HOME" not in commands("test")

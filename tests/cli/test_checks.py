from __future__ import annotations

import socket
from pathlib import Path

import pytest

from companyos.cli import checks
from companyos.cli.checks import Machine
from companyos.cli.doctor import exit_code
from companyos.core.database import Database
from companyos.core.home import Home
from companyos.core.schema import upgrade
from companyos.core.settings import Settings

GLIBC = ("glibc", (2, 36))


def settings_of(home: Home, database_url: str = "") -> Settings:
    """The settings of a home."""
    return Settings(home=str(home.path), database_url=database_url)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that exists."""
    return Home(tmp_path / "home").create()


@pytest.mark.parametrize(
    ("version", "outcome"), [((3, 10), "unknown"), ((3, 11), "passed"), ((3, 14), "passed"), ((3, 15), "unknown")]
)
def test_python_that_is_not_tested_is_unknown(version: tuple[int, int], outcome: str) -> None:
    """A newer Python may well work, so it neither passes nor fails."""
    assert checks.python_supported(version).outcome == outcome


@pytest.mark.parametrize(
    ("machine", "outcome"),
    [
        (Machine("Linux", "x86_64", GLIBC, 0), "passed"),
        (Machine("Linux", "aarch64", ("glibc", (2, 34)), 0), "passed"),
        (Machine("Linux", "x86_64", ("glibc", (2, 33)), 0), "unknown"),
        (Machine("Linux", "x86_64", ("", ()), 0), "unknown"),
        (Machine("Linux", "riscv64", GLIBC, 0), "unknown"),
        (Machine("Darwin", "arm64", ("", ()), 15), "passed"),
        (Machine("Darwin", "arm64", ("", ()), 14), "unknown"),
        (Machine("Darwin", "x86_64", ("", ()), 15), "unknown"),
        (Machine("FreeBSD", "amd64", ("", ()), 0), "unknown"),
    ],
)
def test_machine_without_every_build_is_unknown(machine: Machine, outcome: str) -> None:
    """It takes glibc 2.34, macOS 15 on Apple silicon; elsewhere parts may be left out."""
    assert checks.platform_supported(machine).outcome == outcome


def test_home_that_others_can_write_fails(home: Home) -> None:
    """The modes of the home are looked at, and a home that is not there yet is unknown."""
    assert checks.home_private(home).outcome == "passed"
    home.path.chmod(0o770)
    assert checks.home_private(home).outcome == "failed"
    assert checks.home_private(Home(home.path / "absent")).outcome == "unknown"
    (home.path / "file").write_text("")
    assert checks.home_private(Home(home.path / "file")).outcome == "failed"


def test_key_that_others_can_read_fails(home: Home) -> None:
    """One exposed file is enough, and the sentence names it."""
    key = home.keys / "ledger.pem"
    key.write_text("secret")
    key.chmod(0o600)
    assert checks.keys_private(home.keys).outcome == "passed"
    key.chmod(0o640)
    failed = checks.keys_private(home.keys)
    assert failed.outcome == "failed"
    assert str(key) in failed.sentence
    assert checks.keys_private(home.path / "absent").outcome == "unknown"


def test_disk_is_looked_at_where_the_home_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is not there yet is measured at its nearest folder; little room fails."""
    assert checks.disk_free(tmp_path / "not" / "yet").outcome == "passed"
    monkeypatch.setattr(checks, "FREE_BYTES", 2**62)
    assert checks.disk_free(tmp_path).outcome == "failed"


def test_database_without_its_schema_fails(home: Home) -> None:
    """No file is unknown, an empty database fails with the command that helps, a current one passes."""
    settings = settings_of(home)
    assert checks.database_ready(settings).outcome == "unknown"
    database = Database.open(settings.resolved_database_url)
    try:
        with database.write():
            pass
        failed = checks.database_ready(settings)
        assert failed.outcome == "failed"
        assert "companyos db upgrade" in failed.next_step
        upgrade(database)
    finally:
        database.close()
    assert checks.database_ready(settings).outcome == "passed"


def test_busy_port_fails(home: Home) -> None:
    """A port that somebody else holds is named with its holder."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        check = checks.port_usable(home, "127.0.0.1", listener.getsockname()[1])
    assert check.outcome == "failed"
    assert "taken by process" in check.sentence
    assert checks.port_usable(home, "127.0.0.1", 0).outcome == "passed"


def test_home_without_a_keeper_passes(home: Home) -> None:
    """Nothing that runs is nothing that is wrong."""
    assert checks.keeper_well(home).outcome == "passed"


def test_check_that_breaks_is_unknown(home: Home) -> None:
    """A look that fails itself says neither yes nor no, and the others go on."""
    home.keys.rmdir()
    home.keys.symlink_to(home.keys)
    found = {check.name: check for check in checks.all_checks(settings_of(home), "no.such.host.invalid", 1)}
    assert list(found) == [
        "python", "platform", "home", "keys", "disk", "database", "port", "keeper", "native parts",
    ]  # fmt: skip
    assert found["database"].outcome == "unknown"
    assert found["port"].outcome == "failed"


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [(("passed",), 0), (("passed", "unknown"), 3), (("unknown", "failed", "passed"), 1), ((), 3)],
)
def test_failure_weighs_more_than_the_unknown(outcomes: tuple[checks.Outcome, ...], code: int) -> None:
    """Exit 1 when anything failed, 3 when anything is unknown or nothing was looked at, else 0."""
    assert exit_code([checks.Check("x", outcome, "…") for outcome in outcomes]) == code

from pathlib import Path

import pytest

from companyos.core.errors import InvalidInput
from companyos.core.home import Home
from companyos.core.settings import SETTINGS, load


def test_defaults_hold_when_nothing_is_set(tmp_path: Path) -> None:
    """Without a file and without variables, the defaults hold and the database is the home's SQLite file."""
    settings = load(Home(tmp_path), {})
    assert (settings.host, settings.port, settings.local_roles) == ("127.0.0.1", 8700, ("admin",))
    assert settings.resolved_database_url == f"sqlite:///{tmp_path}/companyos.db"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """A variable beats the file, and the file beats the default."""
    (tmp_path / "config.toml").write_text('port = 9000\nlocal_roles = ["viewer"]\nsession_ttl_s = 120\n')
    settings = load(Home(tmp_path), {"COMPANYOS_PORT": "9100", "COMPANYOS_LOCAL_ROLES": "viewer, operator"})
    assert (settings.port, settings.local_roles, settings.session_ttl_s) == (9100, ("viewer", "operator"), 120)


def test_an_empty_list_in_the_environment_means_none(tmp_path: Path) -> None:
    """`COMPANYOS_LOCAL_ROLES=` takes every role away instead of falling back to the default."""
    assert load(Home(tmp_path), {"COMPANYOS_LOCAL_ROLES": ""}).local_roles == ()


@pytest.mark.parametrize(
    ("environment", "file"),
    [
        ({"COMPANYOS_PORT": "70000"}, ""),
        ({"COMPANYOS_PORT": "many"}, ""),
        ({"COMPANYOS_LOG_LEVEL": "loud"}, ""),
        ({}, "port = 'many'"),
        ({}, "no_such_setting = 1"),
        ({}, "port ="),
        ({}, "x = '" + "y" * 70_000 + "'"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, environment: dict[str, str], file: str) -> None:
    """A value out of range, of another type, of another name or in a broken file is refused with a next step."""
    (tmp_path / "config.toml").write_text(file)
    with pytest.raises(InvalidInput) as fault:
        load(Home(tmp_path), environment)
    assert fault.value.next_step


def test_every_setting_has_a_row_in_the_table() -> None:
    """The documented table has one row a setting, each with a variable and a description."""
    assert len({row.environment for row in SETTINGS}) == len(SETTINGS) >= 10
    assert all(row.environment == f"COMPANYOS_{row.name.upper()}" and row.description.endswith(".") for row in SETTINGS)

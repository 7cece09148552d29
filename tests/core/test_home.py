from pathlib import Path

import pytest

from companyos.core.errors import Unavailable
from companyos.core.home import Home, find_home


def test_the_variable_names_the_home(tmp_path: Path) -> None:
    """COMPANYOS_HOME wins, also over a .companyos folder nearby."""
    (tmp_path / ".companyos").mkdir()
    assert find_home({"COMPANYOS_HOME": str(tmp_path / "there")}, start=tmp_path).path == tmp_path / "there"


def test_the_nearest_folder_upward_is_found(tmp_path: Path) -> None:
    """From deep inside a checkout, the nearest .companyos upward is the home."""
    (tmp_path / ".companyos").mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "a" / ".companyos").write_text("a file is no home")
    assert find_home({}, start=deep).path == tmp_path / ".companyos"


def test_without_either_the_user_has_a_state_folder(tmp_path: Path) -> None:
    """Elsewhere the home is a folder of the user's own."""
    found = find_home({"XDG_STATE_HOME": str(tmp_path)}, start=Path("/"))
    assert found.path.name == "companyos"


def test_a_new_home_is_private(tmp_path: Path) -> None:
    """The folders of a new home belong to their owner alone."""
    home = Home(tmp_path / "new").create()
    for folder in (home.path, home.keys, home.run):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    """A file where the folder should be gives one sentence and the next step."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be made") as fault:
        Home(tmp_path / "file" / "home").create()
    assert "COMPANYOS_HOME" in fault.value.next_step

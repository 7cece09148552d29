from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from companyos.core.keeper.place import PATH_LIMIT_BYTES, Place, address, make_address


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Place]:
    """The place of a home whose path is too long for a socket."""
    run = tmp_path / ("deep" * 25) / "run"
    run.mkdir(mode=0o700, parents=True)
    place = Place(run, run)
    yield place
    if (path := address(place)) is not None:
        shutil.rmtree(path.parent)


def test_short_home_holds_its_socket() -> None:
    """Where the path is short enough the socket lies in the run folder, and no pointer is written."""
    with tempfile.TemporaryDirectory(prefix="keeper-", dir="/tmp") as folder:  # pytest's folders may be deep
        place = Place(Path(folder), Path(folder))
        assert make_address(place) == address(place) == Path(folder) / "keeper.sock"
        assert not place.pointer.exists()


def test_deep_home_points_to_a_short_private_folder(deep: Place) -> None:
    """Where it is not, the home records a short path in a folder that only this user can enter, and keeps to it."""
    assert address(deep) is None
    path = make_address(deep)
    assert len(os.fsencode(path)) <= PATH_LIMIT_BYTES
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert make_address(deep) == address(deep) == path


def test_folder_that_others_can_write_is_not_trusted(deep: Place) -> None:
    """A socket in a folder that somebody else could have filled is not used, and a new folder is made."""
    first = make_address(deep)
    first.parent.chmod(0o777)
    assert address(deep) is None
    assert make_address(deep) != first
    first.parent.rmdir()


def test_pointer_to_nowhere_is_no_address(deep: Place) -> None:
    """A pointer to a folder that was cleaned away, or to a relative path, leads nowhere."""
    deep.pointer.write_text("relative/keeper.sock")
    assert address(deep) is None
    deep.pointer.write_text("/nowhere/at/all/keeper.sock")
    assert address(deep) is None

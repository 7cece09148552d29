from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from companyos.core import durable
from companyos.core.errors import IntegrityFault, NotFound, TooLarge, Unavailable
from tests.core.crashing import crash_everywhere


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """A reader that opened the old file keeps it to its end; who opens it next has the new one, and nothing is left."""
    path = tmp_path / "file"
    durable.write(path, b"old")
    with path.open("rb") as reader:
        durable.write(path, b"new", mode=0o640)
        assert reader.read() == b"old"
    assert durable.read(path, limit_bytes=3) == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    """When the rename fails, the target is as before and no partial file stays."""
    (tmp_path / "file" / "below").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        durable.write(tmp_path / "file", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def replace(folder: Path) -> None:
    """What is killed at each of its steps: writing a file, then replacing it."""
    folder.mkdir()
    durable.write(folder / "file", b"old" * 1000)
    durable.write(folder / "file", b"new" * 1000)


def test_killed_anywhere_the_file_is_whole_or_absent(tmp_path: Path) -> None:
    """Killed before any of its file operations, a write leaves the old file or the new one."""
    crashed = [folder for folder in crash_everywhere("tests.core.test_durable:replace", tmp_path) if folder.exists()]
    found = {path.read_bytes()[:3] if (path := folder / "file").exists() else b"" for folder in crashed}
    assert found == {b"", b"old", b"new"}
    for folder in crashed:
        others = {path.name for path in folder.iterdir()} - {"file"}
        assert all(name.startswith(".file.") and name.endswith(durable.PARTIAL_SUFFIX) for name in others)
        if (folder / "file").exists():
            assert (folder / "file").stat().st_size == 3000


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe, a folder or a link is refused at once, without waiting for a writer."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"data")
    (tmp_path / "link").symlink_to("file")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(IntegrityFault, match=f"{name} is not a regular file"):
            durable.read(tmp_path / name, limit_bytes=10)
    with pytest.raises(NotFound, match="none does not exist"):
        durable.read(tmp_path / "none", limit_bytes=10)


def test_reading_has_limits(tmp_path: Path) -> None:
    """A file beyond the limit is too large, and one with a forbidden mode is refused with the command that mends it."""
    path = tmp_path / "file"
    durable.write(path, b"four", mode=0o644)
    assert durable.read(path, limit_bytes=4, forbidden_mode=0o022) == b"four"
    with pytest.raises(TooLarge, match="larger than 3 bytes"):
        durable.read(path, limit_bytes=3)
    with pytest.raises(Unavailable, match="mode 0644") as caught:
        durable.read(path, limit_bytes=4, forbidden_mode=0o077)
    assert caught.value.next_step == f"Run: chmod 600 {path}"

from __future__ import annotations

import os
from pathlib import Path

import pytest

from companyos.core.keeper.logs import open_log, rotate


def test_small_log_is_left_alone(tmp_path: Path) -> None:
    """A log at the limit stays as it is."""
    log = tmp_path / "server.log"
    log.write_bytes(b"x" * 100)
    assert rotate(log, limit_bytes=100) is False
    assert log.read_bytes() == b"x" * 100


def test_writer_goes_on_in_the_emptied_file(tmp_path: Path) -> None:
    """A process that keeps its log open writes to the start after a rotation, and the old lines are kept."""
    log = tmp_path / "server.log"
    descriptor = open_log(log)
    os.write(descriptor, b"old\n" * 30)
    assert rotate(log, limit_bytes=100) is True
    os.write(descriptor, b"new\n")
    os.close(descriptor)
    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "server.log.1").read_bytes() == b"old\n" * 30


def test_oldest_log_is_dropped(tmp_path: Path) -> None:
    """Only the stated number of old logs stays, newest first, all private."""
    log = tmp_path / "server.log"
    for number in range(5):
        log.write_text(f"{number}" * 11)
        rotate(log, limit_bytes=10, kept=2)
    assert {path.name: path.read_text()[0] for path in tmp_path.iterdir() if path.name != "server.log"} == {
        "server.log.1": "4",
        "server.log.2": "3",
    }
    assert (tmp_path / "server.log.1").stat().st_mode & 0o777 == 0o600


def test_missing_log_is_no_fault(tmp_path: Path) -> None:
    """A log that was taken away does not end the keeper."""
    assert rotate(tmp_path / "gone.log") is False


def test_link_in_place_of_a_log_is_refused(tmp_path: Path) -> None:
    """A log that points elsewhere would let another file be written."""
    (tmp_path / "server.log").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic"):
        open_log(tmp_path / "server.log")
    assert not (tmp_path / "precious").exists()

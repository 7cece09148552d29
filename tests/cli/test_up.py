from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from companyos.cli.up import one_at_a_time
from companyos.core.home import Home


def test_one_up_at_a_time(tmp_path: Path) -> None:
    """While one `up` starts things, another one of the same home would wait; afterwards it would not."""
    home = Home(tmp_path / "home").create()
    with one_at_a_time(home):
        other = os.open(home.run / "up.lock", os.O_RDWR)
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(other)
    with one_at_a_time(home):
        assert (home.run / "up.lock").stat().st_mode & 0o777 == 0o600

from __future__ import annotations

import re

import pytest

from companyos.delivery.lockfile import normal_name, read_lock
from tests.goldenpath import pins
from tests.needs import needs


@pytest.mark.parametrize("name", [pins.LOCKS[0], pytest.param(pins.LOCKS[1], marks=needs("checks"))])
def test_a_lock_of_the_template_is_that_of_the_platform(name: str) -> None:
    """Same versions, same hashes, complete: python -m tests.goldenpath.pins writes it anew after `make lock`."""
    assert (pins.FILES / f"{name}.jinja").read_text(encoding="utf-8") == pins.lock_of(name)


@pytest.mark.parametrize("name", pins.LOCKS)
def test_every_line_of_a_lock_has_a_hash(name: str) -> None:
    """The runtime accepts it, and knows every package by version and hash."""
    data = (pins.FILES / f"{name}.jinja").read_bytes()
    lock = read_lock(data, where=name)
    pinned = re.findall(
        rb"^[a-z0-9][^\n]*==[^\n]*\\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", data, re.MULTILINE
    )
    assert len(pinned) == len(lock.pins)
    assert b"".join(pinned) == data.partition(b"\n")[2]


def test_what_is_named_is_locked() -> None:
    """Each line of an .in file is in the lock beside it."""
    for name in pins.LOCKS:
        source = name.replace(".lock", ".in")
        locked = {pin.name for pin in read_lock((pins.FILES / f"{name}.jinja").read_bytes()).pins}
        run = {pin.name for pin in read_lock((pins.FILES / "requirements.lock.jinja").read_bytes()).pins}
        assert {normal_name(each.name) for each in pins.roots(source)} <= locked | run

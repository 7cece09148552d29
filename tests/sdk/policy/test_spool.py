from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.policy.record import LogFull
from companyos_sdk.policy.segments import CLOSED, DAMAGED, OPEN, Files, Folder, framed, scan
from companyos_sdk.policy.spool import Spool
from tests.waiting import until

LINES = [b'{"audit_id":"%d"}' % number for number in range(20)]


def stored(root: Path) -> list[bytes]:
    """All good records on the disk, as somebody else reads them."""
    paths = [path for path in sorted(root.glob("*/*")) if path.suffix in (OPEN, CLOSED)]
    return [line for path in paths for line in scan(path.read_bytes()).lines]


def delivered(spool: Spool) -> list[bytes]:
    """Take everything out of a spool."""
    found: list[bytes] = []
    spool.flush(10)
    while (segment := spool.next_segment(0.3)) is not None:
        found += segment[1]
        spool.delivered(segment[0])
    return found


class Faulty(Files):
    """A disk with so much room; its writes are short when it ends, as those of a real one are."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.broken_sync = False

    def write(self, descriptor: int, data: bytes) -> int:
        """Take what fits."""
        if self.room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = super().write(descriptor, data[: self.room])
        self.room -= taken
        return taken

    def sync(self, descriptor: int) -> None:
        """Fail when told to."""
        if self.broken_sync:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync(descriptor)


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=6), st.data())
def test_every_cut_and_every_changed_byte_is_noticed(lines: list[bytes], data: st.DataObject) -> None:
    """What is cut off or altered is no record, and every other one still is."""
    whole = framed(lines)
    assert scan(whole).lines == tuple(lines)
    cut = data.draw(st.integers(0, len(whole)))
    kept = scan(whole[:cut])
    assert list(kept.lines) == lines[: len(kept.lines)]
    assert len(framed(kept.lines)) + len(kept.bad) == cut
    if whole:
        place = data.draw(st.integers(0, len(whole) - 1))
        changed = whole[:place] + bytes([whole[place] ^ data.draw(st.integers(1, 255))]) + whole[place + 1 :]
        assert set(scan(changed).lines) <= set(lines)
        assert len(scan(changed).lines) < len(lines)


def test_a_record_is_on_the_disk_after_flush(tmp_path: Path) -> None:
    """Another reader sees it; `wait` knows which are under way."""
    spool = Spool(tmp_path)
    for line in LINES:
        spool.record(line)
    assert spool.wait("19", 10)
    assert stored(tmp_path) == LINES
    assert spool.flush(10)
    assert spool.wait("unknown", 0)
    assert spool.status().waiting == 0
    assert spool.close()


def test_segments_are_closed_by_size_and_go_when_they_are_delivered(tmp_path: Path) -> None:
    """In order, all of them, and afterwards nothing is left of them."""
    spool = Spool(tmp_path, segment_bytes=100)
    for line in LINES:
        spool.record(line)
        assert spool.flush(10)
    assert spool.status().segments > 2
    assert delivered(spool) == LINES
    assert spool.status().bytes == 0
    assert spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_put_back_comes_again(tmp_path: Path) -> None:
    """A segment that could not be delivered is first in line."""
    spool = Spool(tmp_path)
    spool.record(LINES[0])
    path, _ = until(lambda: spool.next_segment(1), "a segment")
    spool.record(LINES[1])
    spool.flush(10)
    spool.put_back(path)
    assert delivered(spool) == LINES[:2]
    spool.close()


def test_a_full_spool_takes_nothing_and_says_why(tmp_path: Path) -> None:
    """And takes records again when something was delivered."""
    spool = Spool(tmp_path, max_bytes=100)
    for line in LINES[:3]:
        spool.record(line)
    with pytest.raises(LogFull, match=r"of 100 bytes"):
        spool.record(LINES[3])
    assert spool.status().refused == 1
    assert delivered(spool) == LINES[:3]
    spool.record(LINES[3])
    assert delivered(spool) == LINES[3:4]
    spool.close()


def test_memory_is_bounded_while_the_disk_is_slow(tmp_path: Path) -> None:
    """Records wait in memory only up to a limit."""
    gate = threading.Event()

    class Slow(Files):
        def sync(self, descriptor: int) -> None:
            gate.wait(30)
            super().sync(descriptor)

    spool = Spool(tmp_path, max_queue_bytes=100, files=Slow())

    def fill() -> None:
        for line in LINES * 100:
            spool.record(line)

    with pytest.raises(LogFull, match="too slow"):
        fill()
    gate.set()
    assert spool.flush(10)
    spool.record(LINES[0])
    assert spool.close()


@pytest.mark.parametrize("room", [0, 1, 25, 40, 100])
def test_a_full_disk_refuses_loudly_and_loses_nothing(
    tmp_path: Path, room: int, caplog: pytest.LogCaptureFixture
) -> None:
    """What was taken is written when there is room again, once, whatever part of a write had got through."""
    files = Faulty(room)
    spool = Spool(tmp_path, files=files)
    taken = []
    for line in LINES[:10]:
        spool.record(line)
        taken.append(line)
    until(lambda: spool.status().fault, "the disk is full")
    assert not spool.flush(0.01)
    with pytest.raises(LogFull, match="No space left on device"):
        spool.record(b"{}")
    assert "cannot be written" in caplog.text
    files.room = 1_000_000
    assert spool.flush(10)
    spool.record(LINES[10])
    assert delivered(spool) == [*taken, LINES[10]]
    assert spool.status().damaged_bytes == 0
    spool.close()


def test_a_failed_fsync_is_not_believed_later(tmp_path: Path) -> None:
    """The records are written anew into another file, because the first one may have lost them."""
    files = Faulty(10_000)
    spool = Spool(tmp_path, files=files)
    spool.record(LINES[0])
    assert spool.flush(10)
    files.broken_sync = True
    spool.record(LINES[1])
    until(lambda: spool.status().fault, "the fault")
    files.broken_sync = False
    assert spool.flush(10)
    assert stored(tmp_path) == LINES[:2]
    assert len(list(tmp_path.glob(f"*/*{CLOSED}"))) == 1
    assert delivered(spool) == LINES[:2]
    spool.close()


def test_what_an_ended_process_left_is_taken_over(tmp_path: Path) -> None:
    """Its segments are delivered by the next one, a torn line is cut, set aside and counted, and its folder goes."""
    before = Folder(tmp_path)
    (before.path / f"{1:016d}{CLOSED}").write_bytes(framed(LINES[:2]))
    (before.path / f"{2:016d}{OPEN}").write_bytes(framed(LINES[2:4])[:-3])
    alive = Folder(tmp_path)
    (alive.path / f"{1:016d}{CLOSED}").write_bytes(framed([b"theirs"]))
    before.forget()
    spool = Spool(tmp_path)
    spool.record(LINES[9])
    assert sorted(delivered(spool)) == sorted([*LINES[:3], LINES[9]])
    torn = framed([LINES[3]])[:-3]
    assert spool.status().damaged_bytes == len(torn)
    assert (spool.status().bytes, before.path.exists()) == (len(torn), False)
    assert next(tmp_path.glob(f"*/{DAMAGED}")).read_bytes() == torn
    assert scan((alive.path / f"{1:016d}{CLOSED}").read_bytes()).lines == (b"theirs",)
    alive.forget()
    assert spool.adopt() == 1
    assert delivered(spool) == [b"theirs"]
    spool.close()
    after = Spool(tmp_path)
    assert next(tmp_path.glob("*/*.bin")).read_bytes() == torn
    after.close()


def test_a_damaged_segment_is_set_aside_once(tmp_path: Path) -> None:
    """However often it is tried."""
    before = Folder(tmp_path)
    (before.path / f"{1:016d}{CLOSED}").write_bytes(b"rubbish\n" + framed(LINES[:1]))
    before.forget()
    spool = Spool(tmp_path)
    for _ in range(3):
        path, lines = until(lambda: spool.next_segment(1), "a segment")
        assert lines == (LINES[0],)
        spool.put_back(path)
    assert spool.status().damaged_bytes == len(b"rubbish\n")
    assert delivered(spool) == LINES[:1]
    spool.close()


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    """And closing twice is no matter."""
    spool = Spool(tmp_path)
    spool.record(LINES[0])
    assert spool.close()
    assert spool.close()
    with pytest.raises(LogFull, match="closed"):
        spool.record(LINES[1])
    assert stored(tmp_path) == LINES[:1]


def test_sixteen_threads_lose_nothing(tmp_path: Path) -> None:
    """Each record is on the disk once, while segments are delivered at the same time."""
    spool = Spool(tmp_path, segment_bytes=20_000)
    found: list[bytes] = []
    done = threading.Event()

    def work(number: int) -> None:
        for turn in range(1000):
            spool.record(b"%d-%d" % (number, turn))

    def deliver() -> None:
        while not done.is_set():
            if (segment := spool.next_segment(0.05)) is not None:
                found.extend(segment[1])
                spool.delivered(segment[0])

    threads: list[Any] = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    delivery = threading.Thread(target=deliver)
    for thread in (*threads, delivery):
        thread.start()
    for thread in threads:
        thread.join()
    assert spool.flush(20)
    done.set()
    delivery.join()
    found += delivered(spool)
    assert len(found) == 16_000
    assert len(set(found)) == 16_000
    assert spool.status().bytes == 0
    spool.close()

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec
import pytest

from companyos.core.clock import ManualClock
from companyos.core.errors import Unavailable
from companyos.ledger import Journal
from companyos.policy.log import DecisionLog, Decisions, Limits, segment
from companyos.policy.log.roots import VERB
from companyos.policy.log.writer import FOLDER
from companyos_sdk.policy.record import LogFull
from tests.pillar import records
from tests.policy.log.lines import decision, id_of
from tests.waiting import until


def files(log: DecisionLog) -> list[Path]:
    """Return the segments of the log, oldest first."""
    return sorted(log.folder.glob("*/*.log"))


def test_a_record_is_logged_once_it_is_flushed(log: DecisionLog, decisions: Decisions) -> None:
    """Behind ``flush`` the record is in a file, and found by its id."""
    line = decision()
    assert not log.logged(id_of(line))
    log.record(line)
    log.flush()
    assert log.logged(id_of(line))
    assert decisions.reader.find(id_of(line))[0].reason == "role.bound"
    assert log.waiting == 0


def test_nothing_is_made_before_the_first_record(journal: Journal) -> None:
    """A process that decides nothing leaves no folder, thread or ledger row."""
    unused = DecisionLog(journal)
    unused.close()
    assert not unused.folder.exists()
    assert records(journal) == []


def test_a_closed_segment_is_a_row_of_the_ledger(journal: Journal, log: DecisionLog) -> None:
    """The root of what was written is a row of the ledger: how many, from where to where, and the head of the chain."""
    lines = [decision() for _ in range(3)]
    for line in lines:
        log.record(line)
    log.rotate()
    (row,) = [record for record in records(journal) if record.verb == VERB]
    found = segment.scan(segment.read(files(log)[0]))
    ids = sorted(id_of(line) for line in lines)
    assert row.details["records"] == 3
    assert (row.details["first_id"], row.details["last_id"]) == (ids[0], ids[-1])
    assert row.details["head"] == found.head
    assert row.actor == "system:decisions"


def test_a_closed_log_takes_nothing(log: DecisionLog) -> None:
    """After the end, a record is refused, and not lost silently."""
    log.close()
    with pytest.raises(LogFull, match="closed"):
        log.record(decision())


def test_a_segment_is_closed_by_number(journal: Journal) -> None:
    """A full segment is followed by the next one, which continues its chain."""
    log = DecisionLog(journal, limits=Limits(segment_records=2, batch_records=2))
    for _ in range(5):
        log.record(decision())
        log.flush()
    log.close()
    first, second, third = (segment.scan(segment.read(file)) for file in files(log))
    assert [len(one.lines) for one in (first, second, third)] == [2, 2, 1]
    assert second.header is not None
    assert third.header is not None
    assert (second.header.prev, third.header.prev) == (first.head, second.head)


def test_a_segment_is_closed_by_age(journal: Journal, clock: ManualClock) -> None:
    """A segment with few records gets its ledger row after a while too."""
    log = DecisionLog(journal, limits=Limits(segment_age_s=60))
    log.record(decision())
    log.flush()
    assert records(journal) == []
    clock.advance(61)
    until(lambda: bool(records(journal)), "closing the segment")
    assert records(journal)[-1].verb == VERB
    log.close()


def test_a_stream_is_continued_by_the_next_process(journal: Journal) -> None:
    """Who starts later takes the stream that nobody holds, and its chain goes on behind a closed segment."""
    logs = [DecisionLog(journal), DecisionLog(journal)]
    for log in logs:
        log.record(decision())
        log.rotate()
        log.close()
    first, second = (segment.scan(segment.read(file)) for file in files(logs[0]))
    assert second.header is not None
    assert second.header.prev == first.head
    assert len({file.parent for file in files(logs[0])}) == 1


def test_what_a_short_process_leaves_is_one_segment(journal: Journal, clock: ManualClock) -> None:
    """Ten commands make one row of the ledger, once the segment is old enough, and their records stay findable."""
    lines = [decision() for _ in range(10)]
    log = DecisionLog(journal)
    for line in lines:
        log = DecisionLog(journal)
        log.record(line)
        log.close()
    assert records(journal) == []
    (file,) = files(log)
    assert len(segment.scan(segment.read(file)).lines) == 10
    clock.advance(601)
    log = DecisionLog(journal)
    log.record(decision())
    log.flush()
    until(lambda: bool(records(journal)), "closing the segment")
    log.close()
    (row,) = records(journal)
    assert (row.verb, row.details["records"], row.details["torn_bytes"]) == (VERB, 11, 0)
    assert all(Decisions(journal, log).reader.find(id_of(line)) for line in lines)


def test_two_logs_write_two_streams(journal: Journal, decisions: Decisions) -> None:
    """While one process holds a stream, another one begins its own, and both are read."""
    first, second = DecisionLog(journal), DecisionLog(journal)
    lines = [decision(), decision()]
    for log, line in zip((first, second), lines, strict=True):
        log.record(line)
        log.flush()
    assert len({file.parent for file in files(first)}) == 2
    assert all(decisions.reader.find(id_of(line)) for line in lines)
    first.close()
    second.close()


def test_a_full_queue_says_so(journal: Journal) -> None:
    """A record for which there is no room is refused; those before it are written once the disk takes them."""
    folder = journal.settings.folder.path / FOLDER
    folder.write_text("in the way")
    log = DecisionLog(journal, limits=Limits(queue_records=3, linger_s=0))
    lines = [decision() for _ in range(3)]
    log.record(lines[0])
    until(lambda: log.fault is not None, "noticing that nothing can be written")
    assert log.full
    with pytest.raises(LogFull, match="cannot be written: The folder"):
        log.record(lines[1])
    with pytest.raises(Unavailable, match="The folder"):
        log.flush(0.01)
    folder.unlink()
    until(lambda: log.fault is None, "writing again")
    log.record(lines[2])
    log.flush()
    assert log.logged(id_of(lines[0]))
    assert log.logged(id_of(lines[2]))
    log.close()


def test_the_queue_is_bounded_by_number_and_bytes(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither many small records nor a few large ones can fill the memory."""
    gate = threading.Event()
    monkeypatch.setattr(DecisionLog, "_append", lambda _log, _batch: gate.wait(30))
    few = DecisionLog(journal, limits=Limits(queue_records=2, batch_records=1, linger_s=0))
    few.record(decision())
    until(lambda: len(few._queue) == 0, "taking the first record")  # noqa: SLF001 - nothing else shows it
    few.record(decision())
    few.record(decision())
    with pytest.raises(LogFull, match="2 decisions wait"):
        few.record(decision())
    small = DecisionLog(journal, limits=Limits(queue_bytes=100))
    with pytest.raises(LogFull):
        small.record(decision())
    gate.set()
    few.close()


def test_a_disk_that_takes_half_a_batch_leaves_no_half_record(
    log: DecisionLog, decisions: Decisions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a write that failed halfway the same batch is written behind the last good record, each record once."""
    log.record(decision())
    log.flush()
    write = os.write
    failures = [True, True]

    def half(descriptor: int, data: memoryview) -> int:
        if failures and len(data) > 500:
            failures.pop()
            write(descriptor, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", half)
    line = decision(clearance="x" * 500)
    log.record(line)
    log.flush()
    assert not failures
    assert log.fault is None
    found = segment.scan(segment.read(files(log)[0]))
    assert (len(found.lines), found.torn_bytes) == (2, 0)
    assert len(decisions.reader.find(id_of(line))) == 1


def test_a_line_that_is_no_record_is_kept(log: DecisionLog, decisions: Decisions) -> None:
    """Nothing that was taken is dropped, not even what cannot be read; it is kept as it is, sealed."""
    log.record(b'{"audit_id":"no uuid","at":"now"}')
    log.record(b"\xff not json")
    log.flush()
    found = segment.scan(segment.read(files(log)[0]))
    kept = [decisions.reader.find(msgspec.json.decode(line.text)["audit_id"])[0] for line in found.lines]
    assert [one.kind for one in kept] == ["opaque", "opaque"]
    assert [one.line for one in kept] == ['{"audit_id":"no uuid","at":"now"}', "\ufffd not json"]


def test_many_threads_lose_nothing(log: DecisionLog, decisions: Decisions) -> None:
    """Sixteen threads record at once, and every record is there, in one unbroken chain."""
    lines = [[decision(f"s{number}") for _ in range(200)] for number in range(16)]

    def run(mine: list[bytes]) -> None:
        for line in mine:
            log.record(line)

    threads = [threading.Thread(target=run, args=(mine,)) for mine in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    there = {
        msgspec.json.decode(line.text)["audit_id"]
        for file in files(log)
        for line in segment.scan(segment.read(file)).lines
    }
    assert there == {id_of(line) for mine in lines for line in mine}

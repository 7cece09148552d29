from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from companyos.core.access import Caller
from companyos.core.settings import Settings
from companyos.ledger import Journal, open_journal
from companyos.policy.log import DecisionLog, Decisions, segment
from companyos.policy.log.roots import VERB
from tests.needs import ROOT
from tests.pillar import records
from tests.policy.log.lines import decision, id_of

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def started(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Return a process that runs one of the modules beside this one."""
    command = [sys.executable, "-m", f"tests.policy.log.{module}", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path: Path, admin: Caller, seed: int) -> None:
    """After SIGKILL the verifier names the last good record, and every acknowledged one is there and in order."""
    process = started("crashing", str(tmp_path))
    assert process.stdout is not None
    acknowledged = [process.stdout.readline().strip() for _ in range(40)]
    time.sleep(random.Random(seed).uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    acknowledged += process.stdout.read().split()
    process.wait()
    process.stdout.close()
    journal = open_journal(Settings(home=str(tmp_path)))
    decisions = Decisions(journal)
    report = decisions.verify(admin)
    assert report.ok
    there = [
        json.loads(line.text)["audit_id"]
        for file in sorted(decisions.log.folder.glob("*/*.log"))
        for line in segment.scan(segment.read(file)).lines
    ]
    assert report.last_good == there[-1]
    assert report.records == len(there)
    whole = [one for one in acknowledged if len(one) == 36]
    assert there[: len(whole)] == whole
    go_on(journal, admin, there)
    journal.close()


def go_on(journal: Journal, admin: Caller, there: list[str]) -> None:
    """Start again after a crash: the chain goes on, and the segment gets its row."""
    log = DecisionLog(journal)
    decisions = Decisions(journal, log)
    line = decision()
    log.record(line)
    log.rotate()
    log.close()
    report = decisions.verify(admin)
    assert (report.ok, report.torn_bytes) == (True, 0)
    assert report.records == report.rooted == len(there) + 1
    assert report.last_good == id_of(line)
    assert decisions.reader.find(there[0])
    assert decisions.reader.find(there[-1])


@pytest.mark.parametrize("torn", [b"0", b"0" * 64 + b' {"action"', b"\0" * 5000, b"0" * 64 + b" {}\n"])
def test_a_torn_end_is_cut_off_and_reported(journal: Journal, admin: Caller, torn: bytes) -> None:
    """Whatever is behind the last good record is removed at the next start, and the ledger row says how much it was."""
    first = DecisionLog(journal)
    lines = [decision() for _ in range(3)]
    for line in lines:
        first.record(line)
    first.flush()
    (file,) = first.folder.glob("*/*.log")
    first._appender.release()  # type: ignore[union-attr] # noqa: SLF001 - as if the process had died here
    first._appender = None  # noqa: SLF001 - as above
    with file.open("ab") as open_file:
        open_file.write(torn)
    second = DecisionLog(journal)
    second.record(decision())
    second.close()
    (row,) = [record for record in records(journal) if record.verb == VERB and record.details["number"] == 1]
    assert (row.details["records"], row.details["torn_bytes"], row.details["broken"]) == (3, len(torn), False)
    report = Decisions(journal, second).verify(admin)
    assert (report.ok, report.records) == (True, 4)


def test_a_changed_segment_is_left_as_it_is(journal: Journal, admin: Caller) -> None:
    """A start does not cut off good records behind a bad one: it closes the segment, says it is broken, and goes on."""
    first = DecisionLog(journal)
    for _ in range(5):
        first.record(decision())
    first.flush()
    (file,) = first.folder.glob("*/*.log")
    first._appender.release()  # type: ignore[union-attr] # noqa: SLF001 - as if the process had died here
    first._appender = None  # noqa: SLF001 - as above
    data = bytearray(file.read_bytes())
    data[segment.scan(bytes(data)).lines[1].offset + 70] ^= 1
    file.write_bytes(data)
    second = DecisionLog(journal)
    second.record(decision())
    second.close()
    assert file.read_bytes() == bytes(data)
    (row,) = [record for record in records(journal) if record.verb == VERB and record.details["number"] == 1]
    assert (row.details["records"], row.details["broken"]) == (1, True)
    faults = Decisions(journal, second).verify(admin).faults
    assert [(fault.kind, fault.segment, fault.record) for fault in faults] == [("chain", 1, 1)]


def test_a_full_disk_denies_and_says_so(tmp_path: Path, admin: Caller) -> None:
    """When the disk takes no more, decisions are denials with that reason; with room again, nothing is missing."""
    process = started("full_disk", str(tmp_path), str(400_000))
    output, _ = process.communicate(timeout=60)
    said = json.loads(output)
    assert said["reason"] == "policy.unlogged"
    assert "decision log cannot be written" in said["error"]
    assert "File too large" in said["error"]
    assert said["after"]
    journal = open_journal(Settings(home=str(tmp_path)))
    decisions = Decisions(journal)
    assert decisions.verify(admin).ok
    assert all(decisions.reader.find(audit_id) for audit_id in said["taken"])
    assert not decisions.reader.find(said["audit_id"])
    journal.close()

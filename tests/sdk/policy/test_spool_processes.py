"""The spool in real processes: killed, forked, out of room, side by side."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from companyos_sdk.policy.segments import CLOSED, OPEN, scan
from companyos_sdk.policy.spool import Spool
from tests.waiting import until

WRITER = """
import sys
from pathlib import Path
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.spool import Spool
from tests.sdk.policy.fakes import ALLOW, BUNDLE, REQUEST, Policy

spool = Spool(Path(sys.argv[1]), segment_bytes=20_000)
decider = Decider(Policy(ALLOW), BUNDLE, spool)
while True:
    ids = [decider.decide(REQUEST).audit_id for _ in range(20)]
    if spool.flush():
        print(*ids, sep="\\n", flush=True)  # these count as logged
"""
LIMITED = """
import resource, sys
from pathlib import Path
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.spool import Spool
from tests.sdk.policy.fakes import ALLOW, BUNDLE, REQUEST, Policy

resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
spool = Spool(Path(sys.argv[1]))
decider = Decider(Policy(ALLOW), BUNDLE, spool)
allowed = 0
while (decision := decider.decide(REQUEST)).allow:
    allowed += 1
    spool.flush(0.5)
print(allowed, decision.reason, decision.error, flush=True)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert spool.flush(10) and decider.decide(REQUEST).allow and spool.close()
"""
FULL = """
import errno, os, sys
from pathlib import Path
from companyos_sdk.policy.segments import Files
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.spool import Spool
from tests.sdk.policy.fakes import ALLOW, BUNDLE, REQUEST, Policy

class Full(Files):
    def create(self, path):
        if not os.path.exists("/dev/full"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.open("/dev/full", os.O_WRONLY)

spool = Spool(Path(sys.argv[1]), files=Full())
decider = Decider(Policy(ALLOW), BUNDLE, spool)
decider.decide(REQUEST)
spool.flush(0.5)
decision = decider.decide(REQUEST)
print(decision.allow, decision.reason, decision.error, spool.status().waiting, flush=True)
os._exit(0)
"""
FORKED = """
import os, sys
from pathlib import Path
from companyos_sdk.policy.spool import Spool

spool = Spool(Path(sys.argv[1]))
begun = []
spool.on_begin.append(lambda: begun.append(os.getpid()))
spool.record(b"parent before")
child = os.fork()
if child == 0:
    spool.record(b"child")
    assert spool.flush(10)
    assert begun == [os.getpid()]
    assert spool.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
spool.record(b"parent after")
assert spool.flush(10) and begun == []
"""


@contextmanager
def running(source: str, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of this source."""
    process = subprocess.Popen([sys.executable, "-c", source, str(root)], stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def finished(source: str, root: Path) -> str:
    """What a process of this source says."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", source, str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def everything(root: Path) -> list[bytes]:
    """Take all out of the spool, by a process that comes later."""
    spool = Spool(root)
    found: list[bytes] = []
    while (segment := spool.next_segment(0.3)) is not None:
        found += segment[1]
        spool.delivered(segment[0])
    spool.close()
    return found


@pytest.mark.parametrize("batches", [1, 7, 40])
def test_a_killed_process_loses_nothing_that_counted_as_logged(tmp_path: Path, batches: int) -> None:
    """SIGKILL while it writes: every record that was flushed is there, once, whole and readable."""
    with running(WRITER, tmp_path) as process:
        assert process.stdout is not None
        logged = [process.stdout.readline().strip() for _ in range(20 * batches)]
    found = [msgspec.json.decode(line)["audit_id"] for line in everything(tmp_path)]
    assert set(logged) <= set(found)
    assert len(set(found)) == len(found)


def test_two_processes_in_one_folder_keep_apart(tmp_path: Path) -> None:
    """Neither takes from the other while it lives, and what both wrote is found afterwards."""
    with running(WRITER, tmp_path) as one, running(WRITER, tmp_path) as two:
        assert one.stdout is not None
        assert two.stdout is not None
        logged = [stream.readline().strip() for _ in range(100) for stream in (one.stdout, two.stdout)]
        folders = [path for path in tmp_path.iterdir() if path.is_dir()]
        assert len(folders) == 2
        between = Spool(tmp_path)
        assert between.adopt() == 0
        between.close()
    found = [msgspec.json.decode(line)["audit_id"] for line in everything(tmp_path)]
    assert set(logged) <= set(found)
    assert len(set(found)) == len(found)


def test_a_limit_of_the_system_denies_and_ends_when_the_limit_ends(tmp_path: Path) -> None:
    """A file that may not grow (RLIMIT_FSIZE) is a full disk: decisions deny, say so, and go on later without loss."""
    allowed, reason, error = finished(LIMITED, tmp_path).strip().split(" ", 2)
    assert reason == "policy.unlogged"
    assert "File too large" in error
    paths = [path for path in tmp_path.glob("*/*") if path.suffix in (OPEN, CLOSED)]
    lines = [line for path in paths for line in scan(path.read_bytes()).lines]
    assert len(lines) == int(allowed) + 1
    assert len(set(lines)) == len(lines)


def test_a_device_without_room_denies(tmp_path: Path) -> None:
    """A real ENOSPC where there is such a device; the record that was taken before is kept in memory, not dropped."""
    said = finished(FULL, tmp_path)
    assert said.startswith("False policy.unlogged The decision could not be recorded: LogFull: The spool in ")
    assert said.endswith("No space left on device. 1\n")


def test_a_child_writes_a_spool_of_its_own(tmp_path: Path) -> None:
    """A fork shares neither the records in memory nor the folder, and the child begins with its first record."""
    finished(FORKED, tmp_path)
    assert sorted(everything(tmp_path)) == [b"child", b"parent after", b"parent before"]


def test_a_process_that_ends_has_written_all(tmp_path: Path) -> None:
    """Without a call of close."""
    source = "import sys\nfrom pathlib import Path\nfrom companyos_sdk.policy.spool import Spool\n"
    finished(source + 'spool = Spool(Path(sys.argv[1]))\nspool.record(b"last")\n', tmp_path)
    assert until(lambda: everything(tmp_path), "the record") == [b"last"]

"""What the runtime keeps on disk about releases, also for other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from companyos.core.ids import uuid7
from companyos.delivery.adapters.local.records import Record, Records
from companyos.delivery.section import RunSection
from tests.delivery.running import launch_of

AT = datetime(2026, 1, 1, tzinfo=UTC)


def record(**changes: object) -> Record:
    """Return a record with these changes."""
    usual = Record(launch=launch_of(f"sha256:{'ab' * 32}"), wanted=True, since=AT)
    return msgspec.structs.replace(usual, **changes)


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    """Every field of it."""
    kept = record(run=RunSection(readiness="/r"), port=20_001, pid=12, state="unready", reason="no", drain_s=3.0)
    Records(tmp_path).change(kept.launch.release_id, lambda _: kept)
    assert Records(tmp_path).read(kept.launch.release_id) == kept
    assert list(Records(tmp_path).stamps()) == [kept.launch.release_id]


def test_a_rule_sees_what_is_there_and_may_remove_it(tmp_path: Path) -> None:
    """None is both: nothing there, and let nothing be there."""
    records, kept = Records(tmp_path), record()
    seen: list[Record | None] = []

    def answering(answer: Record | None) -> Callable[[Record | None], Record | None]:
        def rule(old: Record | None) -> Record | None:
            seen.append(old)
            return answer

        return rule

    for answer in (kept, None, None):
        records.change(kept.launch.release_id, answering(answer))
    assert seen == [None, kept, None]
    assert records.stamps() == {}


def test_a_stamp_changes_with_the_record_and_only_then(tmp_path: Path) -> None:
    """This is how other processes see that there is something to read."""
    records, kept = Records(tmp_path), record()
    release_id = kept.launch.release_id
    records.change(release_id, lambda _: kept)
    first = records.stamps()[release_id]
    records.change(release_id, lambda old: old)
    assert records.stamps()[release_id] == first
    records.change(release_id, lambda _: msgspec.structs.replace(kept, wanted=False))
    assert records.stamps()[release_id] != first


def test_changes_at_the_same_time_are_made_one_after_the_other(tmp_path: Path) -> None:
    """None gets lost."""
    kept = record()
    release_id = kept.launch.release_id
    Records(tmp_path).change(release_id, lambda _: kept)

    def count() -> None:
        records = Records(tmp_path)
        for _ in range(25):
            records.change(release_id, lambda old: old and msgspec.structs.replace(old, restarts=old.restarts + 1))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = Records(tmp_path).read(release_id)
    assert found is not None
    assert found.restarts == 100


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[" * 100_000, b"x" * 300_000])
def test_a_damaged_record_is_set_aside(tmp_path: Path, text: bytes) -> None:
    """A person can look at it, and nothing acts on it."""
    path = tmp_path / "releases" / f"{uuid7()}.json"
    path.parent.mkdir()
    path.write_bytes(text)
    assert Records(tmp_path).read(path.stem) is None
    assert not path.exists()
    assert path.with_name(f"{path.name}.unreadable").read_bytes() == text


def test_a_record_of_another_release_is_set_aside(tmp_path: Path) -> None:
    """Its name decides which files and which process are acted on."""
    path = tmp_path / "releases" / f"{uuid7()}.json"
    path.parent.mkdir()
    path.write_bytes(msgspec.json.encode(record()))
    assert Records(tmp_path).read(path.stem) is None
    assert not path.exists()


def test_one_process_acts_until_it_closes(tmp_path: Path) -> None:
    """The next one takes over."""
    first, second = Records(tmp_path), Records(tmp_path)
    assert first.activate()
    assert first.activate()
    assert not second.activate()
    first.close()
    assert second.activate()
    second.close()

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.cli.log import Follower, short


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (
            {
                "timestamp": "2026-11-22T10:31:02.123456Z",
                "level": "INFO",
                "event": "server starting",
                "pid": 7,
                "x": None,
            },
            "10:31:02 INFO  server starting  pid=7",
        ),
        (
            {"time": "2026-11-22T10:31:02Z", "event": "child started", "name": "a b"},
            "10:31:02 INFO  child started  name=a b",
        ),
        ({"level": "error", "message": "broken", "tags": ["a"]}, 'ERROR broken  tags=["a"]'),
        ({}, "INFO"),
    ],
)
def test_json_line_becomes_a_short_one(line: dict[str, object], shown: str) -> None:
    """Time of day, level, event, then the fields that say something."""
    assert short(json.dumps(line)) == shown


@given(st.text(max_size=2000))
def test_any_line_is_shown_somehow(line: str) -> None:
    """A line that is no JSON (a traceback) stays as it is, and nothing is longer than a few rows."""
    assert len(short(line)) <= 300


def test_follower_reads_what_is_added(tmp_path: Path) -> None:
    """Whole lines only, each once; what was there before is left out on request."""
    log = tmp_path / "server.log"
    log.write_text("before\n")
    ending, whole = Follower(log, from_end=True), Follower(log, from_end=False)
    with log.open("a") as file:
        file.write("one\ntw")
    assert ending.new_lines() == ["one"]
    assert whole.new_lines() == ["before", "one"]
    with log.open("a") as file:
        file.write("o\n")
    assert ending.new_lines() == ["two"]
    assert ending.new_lines() == []


def test_follower_goes_on_after_the_log_was_emptied(tmp_path: Path) -> None:
    """A rotation empties the file; the follower starts at its new beginning."""
    log = tmp_path / "server.log"
    log.write_text("x" * 100 + "\n")
    follower = Follower(log, from_end=True)
    os.truncate(log, 0)
    with log.open("a") as file:
        file.write("new\n")
    assert follower.new_lines() == ["new"]


def test_follower_waits_for_a_log_that_is_not_there(tmp_path: Path) -> None:
    """No file means no lines yet."""
    follower = Follower(tmp_path / "server.log", from_end=True)
    assert follower.new_lines() == []
    (tmp_path / "server.log").write_text("first\n")
    assert follower.new_lines() == ["first"]


def test_endless_line_is_cut(tmp_path: Path) -> None:
    """A line without an end does not gather in memory."""
    log = tmp_path / "server.log"
    log.write_text("x" * 20_000)
    follower = Follower(log, from_end=False)
    assert [len(line) for line in follower.new_lines()] == [20_000]
    assert follower.new_lines() == []

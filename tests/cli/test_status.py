from __future__ import annotations

from typing import Any

import pytest

from companyos.cli.status import Part, State, exit_code, of_answer, of_children
from companyos.core.keeper import ChildStatus


@pytest.mark.parametrize(
    ("states", "code"),
    [(("up", "up"), 0), (("up", "down", "unknown"), 1), (("up", "unknown"), 3), ((), 3)],
)
def test_no_answer_is_never_all_up(states: tuple[State, ...], code: int) -> None:
    """Exit 0 only when everything is known to be up."""
    assert exit_code([Part("x", state) for state in states]) == code


@pytest.mark.parametrize(
    ("answer", "states"),
    [
        ({"status": "up", "components": [{"name": "database", "state": "up"}]}, ["up"]),
        (
            {"components": [{"name": "a", "state": "down", "detail": "gone"}, {"name": "b", "state": "odd"}]},
            ["down", "unknown"],
        ),
        ({"components": [3]}, ["unknown"]),
        ({"status": "up"}, ["unknown"]),
        ("<html>", ["unknown"]),
        (None, ["unknown"]),
    ],
)
def test_answer_in_another_shape_is_unknown(answer: Any, states: list[str]) -> None:
    """What cannot be read is not up."""
    assert [part.state for part in of_answer(answer)] == states


def test_child_that_does_not_run_is_down() -> None:
    """Waiting for a restart, stopping and ended are all down, with the reason beside."""
    child = ChildStatus(
        "server", "waiting", None, ("/bin/x",), "/log", 0.0, 3, adopted=False, last_exit="signal SIGKILL"
    )
    (part,) = of_children([child])
    assert part == Part("process server", "down", "waiting, restarted 3 times, last exit: signal SIGKILL")
    assert of_children([child._replace(state="running", pid=7)])[0].state == "up"

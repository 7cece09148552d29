from __future__ import annotations

import json
import logging

from companyos.server.logs import JsonFormatter


def line(**fields: object) -> dict[str, object]:
    """Return what is written for a record with these fields."""
    record = logging.makeLogRecord(
        {"name": "companyos.x", "levelname": "INFO", "msg": "thing %s", "args": ("done",), "created": 0.5, **fields}
    )
    text = JsonFormatter().format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_a_record_is_one_line_with_its_fields() -> None:
    """Time, level, event and whatever was given beside it."""
    assert line(loop="tick", count=3) == {
        "timestamp": "1970-01-01T00:00:00.500000Z",
        "level": "INFO",
        "event": "thing done",
        "logger": "companyos.x",
        "loop": "tick",
        "count": 3,
    }


def test_a_field_named_like_a_secret_is_withheld() -> None:
    """Should somebody log a token by its name, the line does not have it."""
    assert line(token="cos_1_2", cookie="abc")["token"] == "(withheld)"


def test_a_fault_has_its_trace_in_the_same_line() -> None:
    """Lines of a trace are escaped; the type of the fault is a field of its own."""
    try:
        raise ValueError("first\nsecond")
    except ValueError as fault:
        found = line(exc_info=(type(fault), fault, fault.__traceback__))
    assert found["error"] == "ValueError"
    assert "second" in str(found["trace"])


def test_what_json_lacks_is_written_as_text() -> None:
    """A value of any type does not break the log."""
    assert line(thing=object)["thing"] == "<class 'object'>"

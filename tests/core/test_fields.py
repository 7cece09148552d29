from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.documents import decode
from companyos.core.errors import InvalidInput
from companyos.core.fields import Line, Name, Path, Sentence, ServiceName, Text, Url
from companyos.core.ids import NAME, SERVICE_NAME

texts = st.text(max_size=12) | st.from_regex(r"\A[a-zA-Z0-9._\n-]{0,45}\Z")


def fits(value: object, kind: Any) -> bool:
    """Tell whether the value is of the type."""
    try:
        decode(value, kind, where="x")
    except InvalidInput:
        return False
    return True


@given(texts)
def test_names_follow_the_one_rule(text: str) -> None:
    """The types say the same as ``core.ids``, to the last line feed."""
    assert fits(text, ServiceName) == bool(SERVICE_NAME.fullmatch(text))
    assert fits(text, Name) == bool(NAME.fullmatch(text))


@given(st.text(max_size=30))
def test_no_field_takes_a_control_character(text: str) -> None:
    """Lines take none; texts take tabs and line feeds."""
    controls = {character for character in text if character < " " or character == "\x7f"}
    assert fits(text, Line) == (not controls)
    assert fits(text, Text) == (not controls - {"\t", "\n"})


@pytest.mark.parametrize("url", ["https://example.org", "http://10.0.0.1:80/x?y#z"])
def test_links_are_http(url: str) -> None:
    """Both forms, with whatever follows."""
    assert fits(url, Url)


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//example.org", "https://", "https://a b", "https://a\n", "ftp://a"],
)
def test_no_other_link_is_taken(url: str) -> None:
    """A page could show it."""
    assert not fits(url, Url)


@pytest.mark.parametrize(
    ("kind", "value", "sentence"),
    [
        (ServiceName, "Shop", "Expected 2 to 39 characters"),
        (Name, "A", "Expected up to 63 lower-case letters"),
        (Url, "x", "https://"),
        (Line, "a\n", "one line without control characters"),
        (Sentence, "c\0", "one line without control characters"),
        (Path, "b\0", "one line without control characters"),
        (Text, "a\0", "text without control characters"),
    ],
)
def test_a_fault_is_said_in_words(kind: Any, value: str, sentence: str) -> None:
    """Nobody has to read a regular expression."""
    with pytest.raises(InvalidInput, match=sentence) as caught:
        decode(value, kind, where="x")
    assert "regex" not in str(caught.value)

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput
from companyos.policy import asking

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e6, 1e6) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, max_size=5), st.sampled_from([None, 2]))
def test_a_body_means_what_it_says(value: dict[str, Any], indent: int | None) -> None:
    """Written compactly or with spaces, the same object comes back."""
    body = json.dumps(value, indent=indent, separators=None if indent else (",", ":")).encode()
    assert asking.read(body) == value


@given(st.binary(max_size=60))
def test_no_bytes_make_anything_but_a_sentence(body: bytes) -> None:
    """Whatever is sent is an object, or a refusal that says why."""
    said = ""
    value: object = None
    try:
        value = asking.read(body)
    except InvalidInput as fault:
        said = str(fault)
    assert said.endswith(".") if said else isinstance(value, dict)


@given(VALUES, VALUES)
def test_a_key_twice_is_always_refused(first: Any, second: Any) -> None:
    """On neither road does the second one win."""
    one, two = json.dumps(first, separators=(",", ":")), json.dumps(second, separators=(",", ":"))
    with pytest.raises(InvalidInput):
        asking.read(f'{{"a":{one},"a":{two}}}'.encode())


@pytest.mark.parametrize("depth", [asking.MAX_DEPTH - 1, asking.MAX_DEPTH])
def test_the_depth_is_bounded_on_both_roads(depth: int) -> None:
    """An object of the largest depth is read, one that is deeper is refused."""
    body = b'{"a":' + b"[" * depth + b"]" * depth + b"}"
    spaced = body.replace(b":", b": ")
    if depth < asking.MAX_DEPTH:
        assert asking.read(body) == asking.read(spaced)
        return
    for text in (body, spaced):
        with pytest.raises(InvalidInput, match="nested too deeply"):
            asking.read(text)

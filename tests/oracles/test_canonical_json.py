"""Canonical JSON against a JavaScript implementation, because RFC 8785 defines numbers by what JavaScript prints."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companyos.core import canonical
from tests.needs import ORACLES, needs

pytestmark = needs("node")

_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_number = st.one_of(
    st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 5e-324, 1e-7, 1e-6, 1e20, 1e21, 9007199254740993.0, 1.7976931348623157e308]),
)
_value = st.recursive(
    st.none() | st.booleans() | _number | _text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=12,
)


def canonical_in_node(values: list[object]) -> list[str]:
    """The canonical text of each value as the npm package writes it."""
    done = subprocess.run(
        ["node", "canonicalize.mjs"], cwd=ORACLES, input=json.dumps(values), capture_output=True, text=True, check=True
    )
    texts: list[str] = json.loads(done.stdout)
    return texts


# Each example is a batch, because starting node costs more than all its work.
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(_value, min_size=1, max_size=60))
def test_same_bytes_as_javascript(values: list[object]) -> None:
    """Every value gets the text that the JavaScript implementation gives it."""
    assert [canonical.dumps(value).decode() for value in values] == canonical_in_node(values)


@pytest.mark.parametrize("keys", [["\U0001f600", "\ufb33", "\u20ac", "\r", "1", "\u0080"], ["\uffff", "\U00010000"]])
def test_keys_are_ordered_by_utf_16(keys: list[str]) -> None:
    """Keys beyond the basic plane come before U+E000 and later, as UTF-16 code units order them."""
    value = {key: index for index, key in enumerate(keys)}
    assert [canonical.dumps(value).decode()] == canonical_in_node([value])

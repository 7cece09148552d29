"""`uuid.parse`."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.builtins import TABLE
from companyos_sdk.rego.errors import BuiltinError
from companyos_sdk.rego.values import UNDEFINED

FOUR = "00000000-0000-4000-8000-000000000000"


def parse(text: Any) -> Any:
    """What `uuid.parse` gives."""
    return TABLE["uuid.parse"].function(text)


@pytest.mark.parametrize(
    "text", [FOUR, FOUR.replace("-", ""), f"{{{FOUR}}}", f"urn:uuid:{FOUR}", f"URN:UUID:{FOUR}", f"x{FOUR}y"]
)
def test_every_form_that_opa_takes_is_read(text: str) -> None:
    """With and without dashes, braces and `urn:uuid:`."""
    assert parse(text) == {"version": 4, "variant": "RFC4122"}


def test_versions_with_a_time_say_when_and_where_they_were_made() -> None:
    """Versions 1 and 2 hold a time, a node and a sequence."""
    assert parse("000003e8-48b9-21ee-b200-325096b39f47") == {
        "clocksequence": 12_800,
        "domain": "Person",
        "id": 1_000,
        "macvariables": "local:unicast",
        "nodeid": "32-50-96-b3-9f-47",
        "time": 1_693_566_990_121_469_600,
        "variant": "RFC4122",
        "version": 2,
    }
    early = parse("00000000-0000-1000-8000-010000000000")
    assert (early["time"], early["macvariables"]) == (6_227_451_273_709_551_616, "global:multicast")


@pytest.mark.parametrize(
    "text", ["", "x", FOUR[:-1], f"{FOUR} x", f"é{FOUR}", FOUR.replace("0", "g", 1), f"urn:uid::{FOUR}"]
)
def test_what_is_no_uuid_is_undefined(text: str) -> None:
    """As in OPA, and not an error."""
    assert parse(text) is UNDEFINED


@pytest.mark.parametrize("value", [None, 1, [FOUR]])
def test_what_is_no_string_is_an_error(value: Any) -> None:
    """Only strings can be read."""
    with pytest.raises(BuiltinError, match=r"uuid\.parse"):
        parse(value)


@given(st.uuids())
def test_version_and_variant_are_those_of_python(made: uuid.UUID) -> None:
    """Any 128 bits have the version and variant that Python finds."""
    variants = {
        uuid.RFC_4122: "RFC4122",
        uuid.RESERVED_NCS: "Reserved",
        uuid.RESERVED_MICROSOFT: "Microsoft",
        uuid.RESERVED_FUTURE: "Future",
    }
    found = parse(str(made))
    assert (found["version"], found["variant"]) == (made.bytes[6] >> 4, variants[made.variant])

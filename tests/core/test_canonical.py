from __future__ import annotations

import json
import math
import random
import struct
import subprocess
from collections import OrderedDict
from enum import StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from companyos.core import canonical
from companyos.core.errors import InvalidInput, TooLarge
from tests.needs import needs

# RFC 8785, Appendix B: the bits of a double and its text.
APPENDIX_B = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = texts | st.sampled_from(["a", "\u00e9", "\ue000", "\uffff", "\U00010000", "\U0010ffff"])
integers = st.integers(-canonical.MAX_INTEGER, canonical.MAX_INTEGER)
doubles = st.floats(allow_nan=False, allow_infinity=False)
everyday = st.decimals(-1_000_000, 1_000_000, places=3).map(float)
scalars = st.none() | st.booleans() | integers | doubles | everyday | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=15
)


def double(bits: str) -> float:
    """The double whose bits, most significant first, are these hexadecimal digits."""
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B.items())
def test_numbers_of_the_rfc(bits: str, text: str) -> None:
    """Each double of Appendix B is written as the RFC says, and reading the text gives the same double."""
    assert canonical.dumps(double(bits)).decode() == text
    assert canonical.loads(text.encode(), must_be_canonical=True) == double(bits)


def test_the_example_of_the_rfc() -> None:
    """The object of RFC 8785 section 3.2.2 gets the bytes of section 3.2.4."""
    text = (
        r'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        r' "string": "\u20ac$\u000F\u000aA' + "'" + r'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    )
    assert (
        canonical.dumps(canonical.loads(text.encode()))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    """The keys of RFC 8785 section 3.2.3 come in its order, in which an emoji precedes U+FB33."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical.dumps(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


@given(values)
@example({"\ue000": 0, "\U00010000": 0.5, "": []})
@example([1e15, 1e-3, 9.999999999999999e14, 2.0**52 - 0.5, 2.0**53, 0.0009999999999999998, -0.0, 1.0])
def test_same_bytes_as_the_rfc8785_package(value: Any) -> None:
    """Every value gets the bytes that an independent implementation gives it."""
    assert canonical.dumps(value) == rfc8785.dumps(value)


@given(values)
def test_what_is_written_is_canonical_and_reads_back(value: Any) -> None:
    """Reading what was written gives an equal value, also when only canonical input is accepted."""
    data = canonical.dumps(value)
    assert canonical.loads(data) == value
    assert canonical.loads(data, must_be_canonical=True) == value


@given(values)
def test_only_one_text_of_a_value_is_canonical(value: Any) -> None:
    """Another text of the same value is read, and refused where only canonical input is accepted."""
    data = canonical.dumps(value)
    for other in (b" " + data, data + b"\n", json.dumps(value, indent=1).encode()):
        if other == data:
            continue
        assert canonical.loads(other) == value
        with pytest.raises(InvalidInput):
            canonical.loads(other, must_be_canonical=True)


@needs("node")
def test_numbers_as_javascript_prints_them() -> None:
    """Fifty thousand doubles of random bits, and all powers of two and ten, are printed as a JavaScript engine does."""
    chance = random.Random(8785)
    sample = [struct.unpack("<d", chance.randbytes(8))[0] for _ in range(40_000)]
    sample += [chance.random() * 10 ** chance.randint(-9, 23) for _ in range(10_000)]
    sample += [2.0**power for power in range(-1074, 1024)] + [float(f"1e{power}") for power in range(-323, 309)]
    sample = [value for value in sample if math.isfinite(value)]
    script = "process.stdout.write(JSON.parse(require('fs').readFileSync(0)).map(JSON.stringify).join())"
    done = subprocess.run(["node", "-e", script], input=json.dumps(sample).encode(), capture_output=True, check=True)
    assert [canonical.dumps(value) for value in sample] == done.stdout.split(b",")


class Colour(StrEnum):
    """A text that is not of the type str itself."""

    RED = "red"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (math.nan, "$"),
        ([math.inf], "$[0]"),
        ({"a": {"b": [0, -math.inf]}}, "$.a.b[1]"),
        (2**53, "$"),
        ({"a": -(2**53)}, "$.a"),
        ("\ud800", "$"),
        (["ok", {"a": "\udfff"}], "$[1].a"),
        ({"a": {"\udc00": 1}}, '$.a["\\udc00"]'),
        ({"a": {1: 2}}, "$.a"),
        ({None: 1}, "$"),
        ({"a b": b"bytes"}, '$["a b"]'),
        ({"a": {1, 2}}, "$.a"),
        (Colour.RED, "$"),
        ({"a": OrderedDict(b=1)}, "$.a"),
        (True + 0.5j, "$"),
    ],
    ids=repr,
)
def test_what_json_cannot_say_is_refused_by_path(value: object, field: str) -> None:
    """A value that JSON cannot say, or not the same to all readers, is refused with the path of the culprit."""
    with pytest.raises(InvalidInput) as caught:
        canonical.dumps(value)
    assert caught.value.field == field
    assert field in str(caught.value)
    assert caught.value.next_step


def test_nesting_is_bounded() -> None:
    """Exactly the permitted depth is written; one more, an endless list included, is refused."""
    value: list[Any] = []
    for _ in range(canonical.MAX_DEPTH - 1):
        value = [value]
    assert canonical.loads(canonical.dumps(value)) == value
    endless: list[Any] = []
    endless.append(endless)
    for deep in ([value], {"a": value}, endless):
        with pytest.raises(InvalidInput, match="nested too deeply"):
            canonical.dumps(deep)
    with pytest.raises(InvalidInput, match="nested too deeply"):
        canonical.dumps([{}], max_depth=1)


def test_a_message_stays_short_and_printable() -> None:
    """A hostile key of a megabyte or with control characters does not end up in the message."""
    with pytest.raises(InvalidInput) as caught:
        canonical.dumps({"\x1b" + "k" * 1_000_000: {"x" * 1_000_000: math.nan}})
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'["a', "starting at line 1, column 2"),
        (b"1 2", "not JSON"),
        (b"{'a':1}", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"01", "not JSON"),
        (b'"a\nb"', "not JSON"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udfff":1}', "surrogate"),
        (b'{"a":1,"b":{"c":1,"c":1}}', "'c' more than once"),
        (b'{"a":1,"\\u0061":1}', "'a' more than once"),
        (b"NaN", "NaN"),
        (b"[-Infinity]", "-Infinity"),
        (b"1e400", "out of range"),
        (b"9007199254740993", "does not hold exactly"),
        (b"-9007199254740993", "does not hold exactly"),
        (b"100000000000000000001", "does not hold exactly"),
        (b"1" + b"0" * 5000, "does not hold exactly"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "nested too deeply"),
    ],
)
@pytest.mark.parametrize("must_be_canonical", [False, True])
def test_hostile_texts_are_refused(data: bytes, fault: str, must_be_canonical: bool) -> None:
    """A text that is broken, or that two readers may understand differently, is refused and the fault is named."""
    with pytest.raises(InvalidInput, match=fault):
        canonical.loads(data, must_be_canonical=must_be_canonical)


@given(st.binary(max_size=40) | st.text('[]{}",:0123eE+-.nul\\ud8', max_size=40).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Whatever comes in, the answer is a value or InvalidInput; and only what dumps writes passes as canonical."""
    try:
        value = canonical.loads(data, must_be_canonical=True)
    except InvalidInput:
        return
    assert canonical.dumps(value) == data


@pytest.mark.parametrize("data", [b"1.0", b"-0", b"1e2", b'"\\u0041"', b'"\\/"', b'{"b":1,"a":1}', b"[1, 2]", b"1e21"])
def test_other_spellings_are_not_canonical(data: bytes) -> None:
    """Another spelling of a number or a string, or another order, is read but not taken for canonical."""
    canonical.loads(data)
    with pytest.raises(InvalidInput, match="not in canonical form; it first differs at byte"):
        canonical.loads(data, must_be_canonical=True)


def test_a_text_above_the_limit_is_too_large() -> None:
    """Reading stops before parsing when there are more bytes than the limit."""
    assert canonical.loads(b'"four"', max_bytes=6) == "four"
    with pytest.raises(TooLarge, match="7 bytes; the limit is 6"):
        canonical.loads(b'"fours"', max_bytes=6)

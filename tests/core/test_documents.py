import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.canonical import JsonValue
from companyos.core.documents import Limits, decode, parse_json, parse_yaml_documents
from companyos.core.errors import CompanyOSError, InvalidInput, TooLarge

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(-1e6, 1e6)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcd ", max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(json_values)
def test_json_means_the_same_when_read_as_yaml(value: JsonValue) -> None:
    """Both readers return the value that JSON means (escaped surrogate pairs apart, which YAML does not know)."""
    data = json.dumps(value, ensure_ascii=False).encode()
    assert parse_json(data, where="body") == value
    assert parse_yaml_documents(data, where="body") == ([] if value is None else [value])


@given(st.binary(max_size=200) | st.text(alphabet=":-[]{}&*!|>'\"#%@` \n\tab1", max_size=120).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    """Whatever the bytes are, the reader returns values or raises one of our own errors with one line."""
    faults: list[CompanyOSError] = []
    try:
        parse_yaml_documents(data, where="file")
    except CompanyOSError as fault:
        faults.append(fault)
    assert all("\n" not in str(fault) and fault.next_step for fault in faults)


def test_texts_that_look_like_values_stay_what_yaml_1_2_says() -> None:
    """The country code `no`, a date and a version stay texts; numbers and null do not."""
    document = b"a: no\nb: 2026-01-01\nc: 1.2.3\nd: 12\ne: ~\nf: 'true'\ng: true\nh: 0x1f\n"
    assert parse_yaml_documents(document, where="x") == [
        {"a": "no", "b": "2026-01-01", "c": "1.2.3", "d": 12, "e": None, "f": "true", "g": True, "h": 31}
    ]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a: &x 1\nb: *x\n", "line 1 uses an anchor"),
        (b"a: 1\na: 2\n", "line 2 repeats the key 'a'"),
        (b"x: !!python/object/apply:os.system ['true']\n", "line 1 uses the tag"),
        (b"? [1]\n: 2\n", "key that is not a text"),
        (b"1: a\n", "key that is not a text"),
        (b"[" * 60 + b"]" * 60, "nests deeper than 32"),
        (b"a: [1, 2", "is not YAML"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"a: 1e999", "number that is too large"),
    ],
)
def test_what_is_refused_is_named_with_its_line(data: bytes, sentence: str) -> None:
    """Each trick gives one sentence that names the file, the line and the fault."""
    with pytest.raises(InvalidInput, match=sentence) as fault:
        parse_yaml_documents(data, where="companyos.yaml")
    assert str(fault.value).startswith("companyos.yaml")


def test_a_yaml_bomb_is_refused_before_it_grows() -> None:
    """Nested aliases (a billion laughs) end at the first anchor."""
    levels = [b'a0: &a0 "lol"'] + [b"a%d: &a%d [%s]" % (i, i, b",".join([b"*a%d" % (i - 1)] * 9)) for i in range(1, 10)]
    with pytest.raises(InvalidInput, match="anchor"):
        parse_yaml_documents(b"\n".join(levels), where="bomb")


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (b"x" * 101, Limits(bytes=100)),
        (b"[1, 2, 3]", Limits(nodes=3)),
        (b"--- 1\n--- 2\n--- 3\n", Limits(documents=2)),
    ],
)
def test_each_limit_is_kept(data: bytes, limits: Limits) -> None:
    """One more byte, value or document than allowed is TooLarge."""
    with pytest.raises(TooLarge):
        parse_yaml_documents(data, where="x", limits=limits)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a: 1",
        b"{} {}",
        b"nan",
        b"{'a': 1}",
        b"[" * 100_000,
        b'{"a": 1, "a": 2}',
        b"[" * 40 + b"]" * 40,
        b"[Infinity]",
    ],
)
def test_json_is_json_and_nothing_more(data: bytes) -> None:
    """Where JSON is asked for, YAML, several documents and hostile nesting are refused."""
    with pytest.raises(InvalidInput):
        parse_json(data, where="body")


class Point(msgspec.Struct, forbid_unknown_fields=True):
    """Something to decode."""

    x: int
    tags: list[str] = []


@pytest.mark.parametrize(
    ("value", "field"),
    [({"x": "1"}, "x"), ({"x": 1, "tags": ["a", 2]}, "tags[1]"), ({"x": 1, "y": 2}, None), ({}, None)],
)
def test_a_wrong_field_is_named(value: JsonValue, field: str | None) -> None:
    """A value of the wrong type names its field; unknown and missing fields name themselves in the sentence."""
    with pytest.raises(InvalidInput) as fault:
        decode(value, Point, where="point")
    assert fault.value.field == field

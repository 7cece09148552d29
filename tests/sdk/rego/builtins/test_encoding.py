"""Text in base64, hexadecimal and URLs, JSON and YAML."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, quote_plus

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from companyos_sdk.rego.errors import LimitExceeded
from companyos_sdk.rego.values import Set, equal, key
from tests.sdk.rego.builtins.calling import DENIED, REFUSED, Case, call, check, named

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
texts = st.text(st.characters(exclude_categories=["Cs"]))

CASES: list[Case] = [
    ("base64.encode", "héllo", "aMOpbGxv"),
    ("base64.decode", "aMOpbGxv", "héllo"),
    ("base64.decode", "aMOp\nbGxv\r\n", "héllo"),
    ("base64.decode", "YQ=", REFUSED),
    ("base64.decode", "Y Q==", REFUSED),
    ("base64.decode", "/w==", DENIED),
    ("base64.decode", "YQ==YQ==", REFUSED),
    ("base64.decode", "YR==", "a"),
    ("base64.is_valid", "YQ==", True),
    ("base64.is_valid", "YQ", False),
    ("base64.is_valid", 1, False),
    ("base64url.encode", "??>", "Pz8-"),
    ("base64url.encode", "a", "YQ=="),
    ("base64url.encode_no_pad", "a", "YQ"),
    ("base64url.decode", "Pz8-", "??>"),
    ("base64url.decode", "YQ", "a"),
    ("base64url.decode", "YQ==", "a"),
    ("base64url.decode", "Y", REFUSED),
    ("base64url.decode", "Pz8+", REFUSED),
    ("hex.encode", "é", "c3a9"),
    ("hex.decode", "C3a9", "é"),
    ("hex.decode", "c3a", REFUSED),
    ("hex.decode", "c3 a9", REFUSED),
    ("hex.decode", "ff", DENIED),
    ("urlquery.encode", "a b&c=é/~", "a+b%26c%3D%C3%A9%2F~"),
    ("urlquery.decode", "a+b%26c", "a b&c"),
    ("urlquery.decode", "%zz", REFUSED),
    ("urlquery.decode", "%ff", DENIED),
    ("urlquery.encode_object", {"b": "x y", "a": ["1", "2"], "c": Set(["q"])}, "a=1&a=2&b=x+y&c=q"),
    ("urlquery.encode_object", {"a": 1}, REFUSED),
    ("urlquery.encode_object", {"a": [1]}, REFUSED),
    ("urlquery.encode_object", ["a"], REFUSED),
    ("urlquery.decode_object", "a=1&b&a=2&c=%20+", {"a": ["1", "2"], "b": [""], "c": ["  "]}),
    ("urlquery.decode_object", "a=1;b=2", REFUSED),
    ("urlquery.decode_object", "", {}),
    ("json.marshal", {"b": [1, None, True], "a": "x"}, '{"a":"x","b":[1,null,true]}'),
    ("json.marshal", Set([2, "a", 1]), '[1,2,"a"]'),
    ("json.marshal", {key(1): "a", key(True): 2}, '{"1":"a","true":2}'),
    ("json.marshal", "<a&b>\u2028\n\x01é", '"\\u003ca\\u0026b\\u003e\\u2028\\n\\u0001é"'),
    ("json.marshal", 2**70, str(2**70)),
    ("json.marshal", 1.5, "1.5"),
    ("json.marshal", float("nan"), DENIED),
    ("json.marshal_with_options", {"a": [1]}, {}, '{"a":[1]}'),
    ("json.marshal_with_options", {"a": [1]}, {"pretty": True}, '{\n\t"a": [\n\t\t1\n\t]\n}'),
    ("json.marshal_with_options", {"a": {}}, {"indent": "  "}, '{\n  "a": {}\n}'),
    ("json.marshal_with_options", [1, 2], {"prefix": ">"}, ">[\n>\t1,\n>\t2\n>]"),
    ("json.marshal_with_options", [1], {"pretty": False, "indent": "  "}, "[1]"),
    ("json.marshal_with_options", [1], {"pretty": 1}, REFUSED),
    ("json.marshal_with_options", [1], {"other": "x"}, REFUSED),
    ("json.unmarshal", ' {"a": [1, 1.5, "\\u00e9"]} ', {"a": [1, 1.5, "é"]}),
    ("json.unmarshal", '{"a": 1, "a": 2}', {"a": 2}),
    ("json.unmarshal", '"\\ud800"', "\ufffd"),
    ("json.unmarshal", "[1] 2", REFUSED),
    ("json.unmarshal", "{'a': 1}", REFUSED),
    ("json.unmarshal", "NaN", REFUSED),
    ("json.unmarshal", "-Infinity", REFUSED),
    ("json.unmarshal", "1e999", DENIED),
    ("json.unmarshal", "", REFUSED),
    ("json.unmarshal", "123456789012345678901234567890", 123456789012345678901234567890),
    ("json.is_valid", "[1]", True),
    ("json.is_valid", "[1", False),
    ("json.is_valid", "NaN", False),
    ("json.is_valid", 1, False),
    ("yaml.unmarshal", "a: [1, 2.5, x]\nb: {c: null}", {"a": [1, 2.5, "x"], "b": {"c": None}}),
    ("yaml.unmarshal", "- yes\n- off\n- 'yes'\n- ~\n- 2021-01-01", [True, False, "yes", None, "2021-01-01"]),
    ("yaml.unmarshal", "- 010\n- 0x1F\n- 0o17\n- 1_000\n- 1e3", [8, 31, 15, 1000, 1000.0]),
    ("yaml.unmarshal", "1: a\ntrue: b", {"1": "a", "true": "b"}),
    ("yaml.unmarshal", "a: &x {k: 1}\nb: {<<: *x, l: 2}", {"a": {"k": 1}, "b": {"k": 1, "l": 2}}),
    ("yaml.unmarshal", "", None),
    ("yaml.unmarshal", "a: .nan", REFUSED),
    ("yaml.unmarshal", "!!python/object/apply:os.system ['true']", DENIED),
    ("yaml.unmarshal", "a: b: c", REFUSED),
    ("yaml.unmarshal", "[1", REFUSED),
    ("yaml.unmarshal", "? [1]\n: 2", DENIED),
    ("yaml.is_valid", "a: 1", True),
    ("yaml.is_valid", "a: [", False),
    ("yaml.is_valid", None, False),
    ("yaml.marshal", {"b": [1, {"c": "x", "d": []}], "a": {"e": None}}, "a:\n  e: null\nb:\n- 1\n- c: x\n  d: []\n"),
    ("yaml.marshal", ["true", "12", "text"], '- "true"\n- "12"\n- text\n'),
    ("yaml.marshal", "two words", "two words\n"),
    ("yaml.marshal", "a: b", DENIED),
]


@named(CASES)
def test_texts_are_written_and_read_as_opa_does(case: Case) -> None:
    """Texts are written and read as opa does."""
    check(case)


@given(texts)
def test_what_is_encoded_can_be_decoded(text: str) -> None:
    """What is encoded can be decoded."""
    for name in ("base64", "base64url", "hex", "urlquery"):
        assert call(f"{name}.decode", call(f"{name}.encode", text)) == text
    assert call("base64url.decode", call("base64url.encode_no_pad", text)) == text
    assert call("urlquery.encode", text) == quote_plus(text)


@given(st.dictionaries(texts.filter(bool), st.lists(texts, min_size=1, max_size=3), max_size=3))
def test_a_query_holds_what_was_put_in(value: dict[str, list[str]]) -> None:
    """A query holds what was put in."""
    text = call("urlquery.encode_object", value)
    assert call("urlquery.decode_object", text) == value == parse_qs(text, keep_blank_values=True)


@given(documents)
def test_json_is_read_as_it_was_written(value: Any) -> None:
    """Json is read as it was written."""
    text = call("json.marshal", value)
    assert call("json.is_valid", text) is True
    assert equal(call("json.unmarshal", text), json.loads(text))
    assert equal(json.loads(text), value) or "\\ud" in json.dumps(value)
    assert call("json.marshal_with_options", value, {"pretty": False}) == text
    assert equal(json.loads(call("json.marshal_with_options", value, {"indent": " "})), json.loads(text))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 9),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["a", "b", "key"]), inner),
        max_leaves=8,
    )
)
def test_yaml_is_read_as_it_was_written(value: Any) -> None:
    """Yaml is read as it was written."""
    text = call("yaml.marshal", value)
    assert equal(call("yaml.unmarshal", text), value)
    assert equal(yaml.safe_load(text), value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json.unmarshal", "[" * 100_000 + "]" * 100_000),
        ("json.unmarshal", "[" * 300 + "]" * 300),
        ("json.is_valid", '{"a":' * 100_000),
        ("json.unmarshal", "1" * 5000),
        ("json.unmarshal", '"' + "x" * 2_000_001 + '"'),
        ("yaml.unmarshal", "[" * 5000 + "]" * 5000),
        (
            "yaml.unmarshal",
            "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))]),
        ),
        ("yaml.unmarshal", "&a [*a]"),
    ],
)
def test_a_text_that_explodes_is_refused(name: str, text: str) -> None:
    """A text that explodes is refused."""
    with pytest.raises(LimitExceeded):
        call(name, text)


def test_a_value_that_shares_its_parts_is_not_written_without_end() -> None:
    """A value that shares its parts is not written without end."""
    value: Any = "x"
    for _ in range(60):
        value = [value, value]
    for name in ("json.marshal", "yaml.marshal"):
        with pytest.raises(LimitExceeded):
            call(name, value)


def test_half_of_a_surrogate_pair_is_never_encoded() -> None:
    """Half of a surrogate pair is never encoded."""
    for name in ("base64.encode", "hex.encode", "urlquery.encode"):
        check((name, "\ud800", DENIED))

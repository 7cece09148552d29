from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core import canonical
from companyos.core.errors import IntegrityFault, InvalidInput, TooLarge
from companyos.ledger import body
from companyos.ledger.model import Commitment
from tests.ledger.conftest import entry

NOW = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)

printable = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=64)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=body.MAX_DEPTH - 2,
)


@given(
    fields=st.lists(printable, min_size=6, max_size=6),
    details=st.dictionaries(texts, json_values, max_size=4),
    personal=st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.]{0,10}", fullmatch=True), printable, max_size=4),
    obligations=st.lists(printable, max_size=4),
)
def test_whatever_is_sealed_is_canonical(
    fields: list[str], details: dict[str, Any], personal: dict[str, str], obligations: list[str]
) -> None:
    """The bytes of a record are those of RFC 8785, whatever text stands in it, and it reads back as it was."""
    one = entry(
        NOW,
        actor=fields[0],
        target=fields[1],
        policy=fields[2],
        release=fields[3],
        service=fields[4],
        request_id=fields[5],
        details=details,
        personal={name: value for name, value in personal.items() if name not in {"ip", "device"}},
        obligations=tuple(obligations),
    )
    sealed = body.seal(one)
    value = canonical.loads(sealed.body)
    assert canonical.dumps(value) == sealed.body
    assert isinstance(value, dict)
    assert value["details"] == canonical.loads(canonical.dumps(details))
    found = body.read(0, sealed.body)
    assert (found.actor, found.target, found.policy, found.time) == (fields[0], fields[1], fields[2], NOW)
    assert {field.field for field in sealed.personal} == set(body.commitments(found))


def test_the_record_has_all_fields_also_those_without_a_value() -> None:
    """A record always has the same fields, so that its absence says nothing."""
    sealed = body.seal(entry(NOW, ip=None, device=None, service=None, details={}))
    value = canonical.loads(sealed.body)
    assert isinstance(value, dict)
    assert sorted(value) == [
        "actor",
        "decision",
        "details",
        "device",
        "id",
        "ip",
        "obligations",
        "personal",
        "policy",
        "release",
        "request_id",
        "service",
        "target",
        "time",
        "verb",
    ]
    assert (value["ip"], value["device"], value["personal"], value["time"]) == (
        None,
        None,
        {},
        "2026-01-31T12:00:00.000005Z",
    )


def test_personal_values_are_in_the_record_as_commitments_only() -> None:
    """Neither ip, device nor another personal value can be read out of the record, nor guessed from its hash."""
    secrets = {"email": "ana@example.com", "name": "Ana Example"}
    first = body.seal(entry(NOW, personal=secrets, id="00000000-0000-7000-8000-000000000000"))
    second = body.seal(entry(NOW, personal=secrets, id="00000000-0000-7000-8000-000000000000"))
    for text in ("192.0.2.7", "curl", "ana@example.com", "Ana Example"):
        assert text.encode() not in first.body
    assert {value.field: value.value for value in first.personal} == {
        "ip": "192.0.2.7",
        "device": "curl/8.5",
        **secrets,
    }
    assert first.body != second.body, "equal values must not give equal commitments"
    assert all(len(value.salt) == 32 for value in first.personal)
    assert len({value.salt for value in first.personal}) == 4


def test_a_commitment_is_over_framed_name_salt_and_value() -> None:
    """The commitment can be computed again with nothing but SHA-256, and no two readings of it exist."""
    salt = bytes(range(32))
    framed = b"companyos.dev/ledger/personal/v1\n" + b"2:ip" + b"32:" + salt + b"9:192.0.2.7"
    assert body.commitment(b"ip", salt, b"192.0.2.7") == f"sha256:{hashlib.sha256(framed).hexdigest()}"
    moved = {
        body.commitment(b"ip", salt, b"192.0.2.7"),
        body.commitment(b"i", b"p" + salt, b"192.0.2.7"),
        body.commitment(b"ip", salt + b"1", b"92.0.2.7"),
        body.commitment(b"ip", salt[:-1], salt[-1:] + b"192.0.2.7"),
    }
    assert len(moved) == 4


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9))])
def test_times_are_recorded_in_utc(zone: timezone) -> None:
    """The same moment is the same text, wherever it was noted."""
    assert b'"time":"2026-01-31T12:00:00.000005Z"' in body.seal(entry(NOW.astimezone(zone))).body


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", ""),
        ("actor", "a" * 201),
        ("actor", "user:a\nb"),
        ("actor", "user:\u202eana"),
        ("actor", "user:\x00"),
        ("verb", "create"),
        ("verb", "Service.Create"),
        ("verb", "a." + "b" * 64),
        ("target", ""),
        ("target", "t" * 513),
        ("target", "service:\x1b[31m"),
        ("policy", "p\r"),
        ("release", "\x7f"),
        ("request_id", "r" * 129),
        ("service", "s" * 65),
        ("ip", "1" * 65),
        ("ip", ""),
        ("device", "d" * 513),
        ("device", "x\ud800"),
        ("decision", "maybe"),
        ("id", "not-a-uuid"),
        ("id", "00000000-0000-7000-8000-00000000000A"),
        ("time", datetime(2026, 1, 31)),  # noqa: DTZ001 - the naive one is the point
        ("obligations", ("x",) * 33),
        ("obligations", ("",)),
        ("obligations", ("a\tb",)),
        ("personal", {"ip": "192.0.2.8"}),
        ("personal", {"device": "x"}),
        ("personal", {"E-Mail": "x"}),
        ("personal", {"n" * 64: "x"}),
        ("personal", {f"n{number}": "x" for number in range(17)}),
        ("personal", {"email": ""}),
        ("personal", {"email": "a\x00b"}),
        ("personal", {"email": "x" * 4097}),
        ("details", {"a": float("nan")}),
        ("details", {"a": 2**53}),
        ("details", {"a": {1: 2}}),
        ("details", {"a": object()}),
        ("details", {"a": "\ud800"}),
        ("details", {"a": "\x00"}),
        ("details", {"a": [{"b": ["\x00"]}]}),
        ("details", {"\x00": 1}),
    ],
)
def test_what_cannot_be_recorded_is_named(field: str, value: object) -> None:
    """An entry with a field that breaks a limit is refused with the name of that field."""
    with pytest.raises(InvalidInput) as caught:
        body.seal(msgspec.structs.replace(entry(NOW), **{field: value}))
    assert caught.value.field is not None
    assert caught.value.field.split(".")[0] == field


def test_nesting_is_bounded() -> None:
    """Details that nest deeper than the limit are refused, and one level less is taken."""
    deep: dict[str, Any] = {}
    for _ in range(body.MAX_DEPTH - 1):
        deep = {"a": deep}
    body.seal(entry(NOW, details=deep))
    with pytest.raises(InvalidInput, match="nested"):
        body.seal(entry(NOW, details={"a": deep}))


def test_size_is_bounded() -> None:
    """A record of more than 64 KiB is refused, and one just below is taken."""
    size = len(body.seal(entry(NOW, details={"a": ""})).body)
    body.seal(entry(NOW, details={"a": "x" * (body.MAX_BODY_BYTES - size)}))
    with pytest.raises(TooLarge, match="65537"):
        body.seal(entry(NOW, details={"a": "x" * (body.MAX_BODY_BYTES - size + 1)}))


def test_a_backslash_is_no_nul() -> None:
    r"""The six characters of the escape \u0000 are text like any other."""
    sealed = body.seal(entry(NOW, details={"a": "\\u0000"}))
    assert body.read(0, sealed.body).details == {"a": "\\u0000"}


@pytest.mark.parametrize("data", [b"", b"{}", b"garbage", b"\xff", b'{"actor":1}'])
def test_a_broken_record_is_an_integrity_fault_that_names_it(data: bytes) -> None:
    """A stored record that cannot be read is a fault with its index, never an exception of a parser."""
    with pytest.raises(IntegrityFault, match="Record 17 "):
        body.read(17, data)


def test_commitments_are_found_under_their_names() -> None:
    """Reading a record gives the commitments of ip, device and all others in one mapping."""
    found = body.commitments(body.read(0, body.seal(entry(NOW, personal={"email": "a@b"}, device=None)).body))
    assert set(found) == {"ip", "email"}
    assert all(isinstance(one, Commitment) for one in found.values())

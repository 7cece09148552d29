from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput
from companyos.identity.attribute import (
    Attribute,
    Place,
    Scope,
    check_attribute_name,
    check_source,
    check_ttl,
    printable,
    read_value,
    resolve,
    write_value,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPECIFIC = ("subject", "workspace", "org")


def said(scope: Scope, name: str, value: Any, *, age_s: int = 0, ttl: int | None = None) -> Attribute:
    """Something that was said ``age_s`` seconds ago."""
    return Attribute(
        id="x",
        name=name,
        value=value,
        scope=scope,
        **Place(scope, "holder").columns,
        source="user:root",
        ttl=ttl,
        set_at=NOW - timedelta(seconds=age_s),
    )


names = st.sampled_from(["clearance", "jurisdiction", "data_domain"])
statements = st.builds(
    said,
    scope=st.sampled_from(SPECIFIC),
    name=names,
    value=st.integers(0, 5),
    age_s=st.integers(0, 20),
    ttl=st.none() | st.integers(1, 20),
)
everything = st.lists(statements, unique_by=lambda one: (one.scope, one.name), max_size=9)


@given(everything)
def test_the_most_specific_statement_alone_decides(known: list[Attribute]) -> None:
    """Each name has the value of its most specific statement, or is stale with it; never that of another one."""
    found = resolve(known, NOW)
    for name in {one.name for one in known}:
        first = min((one for one in known if one.name == name), key=lambda one: SPECIFIC.index(one.scope))
        if first.ttl is None or (NOW - first.set_at).total_seconds() < first.ttl:
            assert found.values[name] == first.value
            assert name not in found.stale
        else:
            assert name not in found.values
            assert name in found.stale
    assert set(found.values) | found.stale == {one.name for one in known}


def test_an_expired_statement_does_not_fall_back() -> None:
    """That she was cleared until yesterday does not make her what everybody in the org is."""
    found = resolve([said("org", "clearance", "high"), said("subject", "clearance", "low", age_s=10, ttl=10)], NOW)
    assert (found.values, found.stale) == ({}, frozenset({"clearance"}))


def test_an_expired_general_statement_under_a_fresh_one_is_not_stale() -> None:
    """What nobody reads cannot be too old."""
    found = resolve([said("org", "clearance", "high", age_s=9, ttl=1), said("subject", "clearance", "low")], NOW)
    assert (found.values, found.stale) == ({"clearance": "low"}, frozenset())


def test_the_last_second_counts_and_the_next_does_not() -> None:
    """An attribute with a ttl of 10 holds for 10 seconds, the end excluded."""
    assert said("org", "a", 1, age_s=9, ttl=10).is_fresh(NOW)
    assert not said("org", "a", 1, age_s=10, ttl=10).is_fresh(NOW)


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
)


@given(scalars | st.lists(scalars, max_size=8))
def test_values_come_back_as_they_were(value: Any) -> None:
    """What is written is read again, and what is true is not one; the ledger's form is one printable line."""
    found = read_value(write_value(value))
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)
    assert printable(said("subject", "a", value)).isprintable()


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        [[1]],
        [{"a": 1}],
        float("nan"),
        float("inf"),
        2**60,
        "a\0",
        ["\0"],
        "\ud800",
        "x" * 1023,
        ["x"] * 65,
        "\U0001f600" * 300,
        b"x",
        {1},
        NOW,
    ],
)
def test_other_values_are_refused(value: Any) -> None:
    """Objects, nesting, what JSON or PostgreSQL cannot say, and what is too long."""
    with pytest.raises(InvalidInput) as caught:
        write_value(value, field="here")
    assert caught.value.field == "here"


def test_the_longest_value_fits_into_the_ledger() -> None:
    """Written in ASCII, as a personal value is, it stays below the ledger's limit whatever its characters are."""
    for character in ("x", "\u00e4", "\u20ac", "\U0001f600", "\x01"):
        size = len(json.dumps(character, ensure_ascii=False)) - 2 if character < " " else len(character.encode())
        value = character * (1022 // size)
        write_value(value)
        assert len(printable(said("subject", "a", value))) <= 4096


@pytest.mark.parametrize("name", ["", "A", "1a", "a b", "a\n", "a/b", "ä", "a" * 65, "_a", "a\0"])
def test_bad_names_are_refused(name: str) -> None:
    """A name is safe in a policy, in a path and on a terminal."""
    with pytest.raises(InvalidInput):
        check_attribute_name(name)


@pytest.mark.parametrize("name", ["a", "data_domain", "a.b-c_9", "a" * 64])
def test_good_names_are_taken(name: str) -> None:
    """One letter is enough, and 64 characters are allowed."""
    assert check_attribute_name(name) == name


def test_nobody_says_that_they_are_an_issuer() -> None:
    """The source of a verified token cannot be claimed by hand."""
    for source in ("jwt:https://id.example", "", "a b", "a\n", "x" * 201, "ä"):
        with pytest.raises(InvalidInput):
            check_source(source)
    assert check_source("import:hr") == "import:hr"


def test_a_ttl_is_a_second_to_ten_years() -> None:
    """Nothing holds for no time."""
    for ttl in (0, -1, 11 * 366 * 86_400):
        with pytest.raises(InvalidInput):
            check_ttl(ttl)
    assert check_ttl(1) == 1
    assert check_ttl(None) is None

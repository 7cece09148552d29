from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from companyos.ledger.body import Sealed, seal
from companyos.ledger.personal import ERASE, EXPIRE, PersonalCheck, PersonalRow, first_absent
from tests.ledger.conftest import entry

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def said(verb: str, **details: Any) -> Sealed:
    """Return a record without personal values."""
    return seal(entry(NOW, verb=verb, ip=None, device=None, details=details))


def rows(index: int, sealed: Sealed) -> list[PersonalRow]:
    """Return the rows beside a record as they are stored."""
    return [(index, one.field.encode(), one.salt, one.value.encode(), None) for one in sealed.personal]


@pytest.fixture
def one() -> Sealed:
    """Return a record with an ip and a device."""
    return seal(entry(NOW))


def test_an_erasure_explains_the_value_that_it_names(one: Sealed) -> None:
    """A value whose row names the record that erased exactly it is accounted for, in one chunk or in two."""
    ip, device = sorted(rows(0, one), key=lambda row: row[1] != b"ip")
    gone: PersonalRow = (0, b"ip", None, None, 1)
    for chunks in (1, 2):
        check = PersonalCheck()
        if chunks == 1:
            check.add(0, [one.body, said(ERASE, index=0, field="ip").body], [gone, device])
        else:
            check.add(0, [one.body], [gone, device])
            check.add(1, [said(ERASE, index=0, field="ip").body], [])
        assert check.finish() is None
        assert check.last_absent == -1
    assert ip[1] == b"ip"


@pytest.mark.parametrize(
    "record",
    [
        said(ERASE, index=0, field="device"),
        said(ERASE, index=2, field="ip"),
        said(ERASE, index="0", field="ip"),
        said(ERASE),
        said(EXPIRE, through_index=0),
        said("service.create", index=0, field="ip"),
    ],
)
def test_an_erasure_explains_nothing_else(one: Sealed, record: Sealed) -> None:
    """A record that erased another value, or none, does not account for this one."""
    check = PersonalCheck()
    device = next(row for row in rows(0, one) if row[1] == b"device")
    check.add(0, [one.body, record.body], [(0, b"ip", None, None, 1), device])
    fault = check.finish()
    assert fault is not None
    assert (fault.kind, fault.index) == ("personal", 0)


def test_two_values_do_not_share_one_erasure(one: Sealed) -> None:
    """One erasure accounts for one value."""
    check = PersonalCheck()
    gone: list[PersonalRow] = [(0, b"device", None, None, 1), (0, b"ip", None, None, 1)]
    check.add(0, [one.body, said(ERASE, index=0, field="ip").body], gone)
    assert check.finish() is not None


def test_retention_speaks_of_the_past_only() -> None:
    """A record of retention accounts for records before itself, never for itself or later ones."""
    for through, expected in ((3, 3), (4, 4), (5, -1), (9, -1)):
        check = PersonalCheck()
        check.add(5, [said(EXPIRE, through_index=through).body], [])
        assert check.expired_through == expected


def test_the_first_absent_row_is_found(one: Sealed) -> None:
    """Of several records the first one beside which a row is absent is named."""
    other = seal(entry(NOW))
    assert first_absent(7, [one.body, other.body], [*rows(7, one), *rows(8, other)]) is None
    assert first_absent(7, [one.body, other.body], [*rows(7, one), *rows(8, other)[:1]]) == 8
    assert first_absent(7, [b"garbage", one.body], []) == 8

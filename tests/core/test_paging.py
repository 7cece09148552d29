import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput
from companyos.core.paging import check_limit, decode_cursor, encode_cursor


@given(st.text(max_size=200), st.integers(-(2**53), 2**53))
def test_a_cursor_gives_back_its_sort_key(text: str, number: int) -> None:
    """What went into a cursor comes out of it."""
    assert decode_cursor(encode_cursor(text, number), str, int) == (text, number)


@given(st.text(max_size=60))
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    """Any text that is not one of our cursors gives InvalidInput and nothing else."""
    with pytest.raises(InvalidInput):
        decode_cursor(cursor, str, str, str, int)


@pytest.mark.parametrize("cursor", [encode_cursor("a"), encode_cursor("a", "b"), encode_cursor(1, "a"), "A" * 2000])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    """A cursor with other parts than this list sorts by is refused."""
    with pytest.raises(InvalidInput, match="cursor"):
        decode_cursor(cursor, str, int)


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_page_is_bounded(limit: int) -> None:
    """A page has at least one item and not more than 500."""
    with pytest.raises(InvalidInput, match="1 to 500"):
        check_limit(limit)
    assert (check_limit(1), check_limit(500)) == (1, 500)

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.catalog.etag import check_match, etag
from companyos.core.errors import CompanyOSError, InvalidInput, PreconditionFailed, PreconditionRequired


@pytest.mark.parametrize("header", ['"7"', "*", ' "7" ', '"1", "7"', 'W/"7", "7"', '"1","2" , "7"'])
def test_a_match_lets_the_change_through(header: str) -> None:
    """By the strong tag, in a list, or for any version."""
    check_match(header, 7, what="it")


@pytest.mark.parametrize("header", ['"6"', '"77"', 'W/"7"', '"1", "2"', '""'])
def test_another_version_fails(header: str) -> None:
    """A weak tag never matches where a change depends on it."""
    with pytest.raises(PreconditionFailed, match="version 7"):
        check_match(header, 7, what="it")


@pytest.mark.parametrize("header", ["7", "", '"7', "'7'", '"7" "8"', '"\u00e9"', ",".join(['"1"'] * 17)])
def test_what_is_no_list_of_tags_is_bad_input(header: str) -> None:
    """It is neither yes nor no."""
    with pytest.raises(InvalidInput):
        check_match(header, 7, what="it")


def test_without_the_header_the_answer_says_what_to_send() -> None:
    """The next step holds the present tag."""
    with pytest.raises(PreconditionRequired) as caught:
        check_match(None, 7, what="it")
    assert etag(7) in caught.value.next_step


@given(st.text(max_size=60), st.integers(1, 9))
def test_any_header_is_answered(header: str, revision: int) -> None:
    """Only the right tag lets a change through; whatever else comes is a fault that we can explain."""
    try:
        check_match(header, revision, what="it")
    except CompanyOSError:
        assert header.strip() not in (etag(revision), "*")
    else:
        assert etag(revision) in header or header.strip() == "*"

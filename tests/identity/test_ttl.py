from __future__ import annotations

import pytest

from companyos.core.errors import InvalidInput
from companyos.identity.ttl import parse_ttl


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90m", 5400), ("12h", 43_200), ("30d", 2_592_000)])
def test_spans_are_read_in_their_unit(text: str, seconds: int) -> None:
    """The unit is always written."""
    assert parse_ttl(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "1w", "30d ", "٣d", "9" * 20 + "s"])
def test_other_texts_are_refused(text: str) -> None:
    """A bare number could be seconds or days, so it is neither."""
    with pytest.raises(InvalidInput) as caught:
        parse_ttl(text)
    assert caught.value.field == "ttl"

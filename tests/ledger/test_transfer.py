from __future__ import annotations

import io
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput, Unavailable
from companyos.ledger import transfer

LINES = [b'{"size":2}', b'{"index":0}', '{"index":1,"text":"日本"}'.encode()]
WHOLE = b"".join(line + b"\n" for line in LINES)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=8))
def test_it_does_not_matter_how_the_answer_is_cut(cuts: list[int]) -> None:
    """However the network cuts an answer, the same lines come out of it."""
    places = [0, *sorted(cuts), len(WHOLE)]
    pieces = [WHOLE[start:end] for start, end in pairwise(places)]
    assert list(transfer.lines(iter(pieces))) == LINES
    assert [one.get("index") for one in transfer.documents(iter(pieces))] == [None, 0, 1]
    document = json.loads(b"".join(transfer.as_document(iter(pieces))))
    assert document == {"header": {"size": 2}, "records": [{"index": 0}, {"index": 1, "text": "日本"}]}


def test_a_last_line_without_its_end_counts() -> None:
    """What comes behind the last newline is a line too."""
    assert list(transfer.lines(iter([b"one\ntw", b"o"]))) == [b"one", b"two"]


def test_an_export_without_records_is_a_document() -> None:
    """A header alone, or nothing at all, still makes valid JSON."""
    assert json.loads(b"".join(transfer.as_document(iter([b'{"size":0}\n'])))) == {"header": {"size": 0}, "records": []}
    assert json.loads(b"".join(transfer.as_document(iter([])))) == {"header": None, "records": []}


def test_a_transfer_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    """When the answer ends in a fault, the file that was there before is still there, and nothing else is."""

    def broken() -> Iterator[bytes]:
        yield WHOLE
        raise Unavailable("gone")

    file = tmp_path / "ledger.ndjson"
    file.write_text("old")
    with pytest.raises(Unavailable):
        transfer.write(file, broken())
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
    assert transfer.write(file, iter([WHOLE])) == {"file": str(file), "records": 2, "bytes": len(WHOLE)}
    assert file.read_bytes() == WHOLE


def test_endless_lines_are_refused() -> None:
    """A file with one line of more than a megabyte is not read into memory."""
    with pytest.raises(InvalidInput, match="1048576"):
        list(transfer.bounded_lines(io.BytesIO(b"x" * 2_000_000)))
    assert list(transfer.bounded_lines(io.BytesIO(b"a\nb"))) == [b"a\n", b"b"]

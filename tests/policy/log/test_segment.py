from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import NotFound
from companyos.policy.log import segment
from companyos.policy.log.segment import FORMAT, GENESIS, Header

HEADER = Header(format=FORMAT, number=1, opened_at="2026-01-01T00:00:00.000000Z", prev=GENESIS, stream="s")
TEXTS = [b'{"a":%d}' % number for number in range(4)]


def written() -> tuple[bytes, list[int]]:
    """Return the bytes of a segment with four records, and where each line ends."""
    link, line = segment.chained(GENESIS, msgspec.json.encode(HEADER))
    data, ends = line, [len(line)]
    for text in TEXTS:
        link, line = segment.chained(link, text)
        data += line
        ends.append(len(data))
    return data, ends


DATA, ENDS = written()


def test_a_whole_segment_is_read_in_order() -> None:
    """Every record comes back, and the head is the link of the last one."""
    found = segment.scan(DATA)
    assert found.header == HEADER
    assert [line.text for line in found.lines] == TEXTS
    assert found.head == found.lines[-1].link
    assert (found.good_bytes, found.torn_bytes, found.broken) == (len(DATA), 0, False)


@given(st.integers(0, len(DATA)))
def test_a_cut_anywhere_leaves_exactly_the_records_before_it(cut: int) -> None:
    """Whatever of the file reached the disk, the good part ends with its last whole line, and the rest is torn."""
    found = segment.scan(DATA[:cut])
    whole = [end for end in ENDS if end <= cut]
    assert len(found.lines) == max(0, len(whole) - 1)
    assert found.good_bytes == (whole[-1] if whole else 0)
    assert found.torn_bytes == cut - found.good_bytes
    assert not found.broken


@given(st.integers(0, len(TEXTS)), st.binary(max_size=200))
def test_noise_behind_a_record_is_torn(good: int, noise: bytes) -> None:
    """What a power cut may leave behind the flushed part is no record, whatever it is."""
    found = segment.scan(DATA[: ENDS[good]] + noise)
    assert len(found.lines) == good
    assert (found.good_bytes, found.broken) == (ENDS[good], False)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_a_changed_byte_ends_the_good_part_before_its_line(place: int, change: int) -> None:
    """No byte can be changed without the line that holds it, or that it ends, being found out."""
    data = bytearray(DATA)
    data[place] ^= change
    found = segment.scan(bytes(data))
    assert found.good_bytes <= max([0, *(end for end in ENDS if end <= place)])


@given(st.integers(1, len(TEXTS) - 2), st.integers(0, 3))
def test_a_change_before_good_records_is_no_torn_end(record: int, place: int) -> None:
    """Good records behind a bad one say that somebody changed it, so that nothing is cut off."""
    data = bytearray(DATA)
    data[ENDS[record - 1] + 66 + place] ^= 1
    found = segment.scan(bytes(data))
    assert len(found.lines) == record - 1
    assert found.broken


def test_records_that_were_all_changed_are_no_torn_end() -> None:
    """Also where no two of them fit each other any more: a write that was torn leaves no whole line behind."""
    data = bytearray(DATA)
    for end in ENDS[:-1]:
        data[end + 66] ^= 1
    found = segment.scan(bytes(data))
    assert (len(found.lines), found.broken) == (0, True)


def test_a_segment_of_another_format_is_none() -> None:
    """A first line that says something else is not read on."""
    other = msgspec.json.encode(msgspec.structs.replace(HEADER, format="other"))
    assert segment.scan(segment.chained(GENESIS, other)[1]).header is None


def test_making_a_segment_twice_is_refused(tmp_path: Path) -> None:
    """A file that is there is never written over."""
    descriptor, link, size = segment.create(tmp_path, HEADER)
    os.close(descriptor)
    with pytest.raises(FileExistsError):
        segment.create(tmp_path, HEADER)
    found = segment.scan(segment.read(tmp_path / segment.name(1)))
    assert (found.head, found.good_bytes) == (link, size)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A segment that is a symbolic link is refused instead of read."""
    (tmp_path / "target").write_bytes(DATA)
    (tmp_path / segment.name(1)).symlink_to(tmp_path / "target")
    with pytest.raises(Exception, match="not a regular file"):
        segment.read(tmp_path / segment.name(1))
    with pytest.raises(NotFound):
        segment.read(tmp_path / segment.name(2))

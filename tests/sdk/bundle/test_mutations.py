"""Whatever anybody changes about the bytes of a good bundle, nothing else than its content ever opens."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from companyos_sdk.bundle import BundleError, unpack
from tests.sdk.bundle.forging import END, blocks, files, good, gzipped, opened, signed

GOOD: Final = good()
CONTENT: Final = opened(GOOD).files
PARTS: Final = sorted(signed(files()).items())
ARCHIVE: Final = blocks(PARTS) + END


def opens_unchanged_or_not_at_all(data: bytes) -> None:
    """The one property; the same content may come in other bytes (another compression of the same archive)."""
    try:
        bundle = opened(data)
    except BundleError:
        return
    assert bundle.files == CONTENT


@settings(max_examples=400)
@given(at=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
def test_one_byte_changed(at: int, value: int) -> None:
    """In the packed bytes, which is what travels."""
    opens_unchanged_or_not_at_all(GOOD[:at] + bytes([value]) + GOOD[at + 1 :])


@settings(max_examples=400)
@given(at=st.integers(0, len(ARCHIVE) - 1), value=st.integers(0, 255))
def test_one_byte_of_the_archive_changed(at: int, value: int) -> None:
    """Packed again, so that no checksum of gzip is in the way: here every single change is refused."""
    changed = ARCHIVE[:at] + bytes([value]) + ARCHIVE[at + 1 :]
    if changed != ARCHIVE:
        try:
            opened(gzipped(changed))
        except BundleError:
            return
        raise AssertionError(at)


@settings(max_examples=200)
@given(start=st.integers(0, len(ARCHIVE)), length=st.integers(1, 2048), instead=st.binary(max_size=600))
def test_a_piece_of_the_archive_replaced(start: int, length: int, instead: bytes) -> None:
    """Cut out, put in, moved along."""
    opens_unchanged_or_not_at_all(gzipped(ARCHIVE[:start] + instead + ARCHIVE[start + length :]))


@settings(max_examples=200)
@given(order=st.permutations(PARTS), left_out=st.integers(0, len(PARTS)), twice=st.integers(0, len(PARTS) - 1))
def test_files_in_another_order_left_out_or_twice(order: list[tuple[str, bytes]], left_out: int, twice: int) -> None:
    """As whole files, in an archive that is well made otherwise."""
    chosen = [*order[:left_out], *order[left_out + 1 :]]
    opens_unchanged_or_not_at_all(gzipped(blocks(chosen) + END))
    opens_unchanged_or_not_at_all(gzipped(blocks([*sorted(order), order[twice]]) + END))


@settings(max_examples=200)
@given(st.binary(max_size=4000))
def test_any_bytes(data: bytes) -> None:
    """Bytes that never were a bundle, bare and packed."""
    opens_unchanged_or_not_at_all(data)
    opens_unchanged_or_not_at_all(gzipped(data))


@settings(max_examples=100)
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}\.rego", fullmatch=True), st.binary(max_size=2000), max_size=8))
def test_whatever_is_packed_is_what_is_unpacked(found: dict[str, bytes]) -> None:
    """Byte for byte."""
    from companyos_sdk.bundle import pack

    assert unpack(pack(found)) == found

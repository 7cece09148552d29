from __future__ import annotations

import contextlib
import io
import string
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from companyos.core.errors import InvalidInput, TooLarge
from companyos.evidence import archive
from companyos.evidence.archive import MAX_BYTES, MAX_FILES, MAX_TIME, Archive, Entry, Kind

parts = st.text(string.ascii_letters + "._-äß漢 ", min_size=1, max_size=60).filter(
    lambda part: part.strip(".") and part.lower() != ".git"
)
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@st.composite
def trees(draw: st.DrawFn) -> tuple[Entry, ...]:
    """Some files, programs and links whose paths do not lead through one another."""
    found: dict[str, Entry] = {}
    for path in draw(st.lists(paths, max_size=6)):
        if any(path == one or path.startswith(one + "/") or one.startswith(path + "/") for one in found):
            continue
        if draw(st.booleans()):
            kind: Kind = "program" if draw(st.booleans()) else "file"
            found[path] = Entry(path=path, kind=kind, data=draw(st.binary(max_size=1500)))
        else:
            target = "../" * draw(st.integers(0, path.count("/"))) + draw(paths)
            found[path] = Entry(path=path, kind="link", data=target.encode())
    return tuple(found.values())


notes = st.dictionaries(
    st.text(string.ascii_letters, min_size=1, max_size=20).filter(lambda key: key not in {"path", "linkpath", "size"}),
    st.text(max_size=200).filter(lambda text: "\0" not in text),
    max_size=3,
)


@given(trees(), st.integers(0, MAX_TIME), notes)
def test_what_is_written_is_read_again(entries: tuple[Entry, ...], time: int, said: dict[str, str]) -> None:
    """Long names, names that are not ASCII, links, empty files: all come back, sorted."""
    made = Archive(entries=entries, time=time if entries else 0, notes=said)
    again = archive.read(archive.write(made))
    assert again.entries == tuple(sorted(entries, key=lambda entry: entry.path.encode()))
    assert (again.time, again.notes) == (made.time, said)


@given(trees(), st.randoms(use_true_random=False))
def test_the_order_of_entries_changes_no_byte(entries: tuple[Entry, ...], random: object) -> None:
    """Equal content gives equal bytes."""
    shuffled = list(entries)
    random.shuffle(shuffled)  # type: ignore[attr-defined] # hypothesis' randoms are typed as objects
    assert archive.write(Archive(entries=tuple(shuffled))) == archive.write(Archive(entries=entries))


@given(trees().filter(bool))
def test_other_programs_read_the_same(entries: tuple[Entry, ...]) -> None:
    """Names, contents, kinds and owners as Python's own tar module understands them."""
    data = archive.write(Archive(entries=entries, time=1_700_000_000, notes={"comment": "x"}))
    with tarfile.open(fileobj=io.BytesIO(data)) as seen:
        members = seen.getmembers()
        assert {one.name for one in members} == {one.path for one in entries}
        for one in entries:
            held = seen.getmember(one.path)
            assert (held.uid, held.gid, held.uname, held.mtime) == (0, 0, "", 1_700_000_000)
            if one.kind == "link":
                assert held.issym()
                assert held.linkname.encode() == one.data
            else:
                content = seen.extractfile(held)
                assert content is not None
                assert content.read() == one.data
                assert held.mode == (0o755 if one.kind == "program" else 0o644)


@given(st.binary(max_size=3000))
def test_noise_is_refused(data: bytes) -> None:
    """Whatever the bytes are, there is an answer or one of the faults that are promised."""
    try:
        archive.read(data)
    except (InvalidInput, TooLarge):
        return
    assert not data.strip(b"\0")


@given(trees(), st.data())
def test_a_changed_bit_never_ends_in_another_fault(entries: tuple[Entry, ...], data: st.DataObject) -> None:
    """A tar that was altered is read as something else or refused, and never breaks the reader."""
    made = bytearray(archive.write(Archive(entries=entries)))
    made[data.draw(st.integers(0, len(made) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(InvalidInput, TooLarge):
        archive.read(bytes(made))


def test_limits_hold_when_writing_and_when_reading() -> None:
    """Too many files and too many bytes are refused with the limit."""
    many = tuple(Entry(path=f"f{number}") for number in range(MAX_FILES + 1))
    with pytest.raises(TooLarge, match="5,000 files"):
        archive.write(Archive(entries=many))
    assert len(archive.read(archive.write(Archive(entries=many[1:]))).entries) == MAX_FILES
    with pytest.raises(TooLarge, match="33,554,432"):
        archive.write(Archive(entries=(Entry(path="big", data=bytes(MAX_BYTES)),)))
    with pytest.raises(TooLarge, match="33,554,432"):
        archive.read(bytes(MAX_BYTES + 1))
    with pytest.raises(InvalidInput, match="time"):
        archive.write(Archive(entries=(), time=MAX_TIME + 1))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/..",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "a\nb",
        "a\x1b[31m",
        "a\u202eb",
        "a\udcff",
        ".git/config",
        "sub/.GIT/hooks/x",
        "a" * 256,
        "a/" * 260 + "a",
    ],
)
def test_a_path_that_is_not_plain_and_inside_is_refused(path: str) -> None:
    """Absolute, climbing, hidden in control characters, git's own folder, or longer than a file system takes."""
    with pytest.raises(InvalidInput, match="cannot be in an artifact"):
        Entry(path=path)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", ""),
        ("a", "/etc/passwd"),
        ("a", ".."),
        ("a", "../a"),
        ("d/a", "../../x"),
        ("d/a", "x/../../../y"),
        ("d/a", "link/../x"),
        ("a", "x\\y"),
        ("a", "x\0y"),
        ("a", "./x"),
    ],
)
def test_a_link_out_of_the_tree_is_refused(path: str, target: str) -> None:
    """Also by climbing in the middle, which another link could turn into a way out."""
    with pytest.raises(InvalidInput, match="not inside the artifact"):
        Entry(path=path, kind="link", data=target.encode())


def test_a_link_target_must_be_utf8() -> None:
    """Bytes that are no text are refused and not guessed."""
    with pytest.raises(InvalidInput, match="not inside"):
        Entry(path="a", kind="link", data=b"\xff")


@pytest.mark.parametrize("second", ["d", "d/x", "d/x/y"])
def test_no_path_leads_through_another_entry(second: str) -> None:
    """A file below a link would be written where the link leads."""
    entries = (Entry(path="d", kind="link", data=b"e"), Entry(path=second), Entry(path="e/f"))
    with pytest.raises(InvalidInput, match=r"'d' (twice|as a file and as a folder)"):
        archive.write(Archive(entries=entries))

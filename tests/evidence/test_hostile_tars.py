from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from companyos.core.errors import CompanyOSError, InvalidInput
from companyos.evidence import archive, packing
from tests.evidence.artifacts import COMMIT, END, header, member, pax, tar

HOSTILE = {
    "absolute": member(b"/tmp/evil", b"x"),
    "climbing": member(b"../evil", b"x"),
    "climbing in the middle": member(b"a/../../evil", b"x"),
    "climbing by the prefix": header(b"evil", prefix=b".."),
    "climbing by pax": pax((b"path", b"../evil")) + member(b"plain", b"x"),
    "a link out": header(b"out", flag=b"2", target=b"/etc"),
    "a link out by pax": pax((b"linkpath", b"../../etc")) + header(b"out", flag=b"2", target=b"in"),
    "a file through a link": header(b"out", flag=b"2", target=b"in") + member(b"out/evil", b"x"),
    "the same twice": member(b"a", b"x") + member(b"a", b"y"),
    "the same as link and file": header(b"a", flag=b"2", target=b"b") + member(b"a", b"y"),
    "a file and a folder": member(b"a", b"x") + member(b"a/b", b"x"),
    "a folder out": header(b"../up/", flag=b"5"),
    "a folder that is the root": header(b"/", flag=b"5"),
    "a hard link": header(b"hard", flag=b"1", target=b"/etc/passwd"),
    "a character device": header(b"tty", flag=b"3"),
    "a block device": header(b"disk", flag=b"4"),
    "a pipe": header(b"pipe", flag=b"6"),
    "a sparse file": header(b"sparse", flag=b"S"),
    "a name of GNU's": header(b"././@LongLink", flag=b"L"),
    "a huge size": header(b"big", size=b"77777777777\0"),
    "a size in binary": header(b"big", size=b"\x80" + b"\xff" * 11),
    "a negative size": header(b"big", size=b"-0000000001\0"),
    "a size by pax": pax((b"size", b"99999999999")) + member(b"a", b"x"),
    "a sparse file by pax": pax((b"GNU.sparse.realsize", b"99999999")) + member(b"a", b"x"),
    "a link with content": header(b"l", flag=b"2", target=b"x", size=512) + bytes(512),
    "a global path": pax((b"path", b"evil"), flag=b"g") + member(b"a", b"x"),
    "a global target": pax((b"linkpath", b"/etc"), flag=b"g") + header(b"l", flag=b"2", target=b"x"),
    "a pax header without an end": member(b"pax", b"12 path=", flag=b"x") + member(b"a", b"x"),
    "a pax header of the length nothing": member(b"pax", b"0 path=x\n", flag=b"x") + member(b"a", b"x"),
    "a pax header that claims more": member(b"pax", b"999 path=x\n", flag=b"x") + member(b"a", b"x"),
    "a pax header that is too long": pax((b"comment", b"x" * 20_000)) + member(b"a", b"x"),
    "a pax header that is no text": pax((b"path", b"\xff\xfe")) + member(b"a", b"x"),
    "a name that is no text": member(b"\xff\xfe", b"x"),
    "a wrong sum": header(b"a")[:148] + b"0000000\0" + header(b"a")[156:],
    "no tar at all": header(b"a", magic=b"GNUtar\0\0"),
    "a control character": member(b"a\x1bb", b"x"),
    "git's own folder": member(b".git/config", b"x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tar_is_refused_before_anything_is_written(name: str, tmp_path: Path) -> None:
    """Nothing appears in the folder, or beside it."""
    folder = tmp_path / "outer" / "inner"
    folder.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CompanyOSError) as fault:
        packing.extract(member(b"first", b"x") + HOSTILE[name] + END, folder)
    assert fault.value.exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/tmp/evil").exists()


def test_the_frame_around_each_attack_is_fine() -> None:
    """So it is the attack that is refused."""
    plain = (member(b"a", b"x"), header(b"l", flag=b"2", target=b"first"), pax((b"path", b"p")) + member(b"a", b"x"))
    for entry in (*plain, header(b"folder/", flag=b"5"), header(b"a", prefix=b"b")):
        assert archive.read(member(b"first", b"x") + entry + END).file("first") == b"x"
    assert all(len(entry) % 512 == 0 for entry in HOSTILE.values())


def test_a_tar_that_was_cut_is_refused_wherever_it_was_cut() -> None:
    """Within a header, within a file, before the end."""
    whole = member(b"a", b"x" * 700) + END
    assert archive.read(whole).file("a") == b"x" * 700
    for length in [0, 1, 511, 512, 600, 1024, 1211, 1535, 1536]:
        with pytest.raises(InvalidInput, match=r"its end is missing|ends within a file"):
            archive.read(whole[:length])


def test_nothing_hides_behind_the_end() -> None:
    """Other programs read on there."""
    with pytest.raises(InvalidInput, match="follows its end"):
        archive.read(member(b"a") + END + member(b"hidden") + END)


def test_tars_of_other_programs_are_read_but_are_no_artifacts() -> None:
    """The bytes must be exactly those that packing makes, or the digest would mean little."""
    held = archive.read(tar())
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers=held.notes) as made:
        for entry in held.entries:
            one = tarfile.TarInfo(entry.path)
            one.size, one.mtime = len(entry.data), held.time
            made.addfile(one, io.BytesIO(entry.data))
    again = archive.read(out.getvalue())
    assert (again.entries, again.notes) == (held.entries, held.notes)
    with pytest.raises(InvalidInput, match="not in the form"):
        packing.contents(out.getvalue())


@pytest.mark.parametrize(
    "notes",
    [
        {},
        {"comment": COMMIT},
        {"comment": "main", "COMPANYOS.version": "1"},
        {"comment": COMMIT, "COMPANYOS.version": "../1"},
        {"comment": COMMIT, "COMPANYOS.version": "1", "mtime": "5"},
    ],
)
def test_the_first_header_says_commit_and_version_and_nothing_else(notes: dict[str, str]) -> None:
    """Another record could mean something to another program."""
    held = archive.read(tar())
    with pytest.raises(InvalidInput, match="not in the form"):
        packing.contents(archive.write(archive.Archive(entries=held.entries, time=held.time, notes=notes)))


def test_padding_must_be_empty() -> None:
    """Bytes that belong to nothing would give one content two digests."""
    data = bytearray(tar())
    place = data.index(b"metadata: {name: shop}") + 50
    assert data[place] == 0
    data[place] = 1
    with pytest.raises(InvalidInput, match="not in the form"):
        packing.contents(bytes(data))


def test_what_is_written_is_what_was_held(tmp_path: Path) -> None:
    """Files, programs, folders and links, whatever the umask lets others do."""
    entries = (
        archive.Entry(path="bin/run", kind="program", data=b"#!/bin/sh\n"),
        archive.Entry(path="src/a.py", data=b"a"),
        archive.Entry(path="src/link", kind="link", data=b"../bin/run"),
    )
    before = os.umask(0o077)
    try:
        packing.extract(archive.write(archive.Archive(entries=entries)), tmp_path / "new")
    finally:
        os.umask(before)
    folder = tmp_path / "new"
    assert (folder / "src/link").resolve() == (folder / "bin/run").resolve()
    assert (folder / "src/a.py").read_bytes() == b"a"
    assert (folder / "src/a.py").stat().st_mode & 0o777 == 0o600
    assert (folder / "bin/run").stat().st_mode & 0o777 == 0o700


def test_only_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """A link that waits there would lead out."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "src").symlink_to(outside)
    data = archive.write(archive.Archive(entries=(archive.Entry(path="src/a.py", data=b"a"),)))
    with pytest.raises(InvalidInput, match="not empty"):
        packing.extract(data, folder)
    (tmp_path / "link").symlink_to(outside)
    with pytest.raises(InvalidInput, match="not empty"):
        packing.extract(data, tmp_path / "link")
    assert list(outside.iterdir()) == []

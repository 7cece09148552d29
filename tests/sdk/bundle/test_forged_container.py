"""Archives that are not what bundles are: each way to hide something in one is refused for its own reason."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from companyos_sdk.bundle import BundleError, pack, unpack
from companyos_sdk.bundle.limits import MAX_FILE, MAX_FILES, MAX_PACKED
from tests.sdk.bundle.forging import END, blocks, files, good, gzipped, header, opened, refusal, signed

SIGNED = sorted(signed(files()).items())
GOOD = blocks(SIGNED)
REGO = "companyos/documents/policy.rego"


def foreign() -> bytes:
    """The same files, archived by the tool that everybody has."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for path, data in SIGNED:
            about = tarfile.TarInfo(path)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    return target.getvalue()


def with_header(**changes: bytes) -> Callable[[], bytes]:
    """A good bundle with one more entry whose header was changed."""
    return lambda: gzipped(GOOD + header("zzz.rego", changes=changes) + END)


def named(name: bytes) -> Callable[[], bytes]:
    """An archive with one file of that name."""
    return with_header(name=name)


def pair(*paths: str) -> Callable[[], bytes]:
    """An archive with empty files of these names."""
    return lambda: gzipped(b"".join(header(path) for path in sorted(paths)) + END)


CASES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nothing": ("not-gzip", lambda: b""),
    "text": ("not-gzip", lambda: b"<html>503</html>"),
    "a zip": ("not-gzip", lambda: b"PK\x03\x04" + bytes(100)),
    "a bare tar": ("not-gzip", lambda: GOOD + END),
    "half of it": ("not-gzip", lambda: good()[: len(good()) // 2]),
    "no trailer": ("not-gzip", lambda: good()[:-8]),
    "a wrong checksum": ("not-gzip", lambda: good()[:-8] + bytes(8)),
    "another header of gzip": ("not-a-bundle", lambda: gzip.compress(GOOD + END)),
    "a name in the header of gzip": ("not-a-bundle", lambda: b"\x1f\x8b\x08\x08" + good()[4:]),
    "a byte behind it": ("trailing-data", lambda: good() + b"\0"),
    "a second bundle behind it": ("trailing-data", lambda: good() + good()),
    "an archive behind the archive": ("trailing-data", lambda: gzipped(GOOD + END + GOOD + END)),
    "zeros behind the archive": ("trailing-data", lambda: gzipped(GOOD + END + bytes(512))),
    "no end": ("not-a-bundle", lambda: gzipped(GOOD)),
    "half an end": ("not-a-bundle", lambda: gzipped(GOOD + bytes(512))),
    "an end within a file": ("not-a-bundle", lambda: gzipped(GOOD[:600])),
    "an end within a header": ("not-a-bundle", lambda: gzipped(GOOD[:300])),
    "an archive of another tool": ("not-a-bundle", lambda: gzipped(foreign())),
    "another order": ("not-a-bundle", lambda: gzipped(blocks(reversed(SIGNED)) + END)),
    "an owner": ("not-a-bundle", with_header(uid=b"0001750\0")),
    "bytes between the files": ("not-a-bundle", lambda: gzipped(blocks([("a.rego", b"a")])[:-1] + b"!" + END)),
    "a header that cannot be read": ("not-a-bundle", named(b"\xff.rego")),
    "letters that look like ours": ("not-a-bundle", named("dаta.json".encode())),
    "a name behind the name": ("bad-path", named(b"a.rego\0b.rego")),
    "a hard link": ("not-a-file", with_header(kind=b"1")),
    "a symbolic link": ("not-a-file", with_header(kind=b"2")),
    "a character device": ("not-a-file", with_header(kind=b"3")),
    "a block device": ("not-a-file", with_header(kind=b"4")),
    "a folder": ("not-a-file", with_header(kind=b"5")),
    "a pipe": ("not-a-file", with_header(kind=b"6")),
    "an extended header": ("not-a-file", with_header(kind=b"x")),
    "an extended header for all": ("not-a-file", with_header(kind=b"g")),
    "a long name": ("not-a-file", with_header(kind=b"L")),
    "a sparse file": ("not-a-file", with_header(kind=b"S")),
    "an old kind of file": ("not-a-file", with_header(kind=b"\0")),
    "an unknown kind": ("not-a-file", with_header(kind=b"7")),
    "an absolute path": ("bad-path", named(b"/data.json")),
    "a path upwards": ("bad-path", named(b"../data.json")),
    "a path upwards from within": ("bad-path", named(b"companyos/../../x.rego")),
    "a backslash": ("bad-path", named(b"companyos\\x.rego")),
    "a path from here": ("bad-path", named(b"./data.json")),
    "two slashes": ("bad-path", named(b"companyos//x.rego")),
    "a slash at the end": ("bad-path", named(b"companyos/")),
    "a hidden file": ("bad-path", named(b".bashrc")),
    "a newline": ("bad-path", named(b"data.json\n")),
    "an empty path": ("bad-path", named(b"")),
    "a drive": ("bad-path", named(b"C:x.rego")),
    "a file twice": ("duplicate-file", lambda: gzipped(GOOD + blocks([("data.json", b"{}")]) + END)),
    "a policy twice": ("duplicate-file", lambda: gzipped(blocks([(REGO, b"allow := true")]) + GOOD + END)),
    "names that differ in case": ("colliding-names", pair("a/x.rego", "a/X.rego")),
    "a file that is a folder too": ("colliding-names", pair("a", "a/x.rego")),
    "a bomb": ("too-large", lambda: gzipped(bytes(100 * 1024 * 1024))),
    "a bomb within the limit": ("too-large", lambda: gzipped(GOOD + END + bytes(30 * 1024 * 1024))),
    "a file beyond the limit": ("too-large", lambda: gzipped(header("data.json", MAX_FILE + 1))),
    "too many files": (
        "too-large",
        lambda: gzipped(b"".join(header(f"a/{number:04}.rego") for number in range(MAX_FILES + 1)) + END),
    ),
    "too many bytes": ("too-large", lambda: bytes(MAX_PACKED + 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_an_archive_that_is_no_bundle_never_opens(name: str) -> None:
    """It is refused with the word for its fault, so that whoever reads the log knows what happened."""
    code, data = CASES[name]
    assert refusal(data()).code == code


def test_the_archive_that_all_of_these_begin_with_is_good() -> None:
    """Otherwise they would be refused for a reason that is not theirs."""
    assert opened(gzipped(GOOD + END)).metadata.version == "1.0.0"


def test_what_was_packed_comes_out_again() -> None:
    """And in whatever order the files come, the bytes are the same."""
    found = files()
    assert unpack(pack(found)) == found
    assert pack(found) == pack(dict(reversed(found.items())))


@pytest.mark.parametrize(
    ("path", "code"), [("/x.rego", "bad-path"), ("a/../x.rego", "bad-path"), ("X.json", "colliding-names")]
)
def test_nothing_is_packed_that_would_not_be_unpacked(path: str, code: str) -> None:
    """Whoever builds a bundle hears of it first."""
    with pytest.raises(BundleError) as caught:
        pack({path: b"", "x.json": b""})
    assert caught.value.code == code

from __future__ import annotations

import hashlib
import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from companyos.core.artifacts import ArtifactStore, Digest
from companyos.core.errors import IntegrityFault, InvalidInput, NotFound, TooLarge, Unavailable
from tests.core.crashing import crash_everywhere
from tests.needs import ROOT

MEBIBYTE = 1024 * 1024


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store will be; neither it nor the folder above exists."""
    return tmp_path / "home" / "artifacts"


@pytest.fixture
def store(folder: Path) -> ArtifactStore:
    """A store without artifacts."""
    return ArtifactStore(folder)


def files(folder: Path) -> list[str]:
    """The paths of all files below the folder, relative to it."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def damage(path: Path, data: bytes) -> None:
    """Write into a file that is read-only."""
    path.chmod(0o600)
    path.write_bytes(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=3000))
def test_what_was_put_comes_back(store: ArtifactStore, data: bytes) -> None:
    """The digest is the SHA-256 of the content, and gives the content back in each way of reading."""
    digest = store.put(data, 3000)
    assert str(digest) == "sha256:" + hashlib.sha256(data).hexdigest()
    assert digest == Digest.of(data) == Digest.parse(str(digest))
    assert store.has(digest)
    assert store.read(str(digest), 3000) == data
    assert store.verify(digest) == len(data)
    with store.open(digest) as file:
        assert file.read() == data


def test_a_stream_a_path_and_bytes_are_the_same_artifact(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    """However content of several chunks comes in, it is kept once, read-only, where its digest says."""
    data = os.urandom(3 * MEBIBYTE + 17)
    (tmp_path / "file").write_bytes(data)
    stream = io.BytesIO(b"skipped" + data)
    stream.seek(7)
    digests = {store.put(source, len(data)) for source in (data, stream, tmp_path / "file")}
    (digest,) = digests
    assert not stream.closed
    assert files(folder) == [f"sha256/{digest.hex[:2]}/{digest.hex[2:]}"]
    kept = folder / files(folder)[0]
    assert stat.S_IMODE(kept.stat().st_mode) == 0o400
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_too_much_is_refused_and_leaves_nothing(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    """One byte above the limit is too large, from any source, and an endless stream ends at the limit."""
    data = b"x" * (2 * MEBIBYTE + 1)
    (tmp_path / "file").write_bytes(data)
    for source in (data, io.BytesIO(data), tmp_path / "file", Path("/dev/zero").open("rb")):  # noqa: SIM115 - closed below
        with pytest.raises(TooLarge, match=f"larger than {2 * MEBIBYTE} bytes"):
            store.put(source, 2 * MEBIBYTE)
        if isinstance(source, io.BufferedReader):
            source.close()
    assert files(folder) == []
    digest = store.put(data, len(data))
    assert store.read(digest, len(data)) == data
    with pytest.raises(TooLarge, match=str(digest)):
        store.read(digest, len(data) - 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "a" * 64,
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "a" * 64 + "\n",
        "SHA256:" + "a" * 64,
        "sha512:" + "a" * 128,
        "sha256:../../../../etc/passwd",
        "sha256:aa/" + "../" * 20 + "a" * 1,
        "sha256:" + "\u0661" * 64,
        "sha256:" + "\0" * 64,
    ],
)
def test_only_a_digest_is_a_digest(store: ArtifactStore, text: str) -> None:
    """Any other text is refused before it becomes a path, as is a digest made by hand from it."""
    for ask in (store.has, store.open, store.verify, lambda text: store.read(text, 1)):
        with pytest.raises(InvalidInput, match="digest"):
            ask(text)
    with pytest.raises(InvalidInput, match="not a SHA-256 digest"):
        Digest(f"../{text}")


def test_an_unknown_digest_is_not_found(store: ArtifactStore) -> None:
    """What was never put is not found, also before the folder exists."""
    digest = Digest.of(b"never")
    assert not store.has(digest)
    for ask in (store.open, store.verify, lambda digest: store.read(digest, 1)):
        with pytest.raises(NotFound, match=f"no artifact {digest}"):
            ask(digest)


@pytest.mark.parametrize("content", [b"", b"contenT", b"content ", b"conten"])
def test_changed_content_is_an_integrity_fault(store: ArtifactStore, folder: Path, content: bytes) -> None:
    """A file that is no longer what its name says is never given out; putting the content again mends it."""
    digest = store.put(b"content", 100)
    damage(folder / files(folder)[0], content)
    for ask in (store.open, store.verify, lambda digest: store.read(digest, 100)):
        with pytest.raises(IntegrityFault, match=f"{digest} is damaged"):
            ask(digest)
    store.put(b"content", 100)
    assert store.read(digest, 100) == b"content"


def test_a_link_in_place_of_an_artifact_is_an_integrity_fault(
    store: ArtifactStore, folder: Path, tmp_path: Path
) -> None:
    """The store does not follow a link out of its folder, even to the right content."""
    digest = store.put(b"content", 100)
    kept = folder / files(folder)[0]
    kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IntegrityFault, match="not a regular file"):
        store.read(digest, 100)


def test_only_regular_files_are_put(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    """A missing path, a folder or a pipe is refused, and nothing is kept."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotFound):
        store.put(tmp_path / "missing", 10)
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(IntegrityFault, match="not a regular file"):
            store.put(path, 10)
    assert files(folder) == []


class BrokenStream(io.RawIOBase):
    """An upload that ends in the middle."""

    def __init__(self) -> None:
        self._chunks = [b"first", b"second"]

    def read(self, _size: int = -1) -> bytes:
        """Give two chunks, then the fault of a broken connection."""
        if self._chunks:
            return self._chunks.pop(0)
        raise ConnectionResetError(104, "Connection reset by peer")


def test_a_broken_upload_leaves_nothing(store: ArtifactStore, folder: Path) -> None:
    """When the source fails in the middle, the sentence is about the source and nothing is kept."""
    with pytest.raises(Unavailable, match=r"could not be read to its end: .*reset by peer"):
        store.put(cast("BinaryIO", BrokenStream()), 100)
    assert files(folder) == []


def test_a_place_that_is_no_folder_is_unusable(tmp_path: Path) -> None:
    """A file where the folder should be gives a sentence about the folder."""
    (tmp_path / "artifacts").write_bytes(b"")
    store = ArtifactStore(tmp_path / "artifacts")
    with pytest.raises(Unavailable, match=r"artifact folder .*artifacts cannot be used"):
        store.put(b"data", 10)
    with pytest.raises(Unavailable, match=r"artifact folder .*artifacts cannot be used"):
        store.read(Digest.of(b"data"), 10)


def test_threads_putting_the_same_content_agree(store: ArtifactStore, folder: Path) -> None:
    """The same and other content put at once, with sweeps in between, ends with one whole file for each."""
    contents = [bytes([number % 8]) * 100_000 for number in range(160)]

    def put(data: bytes) -> Digest:
        store.sweep_partial()
        return store.put(data, len(data))

    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(put, contents))
    assert len(digests) == 8
    assert len(files(folder)) == 8
    for digest in digests:
        assert store.verify(digest) == 100_000


# Puts what comes through standard input; says on standard output that the first half has been taken.
WRITER = """
import sys
from pathlib import Path
from companyos.core.artifacts import ArtifactStore

class Half:
    def __init__(self):
        self.parts = iter((self.first, self.second, bytes))
    def read(self, size):
        return next(self.parts)()
    def first(self):
        return b"x" * 1_000_000
    def second(self):
        print("half", flush=True)
        return sys.stdin.buffer.read()

print(ArtifactStore(Path(sys.argv[1])).put(Half(), 10_000_000), flush=True)
"""


@contextmanager
def writer(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has written half of an artifact and waits for the rest."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == b"half\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_killed_writer_leaves_no_visible_file(store: ArtifactStore, folder: Path) -> None:
    """After SIGKILL in the middle of a write no artifact exists, and one sweep removes what was begun."""
    with writer(folder) as process:
        process.kill()
        process.wait()
        assert [name.partition("/")[0] for name in files(folder)] == ["partial"]
        assert store.sweep_partial() == 1
        assert files(folder) == []
        assert store.sweep_partial() == 0


def test_a_sweep_spares_the_living(store: ArtifactStore, folder: Path) -> None:
    """What a live process is writing survives a sweep, and becomes an artifact."""
    with writer(folder) as process:
        assert store.sweep_partial() == 0
        output, _ = process.communicate(b"y" * 10)
    digest = Digest.of(b"x" * 1_000_000 + b"y" * 10)
    assert output.decode().strip() == str(digest)
    assert store.verify(digest) == 1_000_010


def put_twice(folder: Path) -> None:
    """What is killed at each of its steps: two artifacts, one of them put again."""
    store = ArtifactStore(folder)
    for data in (b"first", b"second", b"first"):
        store.put(data, 10)


def test_killed_anywhere_the_store_holds_whole_artifacts(tmp_path: Path) -> None:
    """Killed before any of its file operations, every visible file is whole, and the store goes on."""
    crashed = crash_everywhere("tests.core.test_artifacts:put_twice", tmp_path)
    assert len(crashed) > 15
    counts = set()
    for folder in crashed:
        store = ArtifactStore(folder)
        visible = [Digest("".join(Path(name).parts[1:])) for name in files(folder) if name.startswith("sha256/")]
        counts.add(len(visible))
        for digest in visible:
            store.verify(digest)
        store.sweep_partial()
        assert len(files(folder)) == len(visible)
        assert store.read(store.put(b"second", 10), 10) == b"second"
    assert counts == {0, 1, 2}

from __future__ import annotations

import fcntl
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from companyos.core import keys
from companyos.core.clock import ManualClock, SystemClock
from companyos.core.errors import CompanyOSError, IntegrityFault, InvalidInput, Unavailable
from companyos.core.keys import ALGORITHM_OF, KeyStore, Purpose
from companyos.core.signing import BadSignature, LocalSigner
from tests.core.crashing import crash_everywhere
from tests.needs import ROOT

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
every_purpose = pytest.mark.parametrize("purpose", ALGORITHM_OF)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store will be; neither it nor the folder above exists."""
    return tmp_path / "home" / "keys"


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at ``NOW``."""
    return ManualClock(NOW)


@pytest.fixture
def store(folder: Path, clock: ManualClock) -> KeyStore:
    """A store without keys."""
    return KeyStore(folder, clock)


@every_purpose
def test_the_first_signer_makes_the_key(store: KeyStore, folder: Path, purpose: Purpose) -> None:
    """A purpose has no key until its first signer is asked for; from then on it is the same one, in any process."""
    assert store.public_keys(purpose) == ()
    signer = store.signer(purpose)
    (published,) = store.public_keys(purpose)
    assert signer.algorithm == ALGORITHM_OF[purpose]
    assert signer.key_id == published.key_id
    assert store.signer(purpose).key_id == signer.key_id
    again = KeyStore(folder, SystemClock())
    again.public_keys(purpose)[0].public_key.verify(again.signer(purpose).sign(b"data"), b"data")
    signer.public_key.verify(again.signer(purpose).sign(b"data"), b"data")


def test_purposes_do_not_share_keys(store: KeyStore) -> None:
    """Each purpose signs with its own key, and each is found by its key id alone."""
    signers = {purpose: store.signer(purpose) for purpose in ALGORITHM_OF}
    assert len({signer.key_id for signer in signers.values()}) == len(ALGORITHM_OF)
    for purpose, signer in signers.items():
        found = store.find(signer.key_id)
        assert found is not None
        assert (found.purpose, found.public_key) == (purpose, signer.public_key)
    assert store.find("0" * 64) is None


def test_nobody_else_can_read_the_keys(store: KeyStore, folder: Path) -> None:
    """The folder is 0700 and each file in it 0600, after making and after rotating."""
    for purpose in ALGORITHM_OF:
        store.signer(purpose)
        store.rotate(purpose)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert len(list(folder.glob("*.pem"))) == 2 * len(ALGORITHM_OF)


def test_a_rotated_key_still_verifies_within_its_window(store: KeyStore, clock: ManualClock) -> None:
    """After a rotation the new key signs; the old one counts until the overlap has passed, and then no longer."""
    old = store.signer("ledger")
    signature = old.sign(b"checkpoint")
    clock.advance(3600)
    new = store.rotate("ledger", overlap=timedelta(hours=2))
    assert store.signer("ledger").key_id == new.key_id != old.key_id
    assert [key.key_id for key in store.public_keys("ledger")] == [old.key_id, new.key_id]
    published = store.find(old.key_id)
    assert published is not None
    published.public_key.verify(signature, b"checkpoint")
    rotated_at = NOW + timedelta(hours=1)
    assert published.not_after == rotated_at + timedelta(hours=2)
    assert published.valid_at(NOW)
    assert published.valid_at(published.not_after - timedelta(microseconds=1))
    assert not published.valid_at(published.not_after)
    assert not published.valid_at(published.not_before - timedelta(microseconds=1))
    assert new.valid_at(rotated_at - keys.CLOCK_SKEW)
    assert new.not_after is None
    with pytest.raises(BadSignature):
        new.public_key.verify(signature, b"checkpoint")


def test_another_process_sees_a_rotation(store: KeyStore, folder: Path, clock: ManualClock) -> None:
    """A store that has cached the old key signs with the new one as soon as somebody else has rotated."""
    other = KeyStore(folder, clock)
    assert other.signer("bundle-dev").key_id == store.signer("bundle-dev").key_id
    new = store.rotate("bundle-dev")
    assert other.signer("bundle-dev").key_id == new.key_id


def test_an_ended_key_can_no_longer_sign(store: KeyStore, folder: Path, clock: ManualClock) -> None:
    """A rotation deletes private keys whose window has ended; their public keys stay published."""
    first = store.signer("ledger").key_id
    second = store.rotate("ledger", overlap=timedelta(hours=1)).key_id
    assert len(list(folder.glob("ledger-*.pem"))) == 2
    clock.advance(3600)
    third = store.rotate("ledger").key_id
    assert {file.name for file in folder.glob("*.pem")} == {f"ledger-{key_id[:16]}.pem" for key_id in (second, third)}
    assert [key.key_id for key in store.public_keys("ledger")] == [first, second, third]


def test_a_key_that_is_not_valid_yet_does_not_sign(store: KeyStore, folder: Path) -> None:
    """A little skew of the clock is fine; a clock that was set far back stops signing and says so."""
    key_id = store.signer("ledger").key_id
    assert KeyStore(folder, ManualClock(NOW - keys.CLOCK_SKEW)).signer("ledger").key_id == key_id
    with pytest.raises(Unavailable, match="No key for ledger is valid at 2026-11-21") as caught:
        KeyStore(folder, ManualClock(NOW - timedelta(days=1))).signer("ledger")
    assert "clock" in caught.value.next_step


def test_unknown_purposes_and_negative_overlaps_are_refused(store: KeyStore, folder: Path) -> None:
    """Only the purposes of the table have keys, and nothing is made for another one."""
    unknown = cast("Purpose", "../../etc")
    for ask in (store.signer, store.public_keys, store.rotate):
        with pytest.raises(InvalidInput, match=r"no keys for '\.\./\.\./etc'"):
            ask(unknown)
    with pytest.raises(InvalidInput, match="negative"):
        store.rotate("ledger", overlap=timedelta(seconds=-1))
    assert not folder.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_private_key_that_others_can_read_is_refused(store: KeyStore, folder: Path, mode: int) -> None:
    """A private key with a lax mode is not used, and the sentence says which file and which command mends it."""
    store.signer("ledger")
    (private,) = folder.glob("*.pem")
    private.chmod(mode)
    fresh = KeyStore(folder, ManualClock(NOW))
    with pytest.raises(Unavailable, match=f"{private.name} .* mode {mode:04o}") as caught:
        fresh.signer("ledger")
    assert caught.value.next_step == f"Run: chmod 600 {private}"
    private.chmod(0o600)
    assert fresh.signer("ledger").key_id == store.signer("ledger").key_id


def test_an_index_that_others_can_write_is_refused(store: KeyStore, folder: Path) -> None:
    """Public keys that somebody else could have replaced are not trusted."""
    store.signer("ledger")
    (folder / "index.json").chmod(0o620)
    with pytest.raises(Unavailable, match="mode 0620"):
        KeyStore(folder, ManualClock(NOW)).public_keys("ledger")


def test_a_folder_that_others_can_enter_is_refused(store: KeyStore, folder: Path) -> None:
    """Neither making nor reading keys happens in a folder that lets others in."""
    folder.mkdir(parents=True, mode=0o700)
    folder.chmod(0o750)
    with pytest.raises(Unavailable, match="mode 0750") as caught:
        store.signer("ledger")
    assert caught.value.next_step == f"Run: chmod 700 {folder}"
    assert list(folder.iterdir()) == []
    folder.chmod(0o700)
    store.signer("ledger")
    folder.chmod(0o705)
    with pytest.raises(Unavailable, match="mode 0705"):
        KeyStore(folder, ManualClock(NOW)).signer("ledger")


def _edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return a damage that changes the first key in the index."""

    def damage(folder: Path) -> None:
        index = json.loads((folder / "index.json").read_bytes())
        change(index["keys"][0])
        (folder / "index.json").write_text(json.dumps(index))

    return damage


def _private(folder: Path) -> Path:
    (file,) = folder.glob("*.pem")
    return file


def _half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _index_as_folder(folder: Path) -> None:
    (folder / "index.json").unlink()
    (folder / "index.json").mkdir(0o700)


def _index_as_link(folder: Path) -> None:
    (folder / "index.json").rename(folder / "elsewhere")
    (folder / "index.json").symlink_to("elsewhere")


def _index(data: bytes) -> Callable[[Path], None]:
    """Return a damage that replaces the content of the index."""

    def damage(folder: Path) -> None:
        (folder / "index.json").write_bytes(data)

    return damage


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "half index": (lambda folder: _half(folder / "index.json"), "index"),
    "empty index": (_index(b""), "index"),
    "foreign index": (_index(b'{"version":1,"files":[]}'), "unknown field"),
    "binary index": (_index(b"\xff\xfe"), "index"),
    "deep index": (_index(b"[" * 100_000), "index"),
    "newer index": (_index(b'{"version":2,"keys":[]}'), "version"),
    "huge index": (_index(b" " * 2_000_000), "larger than"),
    "index is a folder": (_index_as_folder, "not a regular file"),
    "index is a link": (_index_as_link, "not a regular file"),
    "index lost": (lambda folder: (folder / "index.json").rename(folder / "lost"), "index.json is missing, but"),
    "other key id": (_edit(lambda row: row.update(key_id="0" * 64)), "not the one it is said to be"),
    "other algorithm": (_edit(lambda row: row.update(algorithm="ecdsa-p256")), "not the one it is said to be"),
    "other purpose": (_edit(lambda row: row.update(purpose="attestation")), "a key for attestation is of the kind"),
    "unknown purpose": (_edit(lambda row: row.update(purpose="mail")), "Invalid enum value 'mail'"),
    "naive time": (_edit(lambda row: row.update(not_before="2026-01-01T00:00:00")), "timezone"),
    "half public key": (_edit(lambda row: row.update(public_key=row["public_key"][:60])), "not a public key"),
    "half private key": (lambda folder: _half(_private(folder)), "does not hold a private key"),
    "huge private key": (lambda folder: _private(folder).write_bytes(b"A" * 100_000), "larger than"),
    "private key lost": (lambda folder: _private(folder).rename(folder / "lost"), "is missing"),
    "foreign private key": (
        lambda folder: _private(folder).write_bytes(LocalSigner.generate("ed25519").private_pem()),
        "does not belong to the published key",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_store_says_what_is_broken_and_changes_nothing(folder: Path, store: KeyStore, damage: str) -> None:
    """Each broken, half-written or foreign file gives one sentence that names it, and no new key appears."""
    store.signer("ledger")
    harm, fault = DAMAGES[damage]
    harm(folder)
    before = sorted(folder.iterdir())
    with pytest.raises(CompanyOSError, match=fault) as caught:
        KeyStore(folder, ManualClock(NOW)).signer("ledger")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(folder.iterdir()) == before


def test_lost_keys_are_never_replaced_by_a_rotation(store: KeyStore, folder: Path) -> None:
    """Without its index a store refuses to rotate too, since that would begin a new history beside the old."""
    store.signer("ledger")
    (folder / "index.json").unlink()
    with pytest.raises(IntegrityFault, match="missing"):
        KeyStore(folder, ManualClock(NOW)).rotate("ledger")


def test_a_place_that_is_no_folder_is_unusable(tmp_path: Path) -> None:
    """A file where the folder should be gives a sentence about the folder."""
    (tmp_path / "keys").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"key folder .*keys cannot be used"):
        KeyStore(tmp_path / "keys", ManualClock(NOW)).signer("ledger")


def test_a_lock_that_is_never_given_back_is_waited_for_in_vain(
    store: KeyStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who holds the lock for too long gets named as the reason, and reading goes on meanwhile."""
    key_id = store.signer("ledger").key_id
    monkeypatch.setattr(keys, "_LOCK_PATIENCE_S", 0.05)
    with (folder / ".lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert KeyStore(folder, ManualClock(NOW)).signer("ledger").key_id == key_id
        with pytest.raises(Unavailable, match="Another process has been changing the keys"):
            store.rotate("ledger")
    store.rotate("ledger")


# Each line from the parent is a starting shot; the answer tells which key this process ended up with.
RACER = """
import sys
from pathlib import Path
from companyos.core.clock import SystemClock
from companyos.core.keys import KeyStore
print("ready", flush=True)
for line in sys.stdin:
    action, folder = line.split()
    store = KeyStore(Path(folder), SystemClock())
    print(store.rotate("ledger").key_id if action == "rotate" else store.signer("attestation").key_id, flush=True)
"""


class Racers:
    """Four processes that wait for a starting shot."""

    def __init__(self) -> None:
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", RACER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
            )
            for _ in range(4)
        ]
        assert self.answers() == ["ready"] * 4

    def answers(self) -> list[str]:
        """One line of each."""
        return [process.stdout.readline().strip() for process in self._processes if process.stdout]

    def race(self, action: str, folder: Path) -> list[str]:
        """The answers of all four to a shot that they hear at once."""
        for process in self._processes:
            assert process.stdin
            process.stdin.write(f"{action} {folder}\n")
            process.stdin.flush()
        return self.answers()

    def close(self) -> None:
        """End all four."""
        for process in self._processes:
            process.communicate(timeout=30)


@contextmanager
def racers() -> Iterator[Racers]:
    """Four racing processes that are gone afterwards."""
    started = Racers()
    try:
        yield started
    finally:
        started.close()


def test_four_processes_at_once_end_with_one_key(tmp_path: Path) -> None:
    """Processes that ask for the first signer at the same moment all get the same key, and only that one exists."""
    with racers() as four:
        for number in range(20):
            folder = tmp_path / str(number)
            answers = set(four.race("signer", folder))
            (published,) = KeyStore(folder, SystemClock()).public_keys("attestation")
            assert answers == {published.key_id}
            assert len(list(folder.glob("*.pem"))) == 1


def test_no_rotation_of_four_processes_is_lost(folder: Path) -> None:
    """Forty rotations by four processes at once leave forty keys, of which exactly the last signs."""
    made: list[str] = []
    with racers() as four:
        for _ in range(10):
            made += four.race("rotate", folder)
    published = KeyStore(folder, SystemClock()).public_keys("ledger")
    assert sorted(key.key_id for key in published) == sorted(made)
    assert [key.not_after is None for key in published] == [False] * 39 + [True]


def make_and_rotate(folder: Path) -> None:
    """What is killed at each of its steps: the first key, then a rotation that deletes it."""
    store = KeyStore(folder, SystemClock())
    store.signer("ledger")
    store.rotate("ledger", overlap=timedelta(0))


def test_killed_anywhere_the_store_goes_on(tmp_path: Path) -> None:
    """Killed before any of its file operations, a store has the old keys or the new, signs, and rotates again."""
    crashed = crash_everywhere("tests.core.test_keys:make_and_rotate", tmp_path)
    assert len(crashed) > 12
    counts = set()
    for folder in crashed:
        before = KeyStore(folder, SystemClock()).public_keys("ledger")
        counts.add(len(before))
        store = KeyStore(folder, SystemClock())
        signer = store.signer("ledger")
        published = store.find(signer.key_id)
        assert published is not None
        published.public_key.verify(signer.sign(b"data"), b"data")
        if before:
            assert signer.key_id == before[-1].key_id
        store.rotate("ledger")
        assert not list(folder.glob("*.partial"))
        assert not list(folder.glob(".*.partial"))
    assert counts == {0, 1, 2}


def test_a_store_can_be_copied(store: KeyStore, folder: Path, tmp_path: Path) -> None:
    """A backup that keeps the modes is the same store."""
    signer = store.signer("bundle-dev")
    shutil.copytree(folder, tmp_path / "backup")
    assert KeyStore(tmp_path / "backup", ManualClock(NOW)).signer("bundle-dev").key_id == signer.key_id

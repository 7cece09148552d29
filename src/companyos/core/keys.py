"""The key store: a private folder with one key per purpose to sign with, and those that signed before it.

The folder (0700) holds ``index.json``, which says what is published, a file ``<purpose>-<key id>.pem`` for each
private key (0600, PKCS#8), and ``.lock``. A key exists once the index names it, and the index is replaced in one step:
a process that dies anywhere leaves the keys of before or those of after. Changes hold the lock, which dies with its
process.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

import msgspec

from companyos.core import durable
from companyos.core.clock import Clock
from companyos.core.errors import CompanyOSError, IntegrityFault, InvalidInput, NotFound, TooLarge, Unavailable
from companyos.core.signing import Algorithm, LocalSigner, PublicKey, Signer

Purpose: TypeAlias = Literal["ledger", "attestation", "bundle-dev", "bundle-staging", "bundle-prod"]
"""What a key is for; no key serves two purposes."""

ALGORITHM_OF: Final[Mapping[Purpose, Algorithm]] = MappingProxyType(
    {
        "ledger": "ed25519",
        "attestation": "ecdsa-p256",  # the one kind that every Sigstore verifier accepts
        # The one kind that both the policy bundles of OPA and our own deciders verify; a stage has keys of its own.
        "bundle-dev": "ecdsa-p256",
        "bundle-staging": "ecdsa-p256",
        "bundle-prod": "ecdsa-p256",
    }
)
"""How the keys of each purpose sign."""

OVERLAP: Final = timedelta(days=1)
"""How long a key stays valid after its rotation, so that who still signs with it or knows only it can catch up."""

CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far before its making a key is valid already, for readers whose clock is behind."""

_INDEX: Final = "index.json"
_LOCK: Final = ".lock"
_MAX_INDEX_BYTES: Final = 1024 * 1024
_MAX_PEM_BYTES: Final = 16 * 1024
_NOBODY_ELSE: Final = 0o077
_NOBODY_ELSE_WRITES: Final = 0o022
_LOCK_PATIENCE_S: Final = 10.0
_LOCK_POLL_S: Final = 0.01

_Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key with its purpose and the window in which its signatures count."""

    purpose: Purpose
    public_key: PublicKey
    not_before: datetime
    """The first moment of the window; aware, UTC."""
    not_after: datetime | None = None
    """The first moment after the window; None while the key is the one that signs."""

    @property
    def key_id(self) -> str:
        """The key id of the public key."""
        return self.public_key.key_id

    def valid_at(self, moment: datetime) -> bool:
        """Tell whether a signature made at this aware moment counts."""
        return self.not_before <= moment and (self.not_after is None or moment < self.not_after)


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    purpose: Purpose
    key_id: str
    algorithm: Algorithm
    not_before: _Moment
    not_after: _Moment | None
    public_key: str


class _Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Literal[1] = 1
    keys: tuple[_Row, ...] = ()


class KeyStore:
    """The keys in one folder, shared by all processes and threads that use it.

    Every method raises InvalidInput for an unknown purpose, IntegrityFault for a file that is broken or foreign, and
    Unavailable when the folder cannot be used or lets others in; the sentence names the file and the next step.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        """Take the folder, which is made when the first key is, and what tells the time."""
        self._path = path
        self._clock = clock
        self._signers: dict[str, LocalSigner] = {}
        self._seen: tuple[object, tuple[PublishedKey, ...]] | None = None

    def signer(self, purpose: Purpose) -> Signer:
        """Return what signs for this purpose now, making its first key if there is none.

        Cheap enough to be asked before every signature, which is how a rotation by another process is noticed.
        """
        published = self.public_keys(purpose) or (self._make_first(purpose),)
        now = self._clock.now()
        valid = [key for key in published if key.valid_at(now)]
        if not valid:
            raise Unavailable(
                f"No key for {purpose} is valid at {now.isoformat()}; the newest begins at "
                f"{published[-1].not_before.isoformat()}.",
                next_step="Set this machine's clock.",
            )
        return self._load(valid[-1])

    def public_keys(self, purpose: Purpose) -> tuple[PublishedKey, ...]:
        """Return what was ever published for this purpose, oldest first; empty before the first ``signer``."""
        _check_purpose(purpose)
        return tuple(key for key in self._published() if key.purpose == purpose)

    def find(self, key_id: str) -> PublishedKey | None:
        """Return the published key with this key id, or None when this store never had it."""
        return next((key for key in self._published() if key.key_id == key_id), None)

    def rotate(self, purpose: Purpose, *, overlap: timedelta = OVERLAP) -> PublishedKey:
        """Publish a new key, which signs from now on, and return it; the one before stays valid for the overlap.

        Private keys whose window has ended are deleted: they can sign nothing any more that counts.
        """
        _check_purpose(purpose)
        if overlap < timedelta(0):
            raise InvalidInput("The overlap of two keys cannot be negative.", next_step="Give zero or more.")
        with self._changing():
            now = self._clock.now()
            kept = tuple(
                msgspec.structs.replace(key, not_after=now + overlap)
                if key.purpose == purpose and key.not_after is None
                else key
                for key in self._published()
            )
            new = self._add(purpose, kept)
            for key in kept:
                if key.not_after is not None and key.not_after <= now:
                    self._private_file(key).unlink(missing_ok=True)
            return new

    def _make_first(self, purpose: Purpose) -> PublishedKey:
        """Return the key that this process made, or the one that another made while this one waited for the lock."""
        with self._changing():
            published = self._published()
            return next((key for key in published if key.purpose == purpose), None) or self._add(purpose, published)

    def _add(self, purpose: Purpose, kept: tuple[PublishedKey, ...]) -> PublishedKey:
        """Write a new private key, then the index that names it. The lock is held."""
        for partial in self._path.glob(f".*{durable.PARTIAL_SUFFIX}"):
            partial.unlink(missing_ok=True)  # Whoever was writing it held the lock and is dead.
        if not (self._path / _INDEX).exists():
            # A missing index beside private keys must always mean that it was lost, so it comes first.
            durable.write(self._path / _INDEX, _encode(()))
        signer = LocalSigner.generate(ALGORITHM_OF[purpose])
        new = PublishedKey(purpose=purpose, public_key=signer.public_key, not_before=self._clock.now() - CLOCK_SKEW)
        durable.write(self._private_file(new), signer.private_pem())
        durable.write(self._path / _INDEX, _encode((*kept, new)))
        return new

    def _load(self, key: PublishedKey) -> LocalSigner:
        """Return the signer of a published key, read once per process."""
        if (known := self._signers.get(key.key_id)) is not None:
            return known
        path = self._private_file(key)
        try:
            signer = LocalSigner.from_private_pem(self._read(path.name, _MAX_PEM_BYTES, forbidden_mode=_NOBODY_ELSE))
        except (NotFound, InvalidInput) as fault:
            what = "is missing" if isinstance(fault, NotFound) else "does not hold a private key"
            raise IntegrityFault(f"The private key {path} {what}.", next_step="Restore it from a backup.") from fault
        if signer.key_id != key.key_id:
            raise IntegrityFault(
                f"The private key {path} does not belong to the published key {key.key_id[:16]}….",
                next_step="Restore it from a backup.",
            )
        self._signers[key.key_id] = signer
        return signer

    def _published(self) -> tuple[PublishedKey, ...]:
        """Return what the index says, reading it only when the file is another one than last time."""
        with self._usable():
            try:
                status = (self._path / _INDEX).lstat()
            except FileNotFoundError:
                self._check_nothing_lost()
                return ()
        signature = (status.st_ino, status.st_mtime_ns, status.st_size)
        seen = self._seen
        if seen is None or seen[0] != signature:
            # Should the file be replaced in between, the signature is too old and the next call reads again.
            data = self._read(_INDEX, _MAX_INDEX_BYTES, forbidden_mode=_NOBODY_ELSE_WRITES)
            seen = self._seen = (signature, _decode(data, self._path / _INDEX))
        return seen[1]

    def _check_nothing_lost(self) -> None:
        """Refuse to begin anew beside private keys: what they signed could no longer be verified."""
        lost = next(iter(sorted(self._path.glob("*.pem"))), None)
        if lost is not None and not (self._path / _INDEX).exists():
            raise IntegrityFault(
                f"The key index {self._path / _INDEX} is missing, but the private key {lost.name} is there.",
                next_step="Restore index.json from a backup, or move the folder away to begin with new keys.",
            )

    def _private_file(self, key: PublishedKey) -> Path:
        return self._path / f"{key.purpose}-{key.key_id[:16]}.pem"

    def _read(self, name: str, limit_bytes: int, *, forbidden_mode: int) -> bytes:
        """Return a file of the folder after checking who else could have read or written it."""
        path = self._path / name
        try:
            with self._usable():
                durable.check_mode(self._path, self._path.stat(), _NOBODY_ELSE)
                return durable.read(path, limit_bytes=limit_bytes, forbidden_mode=forbidden_mode)
        except TooLarge as fault:
            raise IntegrityFault(str(fault), next_step="Restore it from a backup.") from fault

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock of the folder, making the folder first if need be."""
        with self._usable():
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            durable.check_mode(self._path, self._path.stat(), _NOBODY_ELSE)
            descriptor = os.open(self._path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                self._wait_for(descriptor)
                yield
            finally:
                os.close(descriptor)  # Closing gives the lock back.

    def _wait_for(self, descriptor: int) -> None:
        deadline = time.monotonic() + _LOCK_PATIENCE_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as fault:
                if time.monotonic() >= deadline:
                    raise Unavailable(
                        f"Another process has been changing the keys in {self._path} for {_LOCK_PATIENCE_S:.0f} s.",
                        next_step="Find it with: fuser .lock (in that folder)",
                    ) from fault
                time.sleep(_LOCK_POLL_S)
            else:
                return

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """Turn what the operating system says about the folder into one sentence."""
        try:
            yield
        except OSError as fault:
            raise Unavailable(
                f"The key folder {self._path} cannot be used: {fault.strerror or fault}.",
                next_step="Make it a folder that this user owns, with mode 700, on a disk with room.",
            ) from fault


def _check_purpose(purpose: str) -> None:
    if purpose not in ALGORITHM_OF:
        raise InvalidInput(
            f"There are no keys for {purpose[:40]!r}.", next_step=f"Use one of {', '.join(ALGORITHM_OF)}."
        )


def _encode(published: tuple[PublishedKey, ...]) -> bytes:
    rows = tuple(
        _Row(
            purpose=key.purpose,
            key_id=key.key_id,
            algorithm=key.public_key.algorithm,
            not_before=key.not_before,
            not_after=key.not_after,
            public_key=key.public_key.pem,
        )
        for key in published
    )
    return msgspec.json.format(msgspec.json.encode(_Index(keys=rows)), indent=2) + b"\n"


def _decode(data: bytes, path: Path) -> tuple[PublishedKey, ...]:
    """Return the keys of an index, each proven to be what its row says."""
    try:
        index = msgspec.json.decode(data, type=_Index)
        published = tuple(
            PublishedKey(
                purpose=row.purpose,
                public_key=PublicKey.from_pem(row.public_key),
                not_before=row.not_before,
                not_after=row.not_after,
            )
            for row in index.keys
        )
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, CompanyOSError) as fault:
        raise _broken(path, str(fault)) from fault
    for row, key in zip(index.keys, published, strict=True):
        if (row.key_id, row.algorithm) != (key.key_id, key.public_key.algorithm):
            raise _broken(path, f"the key {row.key_id[:16]!r} is not the one it is said to be")
        if key.public_key.algorithm != ALGORITHM_OF[key.purpose]:
            raise _broken(path, f"a key for {key.purpose} is of the kind {key.public_key.algorithm}")
    if len({key.key_id for key in published}) != len(published):
        raise _broken(path, "a key is named twice")
    return published


def _broken(path: Path, fault: str) -> IntegrityFault:
    return IntegrityFault(
        f"The key index {path} cannot be used: {fault.rstrip('.')}.", next_step="Restore it from a backup."
    )

"""The public keys of an issuer: a JWK Set (RFC 7517) from a file in the home, or fetched and kept for a while."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from companyos.core import durable
from companyos.core.documents import Limits, parse_json
from companyos.core.errors import CompanyOSError, InvalidInput, Unavailable
from companyos.core.transport import is_loopback

if TYPE_CHECKING:
    from joserfc.jwk import Key

    from companyos.core.clock import Clock
    from companyos.identity.issuers import Issuer

LIMITS: Final = Limits(bytes=256 * 1024, depth=6, nodes=20_000)
MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2048
FETCH_TIMEOUT_S: Final = 5.0
FRESH_S: Final = 600.0
"""How long fetched keys are used without asking again."""
AGAIN_S: Final = 30.0
"""The least time between two fetches, whatever tokens ask for."""
KEPT_S: Final = 86_400.0
"""How long fetched keys are used while the issuer does not answer."""
_WRITABLE_BY_OTHERS: Final = 0o022
_OK: Final = 200
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_FITS: Final[Mapping[str, frozenset[str]]] = {
    "RSA": frozenset({"RS256", "PS256"}),
    "EC P-256": frozenset({"ES256"}),
    "OKP Ed25519": frozenset({"EdDSA"}),
}


class PublicKey(msgspec.Struct, frozen=True):
    """A key that verifies signatures of some algorithms."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any
    """joserfc's key."""


class Keys(msgspec.Struct, frozen=True):
    """The keys of an issuer at one moment."""

    keys: tuple[PublicKey, ...]
    digest: str
    """Of the text that they were read from, so that a key that is taken back ends what it has vouched for."""

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """Return the key of this id for this algorithm; without an id the only one for the algorithm; else None."""
        fitting = [key for key in self.keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]
        return fitting[0] if len(fitting) == 1 else None


class KeySource(Protocol):
    """Where the keys of one issuer come from."""

    def keys(self, *, again: bool = False) -> Keys:
        """Return the keys; ``again`` asks to look whether there are newer ones. Raises Unavailable without any."""
        ...


def read_keys(data: bytes, where: str) -> Keys:
    """Return the keys of a JWK Set that verify with one of our algorithms; others are left out.

    Raises InvalidInput for a set that is broken, holds a private key, or has no usable key.
    """
    value = parse_json(data, where=where, limits=LIMITS)
    listed = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(listed, list) or len(listed) > MAX_KEYS or not all(isinstance(one, dict) for one in listed):
        raise InvalidInput(f"{where} is no JWK Set of at most {MAX_KEYS} keys.", next_step="See RFC 7517 §5.")
    found = tuple(key for one in listed if (key := _key(one, where)) is not None)
    if not found:
        raise InvalidInput(
            f"{where} holds no key that verifies RS256, PS256, ES256 or EdDSA.", next_step="Give the right JWK Set."
        )
    return Keys(found, sha256(data).hexdigest())


def _key(jwk: dict[str, Any], where: str) -> PublicKey | None:
    if _PRIVATE & set(jwk):
        raise InvalidInput(
            f"{where} holds a private or shared key.", next_step="Replace that key, and publish its public part only."
        )
    kind = jwk.get("kty") if jwk.get("kty") == "RSA" else f"{jwk.get('kty')} {jwk.get('crv')}"
    algorithms = _FITS.get(str(kind), frozenset())
    operations = jwk.get("key_ops")
    if jwk.get("use", "sig") != "sig" or (operations is not None and operations != ["verify"]):
        return None
    if "alg" in jwk:
        algorithms &= {"EdDSA" if jwk["alg"] == "Ed25519" else jwk["alg"]} if isinstance(jwk["alg"], str) else set()
    kid = jwk.get("kid")
    if not algorithms or not (kid is None or isinstance(kid, str)):
        return None
    return PublicKey(kid, algorithms, _imported(jwk, where))


def _imported(jwk: dict[str, Any], where: str) -> Key:
    from joserfc.jwk import JWKRegistry, RSAKey

    try:
        key = JWKRegistry.import_key(jwk)
        if isinstance(key, RSAKey) and key.public_key.key_size < MIN_RSA_BITS:
            raise InvalidInput(
                f"{where} holds an RSA key of less than {MIN_RSA_BITS} bits.", next_step="Use a longer key."
            )
    except InvalidInput:
        raise
    except Exception as fault:
        raise InvalidInput(f"{where} holds a key that is none.", next_step="Give the right JWK Set.") from fault
    return key


class FileKeys:
    """A JWK Set in a file, which is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        """Take the path of the file."""
        self._path = path
        self._seen: tuple[tuple[int, int, int], Keys] | None = None

    def keys(self, *, again: bool = False) -> Keys:
        """Return the keys in the file as it is now."""
        del again
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._seen is None or self._seen[0] != version:
                data = durable.read(self._path, limit_bytes=LIMITS.bytes, forbidden_mode=_WRITABLE_BY_OTHERS)
                self._seen = (version, read_keys(data, str(self._path)))
        except (CompanyOSError, OSError) as fault:
            raise Unavailable(
                f"The keys of an issuer cannot be read: {fault}", next_step=f"Look at {self._path}."
            ) from fault
        return self._seen[1]


class FetchedKeys:
    """A JWK Set behind an address. It is fetched by one thread at a time, and the last good one is kept for a day."""

    def __init__(self, url: str, clock: Clock, fetch: Callable[[str], bytes] | None = None) -> None:
        """Take the address, what tells the time, and what fetches; that raises Unavailable."""
        self._url = url
        self._clock = clock
        self._fetch = fetch or fetch_keys
        self._lock = threading.Lock()
        self._good: tuple[float, Keys] | None = None
        self._asked_at: float | None = None
        self._fault: CompanyOSError | None = None

    def keys(self, *, again: bool = False) -> Keys:
        """Return the keys; they are fetched when they are old, or when ``again`` says so and a while has passed.

        While one thread fetches, the others go on with the keys that there are, as long as they may be used.
        """
        good = self._good
        usable = good is not None and self._clock.monotonic() - good[0] < KEPT_S
        if not self._lock.acquire(blocking=not usable):
            return good[1]  # type: ignore[index] # usable says that there are some
        try:
            now = self._clock.monotonic()
            old = self._good is None or now - self._good[0] >= FRESH_S
            may = self._asked_at is None or now - self._asked_at >= AGAIN_S
            if (old or again) and may:
                self._asked_at = now
                try:
                    self._good, self._fault = (now, read_keys(self._fetch(self._url), self._url)), None
                except CompanyOSError as fault:
                    self._fault = fault
            if self._good is None or now - self._good[0] >= KEPT_S:
                raise Unavailable(
                    f"The keys of an issuer cannot be fetched: {self._fault}", next_step=f"Look at {self._url}."
                )
            return self._good[1]
        finally:
            self._lock.release()


def source_of(issuer: Issuer, home: Path, clock: Clock) -> KeySource:
    """Return where the keys of an issuer come from."""
    if issuer.jwks_url is not None:
        return FetchedKeys(issuer.jwks_url, clock)
    return FileKeys(home / (issuer.jwks_file or ""))


def fetch_keys(url: str) -> bytes:
    """Return what is at an address, within ``FETCH_TIMEOUT_S`` and ``LIMITS``; raises Unavailable. No redirects."""
    return asyncio.run(_fetched(url))


async def _fetched(url: str) -> bytes:
    import httpx

    body = bytearray()
    try:
        async with (
            asyncio.timeout(FETCH_TIMEOUT_S),
            httpx.AsyncClient(timeout=FETCH_TIMEOUT_S, trust_env=not is_loopback(url)) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as answer,
        ):
            if answer.status_code != _OK:
                raise Unavailable(f"{url} answered {answer.status_code}.", next_step="Look whether it is right.")
            async for piece in answer.aiter_bytes():
                body += piece
                if len(body) > LIMITS.bytes:
                    raise Unavailable(f"{url} sends more than {LIMITS.bytes} bytes.", next_step="Look at it.")
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, OSError) as fault:
        raise Unavailable(
            f"{url} did not answer ({type(fault).__name__}).", next_step="Look whether it runs."
        ) from fault
    return bytes(body)

"""Callers with the token of another issuer: verified, known or made as subjects, and their claims kept as attributes.

A token that was accepted is remembered by its hash until it ends or the issuer's keys change. What it says is written
once, when it is newer than what its issuer said before; each new token so has one ledger record, as a sign-in has.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections import OrderedDict
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from companyos.core.access import Caller, Verdict
from companyos.core.errors import Conflict
from companyos.core.ids import uuid7
from companyos.identity import attribute_store, jwt, steps, store
from companyos.identity.attribute import Attribute, Place
from companyos.identity.attributing import MAX_ATTRIBUTES, raise_revision
from companyos.identity.issuers import load_issuers
from companyos.identity.jwt import TokenRefused, Verified
from companyos.identity.key_sets import KeySource, source_of
from companyos.identity.sign_in import SignIn

if TYPE_CHECKING:
    from datetime import datetime

    from companyos.identity.issuers import Issuer
    from companyos.identity.key_sets import Keys
    from companyos.identity.model import Subject
    from companyos.ledger import Change, Journal

REMEMBERED: Final = 4096
"""How many accepted tokens a process remembers."""
_TRIES: Final = 3
_VERDICT: Final = Verdict(allowed=True, policy="identity:issuer", reason="The issuer has signed the token.")
_PLAIN_SUB: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_HASH_DIGITS: Final = 24
_DISPLAY_NAME_LIMIT: Final = 200
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")
_log = logging.getLogger(__name__)


class Accepted(NamedTuple):
    """A token that was accepted, and how long that counts."""

    subject_id: str
    until: datetime
    issuer: str
    keys: str
    """The digest of the keys that it was verified with."""


class Remembered:
    """Accepted tokens by their hash; the one that was used least recently goes first. Threads may share it."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        """Take how many are kept."""
        self._limit = limit
        self._found: OrderedDict[bytes, Accepted] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many are kept now."""
        return len(self._found)

    def get(self, token: str, now: datetime) -> Accepted | None:
        """Return what was accepted, or None when it was not, or is over."""
        key = _hash(token)
        with self._lock:
            accepted = self._found.get(key)
            if accepted is None:
                return None
            if now >= accepted.until:
                del self._found[key]
                return None
            self._found.move_to_end(key)
            return accepted

    def add(self, token: str, accepted: Accepted) -> None:
        """Keep a token that was accepted."""
        with self._lock:
            self._found[_hash(token)] = accepted
            while len(self._found) > self._limit:
                self._found.popitem(last=False)


class Federating(SignIn):
    """Takes tokens of other issuers besides our own."""

    def __init__(self, journal: Journal) -> None:
        """Read which issuers there are; raises InvalidInput when their file is broken."""
        super().__init__(journal)
        home = journal.settings.folder.path
        self.issuers = load_issuers(home)
        self._sources: dict[str, KeySource] = {
            iss: source_of(issuer, home, journal.clock) for iss, issuer in self.issuers.items()
        }
        self._remembered = Remembered()

    def authenticate(
        self, token: str, *, ip: str | None = None, device: str | None = None, request_id: str | None = None
    ) -> Caller:
        """Return the caller behind a token of ours or of a configured issuer, or raise CredentialRefused.

        Raises Unavailable when the issuer's keys cannot be had, which is neither yes nor no.
        """
        if not self.issuers or not jwt.has_form(token):
            return super().authenticate(token, ip=ip, device=device, request_id=request_id)
        asker = Caller(subject="system:issuer", ip=ip, device=device, request_id=request_id)
        try:
            subject = self._subject_behind(token, asker)
        except TokenRefused as refused:
            _log.info("token refused", extra={"why": refused.why, "request_id": request_id})
            raise
        return subject.caller(self.journal.clock.now(), ip=ip, device=device, request_id=request_id)

    def _subject_behind(self, token: str, asker: Caller) -> Subject:
        now = self.journal.clock.now()
        accepted = self._remembered.get(token, now)
        if accepted is not None and self._sources[accepted.issuer].keys().digest == accepted.keys:
            with self.journal.read() as connection:
                subject = store.subject_by_id(connection, accepted.subject_id)
        else:
            issuer, keys, verified = self._verify(token, now)
            subject = self._take_over(issuer, verified, asker, now)
            self._remembered.add(token, Accepted(subject.id, verified.expires_at, issuer.issuer, keys.digest))
        if subject is None or subject.status != "active":
            raise TokenRefused("its subject is suspended")
        return subject

    def _verify(self, token: str, now: datetime) -> tuple[Issuer, Keys, Verified]:
        read = jwt.read_token(token)
        issuer = self.issuers.get(read.issuer)
        if issuer is None:
            raise TokenRefused("its issuer is not known")
        if read.algorithm not in issuer.algorithms:  # Before anything is fetched for it.
            raise TokenRefused("the algorithm is not allowed")
        source = self._sources[issuer.issuer]
        keys = source.keys()
        if keys.find(read.kid, read.algorithm) is None:
            keys = source.keys(again=True)
        return issuer, keys, jwt.verify(read, issuer, keys, now)

    def _take_over(self, issuer: Issuer, verified: Verified, asker: Caller, now: datetime) -> Subject:
        """Return the subject of a token, with what the token says of it written down."""
        for last in (*[False] * (_TRIES - 1), True):
            try:
                with self.journal.write(asker, unchanged_ok=True) as change:
                    return self._write(change, issuer, verified, now)
            except Conflict as fault:  # Another request with a token of the same subject was quicker.
                if last:
                    raise TokenRefused("its subject cannot be made") from fault
        raise AssertionError  # pragma: no cover - the last try returns or raises

    def _write(self, change: Change, issuer: Issuer, verified: Verified, now: datetime) -> Subject:
        known = attribute_store.issuer_subject(change.connection, issuer.issuer, verified.sub)
        if known is None:
            if not issuer.create_subjects:
                raise TokenRefused("its subject is not known")
            subject = steps.create(
                change, _VERDICT, issuer.subject_type, name_of(issuer, verified.sub), now, _person(verified)
            )
            attribute_store.link(change.connection, issuer.issuer, verified.sub, subject.id, now, verified.issued_at)
        else:
            found = store.subject_by_id(change.connection, known[0], lock=True)
            if found is None or found.status != "active":
                raise TokenRefused("its subject is suspended")
            subject = found
            # Looked up again behind the lock, because another request may have written meanwhile.
            known = attribute_store.issuer_subject(change.connection, issuer.issuer, verified.sub)
            if known is None or verified.issued_at <= known[1]:
                return subject
            attribute_store.heard(change.connection, issuer.issuer, verified.sub, verified.issued_at)
        place = Place("subject", subject.id)
        held = {one.name: one for one in attribute_store.of_places(change.connection, [place])}
        said = _said(place, issuer, verified, held)
        gone = [
            one for one in held.values() if one.source == issuer.source and one.name not in {new.name for new in said}
        ]
        change.record(
            verb="token.accept",
            target=subject.actor,
            verdict=_VERDICT,
            details={"issuer": issuer.name, "attributes": len(said), "withdrawn": len(gone)},
            personal={"sub": verified.sub},
        )
        if said:
            steps.set_attributes(change, _VERDICT, subject.actor, said)
        if gone:
            steps.remove_attributes(change, _VERDICT, subject.actor, gone)
        if said or gone:
            raise_revision(change.connection, place)
        return subject


def name_of(issuer: Issuer, sub: str) -> str:
    """Return what a subject of an issuer is called: ``<issuer>.<sub>``, or with a hash for a sub that is no name."""
    plain = f"{issuer.name}.{sub}"
    if _PLAIN_SUB.fullmatch(sub) and len(plain) <= 63:  # noqa: PLR2004 - what core.ids allows
        return plain
    return f"{issuer.name[:36]}.{sha256(sub.encode()).hexdigest()[:_HASH_DIGITS]}"


def _said(place: Place, issuer: Issuer, verified: Verified, held: dict[str, Attribute]) -> list[Attribute]:
    """Return what a token says, without what somebody else has said already: that stays until they withdraw it."""
    ttl = max(1, math.floor((verified.expires_at - verified.issued_at).total_seconds()))
    said = [
        Attribute(
            id=held[name].id if name in held else uuid7(),
            name=name,
            value=value,
            scope="subject",
            **place.columns,
            source=issuer.source,
            ttl=ttl,
            set_at=verified.issued_at,
        )
        for name, value in verified.attributes.items()
        if name not in held or held[name].source == issuer.source
    ]
    room = MAX_ATTRIBUTES - len(held)
    return [one for one in said if one.name in held] + [one for one in said if one.name not in held][: max(0, room)]


def _person(verified: Verified) -> dict[str, Any]:
    """Return the name and the address that a token gives, as far as they are such."""
    found: dict[str, Any] = {}
    name, email = verified.claims.get("name"), verified.claims.get("email")
    if isinstance(name, str) and 0 < len(name) <= _DISPLAY_NAME_LIMIT and name.isprintable():
        found["display_name"] = name
    if isinstance(email, str) and _EMAIL.fullmatch(email) and email.isprintable():
        found["email"] = email
    return found


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()

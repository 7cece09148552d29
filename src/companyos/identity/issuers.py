"""Which other issuers' tokens are taken, and what their claims mean: the file ``issuers.yaml`` in the home.

It is read when the platform starts. A file that cannot be read stops the start, because nobody should find out at the
first sign-in that an issuer is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from companyos.core import durable
from companyos.core.documents import Limits, decode, parse_yaml_documents
from companyos.core.errors import InvalidInput, NotFound
from companyos.core.fields import END, Name
from companyos.core.transport import is_loopback
from companyos.identity.attribute import AttributeName
from companyos.identity.model import SubjectType

FILE: Final = "issuers.yaml"
LIMITS: Final = Limits(bytes=256 * 1024, depth=6, nodes=5_000, documents=1)
_WRITABLE_BY_OTHERS: Final = 0o022

Algorithm: TypeAlias = Literal["RS256", "PS256", "ES256", "EdDSA"]
"""Signatures with a private key only: what HS256 verifies with, anybody who has it could also sign with."""
Text: TypeAlias = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[!-~]+" + END)]
ClaimName: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=200, description="A claim's name, or a JSON pointer that begins with a slash.")
]


class Issuer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One issuer whose tokens are taken."""

    name: Name
    """What subjects that it brings are called after: ``<name>.<sub>``."""
    issuer: Text
    """The exact value of ``iss``."""
    audience: Text | Annotated[tuple[Text, ...], Meta(min_length=1, max_length=16)]
    """What ``aud`` must name: one of these."""
    jwks_file: str | None = None
    """The public keys as a JWK Set (RFC 7517), relative to the home."""
    jwks_url: Annotated[str, Meta(max_length=2000)] | None = None
    """Where to fetch them; https, or this machine."""
    algorithms: Annotated[tuple[Algorithm, ...], Meta(min_length=1)] = ("RS256", "ES256")
    types: Annotated[tuple[Annotated[str, Meta(max_length=100)], ...], Meta(min_length=1)] = ("JWT", "at+jwt")
    """What ``typ`` may be; an empty text stands for a token without one."""
    leeway_s: Annotated[int, Meta(ge=0, le=300)] = 30
    """How far the clocks may differ."""
    max_lifetime_s: Annotated[int, Meta(ge=60, le=31_622_400)] = 86_400
    """A token that claims to live longer is refused."""
    subject_type: SubjectType = "user"
    create_subjects: bool = True
    """Make a subject without roles for a ``sub`` that is not known yet; otherwise it is refused."""
    attributes: Annotated[Mapping[ClaimName, AttributeName], Meta(max_length=64)] = {}
    """Claim to attribute."""

    @property
    def audiences(self) -> frozenset[str]:
        """The values of ``aud`` that mean us."""
        return frozenset((self.audience,) if isinstance(self.audience, str) else self.audience)

    @property
    def source(self) -> str:
        """The source of its attributes; long addresses are cut."""
        return f"jwt:{self.issuer}"[:200]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    issuers: Annotated[tuple[Issuer, ...], Meta(max_length=64)] = ()


NONE: Final[Mapping[str, Issuer]] = MappingProxyType({})


def load_issuers(home: Path) -> Mapping[str, Issuer]:
    """Return the issuers of a home by their ``iss``; none when there is no file.

    Raises InvalidInput or TooLarge that names the file and the field, and Unavailable when others may write to it.
    """
    path = home / FILE
    try:
        data = durable.read(path, limit_bytes=LIMITS.bytes, forbidden_mode=_WRITABLE_BY_OTHERS)
    except NotFound:
        return NONE
    documents = parse_yaml_documents(data, where=str(path), limits=LIMITS)
    file = decode(documents[0] if documents else {}, _File, where=str(path))
    for field in ("name", "issuer"):
        values = [getattr(issuer, field) for issuer in file.issuers]
        if len(values) != len(set(values)):
            raise _refused(path, f"has two issuers with the same {field}", field)
    for issuer in file.issuers:
        _check(path, issuer)
    return MappingProxyType({issuer.issuer: issuer for issuer in file.issuers})


def _check(path: Path, issuer: Issuer) -> None:
    if (issuer.jwks_file is None) == (issuer.jwks_url is None):
        raise _refused(path, f"must give the issuer {issuer.name} either jwks_file or jwks_url", "jwks_file")
    if len(set(issuer.attributes.values())) != len(issuer.attributes):
        raise _refused(path, f"takes one attribute of {issuer.name} from two claims", "attributes")
    if issuer.jwks_url is not None:
        parts = urlsplit(issuer.jwks_url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(issuer.jwks_url))
        if not safe or not parts.hostname or parts.username is not None:
            raise _refused(path, f"fetches the keys of {issuer.name} from no https address", "jwks_url")


def _refused(path: Path, what: str, field: str) -> InvalidInput:
    return InvalidInput(f"{path} {what}.", next_step="Mend that field.", field=f"issuers.{field}")

"""in-toto Statements v1: what is claimed (a predicate) about which artifacts (subjects), signed in a DSSE envelope.

Rules: https://github.com/in-toto/attestation, ``spec/v1/{statement,resource_descriptor,digest_set,envelope}.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

import msgspec

from companyos.core import canonical, documents, dsse
from companyos.core.errors import InvalidInput
from companyos.core.signing import PublicKey, Signer

TYPE: Final = "https://in-toto.io/Statement/v1"
"""What ``_type`` of every Statement says."""

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
"""The DSSE payload type of a Statement."""

MAX_SUBJECTS: Final = 4096
"""How many artifacts one Statement may be about."""

DIGEST_LENGTHS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "sha256": (64,),
        "sha384": (96,),
        "sha512": (128,),
        "sha512_256": (64,),
        "sha3_256": (64,),
        "sha3_384": (96,),
        "sha3_512": (128,),
        "blake2b": (128,),
        "gitCommit": (40, 64),
        "gitTree": (40, 64),
        "gitBlob": (40, 64),
        "gitTag": (40, 64),
        "sha224": (56,),
        "sha1": (40,),
        "md5": (32,),
    }
)
"""How many lower-case hexadecimal digits a digest of each known algorithm has."""

WEAK_DIGESTS: Final = frozenset({"sha1", "md5"})
"""Algorithms for which two contents with one digest can be made; allowed beside a stronger one, never alone.

Git's own digests count as strong: with SHA-1 its hash function detects the known collisions.
"""

_HEX: Final = re.compile(r"[0-9a-f]+")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_MAX_TEXT: Final = 2048
_SHOWN: Final = 40


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact, known by its digests; other fields of a resource descriptor are ignored when read.

    Making one raises InvalidInput unless it has a name, and digests of known algorithms of which one is strong.
    """

    digest: dict[str, str]
    """Algorithm to lower-case hexadecimal digest; not to be changed."""
    name: str = "_"
    """Which artifact of the Statement this is; ``_`` where a name means nothing, as the specification has it."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= _MAX_TEXT:
            raise _wrong(
                "name", f"A subject's name has 1 to {_MAX_TEXT} characters.", "Use _ where a name means nothing."
            )
        for algorithm, digest in self.digest.items():
            lengths = DIGEST_LENGTHS.get(algorithm)
            if lengths is None:
                raise _wrong(
                    "digest",
                    f"The subject {self.name[:_SHOWN]!r} has a digest of the unknown algorithm {algorithm[:_SHOWN]!r}.",
                    f"Use one of {', '.join(DIGEST_LENGTHS)}.",
                )
            if len(digest) not in lengths or not _HEX.fullmatch(digest):
                raise _wrong(
                    f"digest.{algorithm}",
                    f"The {algorithm} digest of the subject {self.name[:_SHOWN]!r} is not "
                    f"{' or '.join(map(str, lengths))} lower-case hexadecimal digits.",
                    "Write the digest in lower-case hexadecimal.",
                )
        if self.digest.keys() <= WEAK_DIGESTS:
            raise _wrong(
                "digest",
                f"The subject {self.name[:_SHOWN]!r} has no strong digest.",
                "Add the sha256 digest of the artifact.",
            )


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A claim about artifacts. Making one raises InvalidInput unless it has subjects and a predicate type."""

    subject: tuple[Subject, ...]
    predicate_type: str = msgspec.field(name="predicateType")
    """A URI that says how to read the predicate."""
    predicate: dict[str, Any] = msgspec.field(default_factory=dict)
    """What is claimed, a JSON object; not to be changed."""
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type", default=TYPE)

    def __post_init__(self) -> None:
        if not 1 <= len(self.subject) <= MAX_SUBJECTS:
            raise _wrong("subject", f"A Statement has 1 to {MAX_SUBJECTS} subjects.", "Name the artifacts it is about.")
        if len(self.predicate_type) > _MAX_TEXT or not _URI.fullmatch(self.predicate_type):
            raise _wrong(
                "predicateType",
                f"The predicate type {self.predicate_type[:_SHOWN]!r} is not a URI.",
                "Use the URI of a predicate, such as https://slsa.dev/provenance/v1.",
            )

    def is_about(self, algorithm: str, digest: str) -> bool:
        """Tell whether a subject has this digest, whatever its name."""
        return any(subject.digest.get(algorithm) == digest for subject in self.subject)


def encode(statement: Statement) -> bytes:
    """Return the Statement as canonical JSON. Raises InvalidInput when the predicate holds what JSON cannot say."""
    return canonical.dumps(
        {
            "_type": statement.type,
            "subject": [{"digest": subject.digest, "name": subject.name} for subject in statement.subject],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def decode(payload: bytes, *, max_bytes: int = canonical.MAX_BYTES) -> Statement:
    """Return the Statement in a JSON text, canonical or not; unknown fields are ignored, as the specification says.

    Raises InvalidInput that names the field, or TooLarge above ``max_bytes``.
    """
    value = canonical.loads(payload, max_bytes=max_bytes)
    if isinstance(value, dict) and "_type" not in value:
        raise _wrong("_type", "The text is not an in-toto Statement: it has no _type.", f"Set _type to {TYPE}.")
    return documents.decode(value, Statement, where="The in-toto Statement")


def sign(statement: Statement, signer: Signer) -> dsse.Envelope:
    """Return the Statement in a signed envelope. Raises InvalidInput as ``encode`` does, and what the signer raises."""
    return dsse.sign(encode(statement), PAYLOAD_TYPE, signer)


def verify(envelope: dsse.Envelope, keys: Iterable[PublicKey]) -> Statement:
    """Return the Statement that one of these keys signed.

    Raises BadSignature as ``dsse.verify`` does, and InvalidInput when what was signed is no Statement.
    """
    return decode(dsse.verify(envelope, keys, PAYLOAD_TYPE))


def _wrong(field: str, sentence: str, next_step: str) -> InvalidInput:
    return InvalidInput(sentence, next_step=next_step, field=field)

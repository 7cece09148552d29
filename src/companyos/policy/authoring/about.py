"""`metadata.yaml`: what people need to know about a version of a policy, and what the tools check it against."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from companyos.core.documents import Limits, decode, parse_yaml_documents
from companyos.core.errors import InvalidInput
from companyos_sdk.bundle.metadata import DEFAULT_ENTRYPOINT

FILE: Final = "metadata.yaml"
_LIMITS: Final = Limits(bytes=256 * 1024, depth=8, nodes=10_000, documents=1)
_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the change log."""

    version: _Label
    change: _Text
    date: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class Tests(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the tests are, and how much of the policy they must reach."""

    files: Annotated[tuple[_Label, ...], msgspec.Meta(min_length=1, max_length=500)]
    coverage: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    """The share of rows that must be reached, 0 to 1."""


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    owner: _Label
    tests: Tests
    changes: Annotated[tuple[Change, ...], msgspec.Meta(min_length=1, max_length=1000)]
    entrypoint: _Label = DEFAULT_ENTRYPOINT
    obligations: Annotated[tuple[_Label, ...], msgspec.Meta(max_length=64)] = ()
    """The types of obligations that the policy can emit."""


def read(data: bytes, where: str) -> About:
    """The metadata in a `metadata.yaml`; raises InvalidInput and TooLarge with the line or the field."""
    documents = parse_yaml_documents(data, where=where, limits=_LIMITS)
    if len(documents) != 1:
        raise InvalidInput(f"{where} is empty.", next_step="Write owner, tests and changes into it.")
    return decode(documents[0], About, where=where)

"""The keys that sign bundles, per stage: of a home, or as a platform publishes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from companyos.core import documents
from companyos.core.canonical import loads
from companyos.core.errors import InvalidInput
from companyos.policy.model import STAGES, Stage
from companyos_sdk import bundle as sdk

if TYPE_CHECKING:
    from companyos.core.keys import KeyStore, Purpose

PURPOSE: Final[Mapping[Stage, Purpose]] = MappingProxyType(
    {"dev": "bundle-dev", "staging": "bundle-staging", "prod": "bundle-prod"}
)
"""What the key store calls the keys of a stage."""

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Key(msgspec.Struct, frozen=True):
    key_id: str
    purpose: str
    public_key_pem: str
    not_before: _Moment
    not_after: _Moment | None = None


class _Keys(msgspec.Struct, frozen=True):
    keys: list[_Key]


def of_store(keys: KeyStore) -> sdk.TrustRoots:
    """Return the keys of a home."""
    return _roots(
        (stage, sdk.TrustedKey(key.public_key.pem, key.key_id, key.not_before, key.not_after))
        for stage in STAGES
        for key in keys.public_keys(PURPOSE[stage])
    )


def of_document(data: bytes, *, where: str) -> sdk.TrustRoots:
    """Return the keys in what a platform says at ``/.well-known/companyos-keys.json``. Raises InvalidInput."""
    found = documents.decode(loads(data), _Keys, where=where)
    stages = {purpose: stage for stage, purpose in PURPOSE.items()}
    try:
        return _roots(
            (stages[key.purpose], sdk.TrustedKey(key.public_key_pem, key.key_id, key.not_before, key.not_after))
            for key in found.keys
            if key.purpose in stages
        )
    except sdk.BundleError as fault:
        raise InvalidInput(f"{where} holds no usable keys: {fault.sentence}", next_step="Fetch it again.") from fault


def _roots(keys: Iterable[tuple[Stage, sdk.TrustedKey]]) -> sdk.TrustRoots:
    by_stage: dict[Stage, tuple[sdk.TrustedKey, ...]] = {}
    for stage, key in keys:
        by_stage[stage] = (*by_stage.get(stage, ()), key)
    return sdk.TrustRoots(by_stage)

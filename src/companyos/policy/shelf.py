"""The bytes of bundles: kept by digest, signed with the key of a stage, and opened only when every check holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from companyos.core import canonical, dsse, statement
from companyos.core.artifacts import ArtifactStore
from companyos.core.errors import InvalidInput
from companyos.core.keys import KeyStore
from companyos.core.statement import Statement, Subject
from companyos.policy.errors import BundleRefused
from companyos.policy.model import Stage
from companyos.policy.trusting import PURPOSE, of_store
from companyos_sdk import bundle as sdk
from companyos_sdk.bundle.limits import MAX_PACKED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from companyos.ledger import Journal
    from companyos_sdk.bundle import Bundle, TrustRoots

MAX_BYTES: Final = MAX_PACKED
"""How large a bundle may be."""

_SECOND: Final = timedelta(seconds=1)
_ATTESTATION_LIMIT_BYTES: Final = 1024 * 1024


class Shelf:
    """The artifacts and the keys of a home, as bundles need them. Private keys never leave it."""

    def __init__(self, journal: Journal) -> None:
        """Work in the home of this journal."""
        self._clock = journal.clock
        self._artifacts = ArtifactStore(journal.settings.folder.artifacts)
        self._keys = KeyStore(journal.settings.folder.keys, journal.clock)

    def put(self, data: bytes) -> str:
        """Return the digest under which the bytes are kept."""
        return str(self._artifacts.put(data, MAX_BYTES))

    def read(self, digest: str) -> bytes:
        """Return the bytes, proven to be those of the digest. Raises NotFound and IntegrityFault."""
        return self._artifacts.read(digest, MAX_BYTES)

    def trust(self) -> TrustRoots:
        """Return the public keys of every stage, as whoever decides has to be configured with."""
        return of_store(self._keys)

    def open(self, data: bytes, stage: Stage, *, at: datetime | None = None) -> Bundle:
        """Return the bundle in the bytes, as it would be accepted in the stage now or at the moment.

        Raises BundleRefused with the code of what is wrong.
        """
        try:
            return sdk.open_bundle(data, self.trust(), stage, now=at or self._clock.now())
        except sdk.BundleError as fault:
            raise BundleRefused(fault.code, fault.sentence, fault.next_step) from fault

    def seal(
        self, files: Mapping[str, bytes], stage: Stage, *, takes_back: tuple[str, datetime] | None = None
    ) -> bytes:
        """Return the bundle of these files, signed for the stage.

        ``takes_back`` is the active version that it may follow although it is older, and when that became active.
        """
        now = self._clock.now()
        from_version = None
        if takes_back is not None:
            from_version, since = takes_back
            # Signatures count whole seconds, and whoever decides wants this one to be the later one.
            now = max(now, since.replace(microsecond=0) + _SECOND)
        if sdk.MANIFEST not in files:
            raise BundleRefused(
                "missing-file", f"The bundle has no {sdk.MANIFEST}.", "Build it: companyos policy build"
            )
        try:
            return sdk.seal(files, self._keys.signer(PURPOSE[stage]), stage, now=now, rollback_from=from_version)
        except sdk.BundleError as fault:
            raise BundleRefused(fault.code, fault.sentence, fault.next_step) from fault

    def unpack(self, data: bytes) -> dict[str, bytes]:
        """Return the files in a bundle that nobody has signed yet. Raises BundleRefused."""
        try:
            return sdk.unpack(data)
        except sdk.BundleError as fault:
            raise BundleRefused(fault.code, fault.sentence, fault.next_step) from fault

    def attest(self, name: str, content_digest: str, predicate_type: str, predicate: dict[str, Any]) -> str:
        """Return the digest of a signed Statement about a content, kept with the artifacts."""
        if len(canonical.dumps(predicate)) > _ATTESTATION_LIMIT_BYTES // 2:
            raise InvalidInput("The Statement says too much to be signed.", next_step="Sign its digest instead.")
        claim = Statement(
            subject=(Subject(name=name, digest={"sha256": content_digest.removeprefix("sha256:")}),),
            predicate_type=predicate_type,
            predicate=predicate,
        )
        envelope = statement.sign(claim, self._keys.signer("attestation"))
        return str(self._artifacts.put(dsse.encode(envelope), _ATTESTATION_LIMIT_BYTES))

"""The use cases of a bundle's first steps: it is signed for dev, and published once, with what its tests say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from companyos.core.access import Caller, require
from companyos.core.clock import rfc3339
from companyos.core.errors import Conflict, TooLarge
from companyos.core.ids import uuid7
from companyos.policy import sentences, store
from companyos.policy.base import Base, check_stage, named
from companyos.policy.errors import BundleRefused, NothingActive
from companyos.policy.model import Checked, Published, SignedBundle, Stage
from companyos.policy.shelf import MAX_BYTES

if TYPE_CHECKING:
    from companyos_sdk.bundle import Bundle

TESTS: Final = "https://companyos.dev/attestations/policy-tests/v1"
"""The predicate type of the Statement about the tests of a bundle."""


class Publishing(Base):
    """Signing and publishing."""

    def sign(self, caller: Caller, data: bytes, stage: Stage) -> SignedBundle:
        """Return a built bundle signed for a stage; nothing is published by it, and the key stays here.

        For dev it takes ``policy.publish``. For another stage it takes ``policy.sign``, and only what is active there
        is signed again: for instance after a key was rotated elsewhere. Raises BundleRefused, NothingActive, Conflict.
        """
        action = "policy.publish" if check_stage(stage) == "dev" else "policy.sign"
        verdict = require(caller, action, f"policy:{stage}")
        _check_size(data)
        signed = self._shelf.seal(self._shelf.unpack(data), stage)
        bundle = self._shelf.open(signed, stage)
        about = bundle.metadata
        if stage != "dev":
            with self.journal.read() as connection:
                active = store.active(connection, about.bundle_id, stage)
            if active is None:
                raise NothingActive(about.bundle_id, stage)
            if active.content_digest != bundle.content_digest:
                raise Conflict(
                    f"{about.bundle_id}@{about.version} is not what is active in {stage}, which is {active.version}.",
                    next_step=f"companyos policy promote {about.bundle_id}@{about.version} --to {stage}",
                )
        with self.journal.write(caller) as change:
            change.record(
                verb="policy.sign",
                target=f"policy:{about.bundle_id}@{about.version}",
                verdict=verdict,
                details={"stage": stage, "content_digest": bundle.content_digest, "key_id": bundle.key_id},
            )
        return SignedBundle(
            bundle=signed,
            digest=bundle.digest,
            content_digest=bundle.content_digest,
            stage=stage,
            key_id=bundle.key_id,
        )

    def publish(self, caller: Caller, data: bytes) -> Published:
        """Return the published version; the same again changes nothing, another content under it is a Conflict.

        The bundle has to be signed for dev. Its tests are run here; without a compiler here it is published untested,
        and stays in dev. Raises BundleRefused and TooLarge.
        """
        verdict = require(caller, "policy.publish", "policy:dev")
        _check_size(data)
        bundle = self._shelf.open(data, "dev")
        about = bundle.metadata
        with self.journal.read() as connection:
            known = store.published(connection, about.bundle_id, about.version)
        if known is not None and known.tests is not None:
            return _same(known, bundle.content_digest)
        if (why := self._lockout(bundle)) is not None:
            raise Conflict(why, next_step=sentences.KEEP_A_WAY_BACK)
        checked = self._checker(bundle, self.journal.clock.now())
        made = Published(
            id=uuid7(),
            bundle_id=about.bundle_id,
            version=about.version,
            digest=self._shelf.put(data),
            content_digest=bundle.content_digest,
            entrypoint=about.entrypoint,
            obligations=about.obligations,
            tests=checked,
            attestation=self._attest_tests(bundle, checked) if checked is not None else None,
            published_by=caller.subject,
            published_by_id=caller.subject_id,
            published_at=self.journal.clock.now(),
        )
        with self.journal.write(caller, unchanged_ok=True) as change:
            known = store.published(change.connection, made.bundle_id, made.version)
            if known is not None and (known.tests is not None or checked is None):
                return _same(known, made.content_digest)
            if known is not None:
                made = msgspec.structs.replace(
                    _same(known, made.content_digest), tests=checked, attestation=made.attestation
                )
                store.set_tests(change.connection, made)
            else:
                store.add_published(change.connection, made)
            change.record(
                verb="policy.publish" if known is None else "policy.test",
                target=named(made),
                verdict=verdict,
                details={
                    "digest": made.digest,
                    "content_digest": made.content_digest,
                    "tests": _summary(made),
                    "attestation": made.attestation,
                },
            )
        return made

    def _attest_tests(self, bundle: Bundle, checked: Checked) -> str:
        return self._shelf.attest(
            f"{bundle.metadata.bundle_id}@{bundle.metadata.version}",
            bundle.content_digest,
            TESTS,
            {
                "passed": checked.passed,
                "failed": checked.failed,
                "coverage_ratio": checked.coverage_ratio,
                "failures": list(checked.failures),
                "at": rfc3339(checked.at),
            },
        )


def _same(known: Published, content_digest: str) -> Published:
    """Return the known version when it is this content, or raise Conflict."""
    if known.content_digest != content_digest:
        raise Conflict(
            f"{known.name} is published already, with another content.", next_step="Give it a higher version."
        )
    return known


def _summary(made: Published) -> dict[str, Any] | None:
    if made.tests is None:
        return None
    return {
        "passed": made.tests.passed,
        "failed": made.tests.failed,
        "coverage_ratio": made.tests.coverage_ratio,
    }


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise TooLarge(f"A bundle has at most {MAX_BYTES} bytes.", next_step="Keep facts that change out of its data.")
    if not data:
        raise BundleRefused("not-gzip", "There is no bundle in the body.", "Send what companyos policy build writes.")

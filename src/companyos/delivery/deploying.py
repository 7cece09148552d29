"""The use case of a deploy: what admission looks at, and what is written down when it says yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from companyos.catalog import Catalog
from companyos.core.access import Caller, Verdict, require
from companyos.core.errors import Conflict, Denied, InvalidInput
from companyos.core.ids import check_name, uuid7
from companyos.delivery import machine, planning, store
from companyos.delivery.model import FlagChange, Release
from companyos.delivery.policy import ReleasePolicy, changed, read_policy
from companyos.delivery.view import Detail
from companyos.evidence import Evidence, Facts, Verified, admit
from companyos.flags import Flags
from companyos.flags.definition import FILE_NAME as FLAGS
from companyos.operations import Operations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

    from companyos.evidence import Artifact
    from companyos.evidence.model import Signature
    from companyos.ledger import Change, Journal

SECTION: Final = "release"
"""The section of ``companyos.yaml`` that holds the policy of a service."""


class _Wanted(NamedTuple):
    """What somebody wants to deploy."""

    digest: str
    environment: str
    flags: tuple[FlagChange, ...]
    policy: ReleasePolicy | None


class _Read(NamedTuple):
    """What is known of the artifact. Reading it takes its time, so it is done before anything is locked."""

    artifact: Artifact | None
    signature: Signature
    base: str | None
    """The digest that the changelog is about."""
    changelog: dict[str, Any]
    flags: bytes


class Deploying:
    """Releases are accepted or refused here; the controller starts them."""

    def __init__(self, journal: Journal) -> None:
        """Work on the database, clock and ledger of this journal."""
        self.journal = journal
        self._catalog = Catalog(journal)
        self._evidence = Evidence(journal)
        self._flags = Flags(journal)
        self._operations = Operations(journal)

    def deploy(
        self,
        caller: Caller,
        *,
        digest: str,
        environment: str = "production",
        flags: tuple[FlagChange, ...] = (),
        policy: ReleasePolicy | None = None,
    ) -> Detail:
        """Return the release that was accepted.

        Service and version come from the artifact, the policy from the manifest unless it is given. Raises Denied with
        the rule of admission that said no, which is recorded; NotFound, InvalidInput, Conflict.
        """
        check_name(environment, what="environment", field="environment")
        verdict = require(caller, "release.deploy", f"artifact:{digest[:80]}")
        if environment != self.journal.settings.environment:
            raise InvalidInput(
                f"This platform delivers to {self.journal.settings.environment}, not to {environment}.",
                next_step="Leave the environment out, or deploy where that one is.",
                field="environment",
            )
        wanted = _Wanted(digest, environment, flags, policy)
        read = self._read(wanted)
        if read.artifact is not None:
            verdict = require(
                caller, "release.deploy", f"release:{read.artifact.release}", _facts_of(read, environment)
            )
        try:
            with self.journal.write(caller) as change:
                artifact = self._admitted(change.connection, wanted, read)
                return self._accept(change, caller, verdict, artifact, wanted, read)
        except Denied as denied:
            if denied.policy is not None and denied.policy.startswith("admission:"):
                self.journal.deny(caller, "release.deploy", _target(read.artifact, digest), denied)
            raise

    def _read(self, wanted: _Wanted) -> _Read:
        artifact = self._evidence.artifact(wanted.digest)
        signature = self._evidence.signature_of(wanted.digest)
        if artifact is None or not isinstance(signature, Verified):
            # It will be refused; bytes that nobody vouches for are not read.
            return _Read(artifact, signature, None, {}, b"")
        with self.journal.read() as connection:
            current = store.stable(connection, artifact.service, wanted.environment)
        base = current.release.digest if current else None
        changelog = self._evidence.changelog(base, artifact.digest)
        return _Read(artifact, signature, base, changelog, self._evidence.file(artifact.digest, FLAGS) or b"")

    def _admitted(self, connection: Connection, wanted: _Wanted, read: _Read) -> Artifact:
        """Return the artifact that may be deployed, or raise Denied with the rule that said no."""
        admission = admit(self._facts(connection, wanted, read))
        if admission.allowed and read.artifact is not None:
            return read.artifact
        raise Denied(
            admission.reason,
            next_step=admission.next_step,
            action="release.deploy",
            resource=_target(read.artifact, wanted.digest),
            policy=admission.policy,
        )

    def _facts(self, connection: Connection, wanted: _Wanted, read: _Read) -> Facts:
        artifact = read.artifact
        current = moving = None
        holds: tuple[str, ...] = ()
        if artifact is not None:
            current = store.stable(connection, artifact.service, wanted.environment)
            moving = store.unfinished(connection, artifact.service, wanted.environment)
            found = self._operations.active_holds(connection, f"release:{artifact.release}")
            holds = tuple(hold.reason for hold in found)
        return Facts(
            digest=wanted.digest,
            artifact=artifact,
            signature=read.signature,
            denial=self._evidence.denial(connection, wanted.digest),
            running=current.release.name if current is not None and _is_same(current, artifact) else None,
            in_flight=moving.release.name if moving is not None else None,
            holds=holds,
            service_known=artifact is not None and self._catalog.has_service(connection, artifact.service),
        )

    def _accept(
        self, change: Change, caller: Caller, verdict: Verdict, artifact: Artifact, wanted: _Wanted, read: _Read
    ) -> Detail:
        connection = change.connection
        now = self.journal.clock.now()
        current = store.stable(connection, artifact.service, wanted.environment)
        if (current.release.digest if current else None) != read.base:
            raise Conflict(
                f"Another version of {artifact.service} became the stable one just now.", next_step="Deploy again."
            )
        release = Release(
            id=uuid7(),
            service=artifact.service,
            version=artifact.version,
            environment=wanted.environment,
            digest=artifact.digest,
            commit=artifact.commit,
            baseline=planning.baseline_of(current),
            policy=wanted.policy or self._policy_of(connection, artifact.service),
            flags=wanted.flags,
            created_at=now,
            created_by=caller.subject,
            created_by_id=caller.subject_id,
            created_roles=tuple(sorted(caller.roles)),
        )
        stored = store.Stored(
            release=release,
            state=machine.begin(release, now),
            snapshot=planning.first_summary(release),
            plan=planning.plan(release, current),
            changelog=read.changelog,
            in_flight=True,
            stable=False,
            revision=1,
        )
        store.add(connection, stored)
        self._flags.define_in(change, release.service, read.flags, digest=release.digest)
        change.record(
            verb="release.deploy",
            target=f"service:{release.service}",
            verdict=verdict,
            service=release.service,
            release=release.name,
            details={
                "release_id": release.id,
                "digest": release.digest,
                "commit": release.commit,
                "environment": release.environment,
                "previous": read.base,
                "policy": release.policy.digest,
                "policy_changes": _plain(changed(release.policy)),
                "flags": {flag.key: flag.value for flag in release.flags},
            },
        )
        return planning.detail(stored, transitions=(), owed=())

    def _policy_of(self, connection: Connection, service: str) -> ReleasePolicy:
        known = self._catalog.services_for_projection({service}, connection=connection)
        section = known[0].service.sections.get(SECTION) if known else None
        return read_policy(section, where=f"the manifest of {service}, spec.{SECTION}")


def _is_same(current: store.Stored, artifact: Artifact | None) -> bool:
    release = current.release
    return artifact is not None and (release.digest == artifact.digest or release.version == artifact.version)


def _facts_of(read: _Read, environment: str) -> dict[str, Any]:
    """Return what a policy may know of what is to be deployed."""
    artifact = read.artifact
    assert artifact is not None  # noqa: S101 - the caller has looked
    return {
        "service": artifact.service,
        "version": artifact.version,
        "environment": environment,
        "digest": artifact.digest,
        "commit": artifact.commit,
        "first": read.base is None,
    }


def _target(artifact: Artifact | None, digest: str) -> str:
    return f"service:{artifact.service}" if artifact else f"artifact:{digest[:80]}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return policy fields as the ledger takes them: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

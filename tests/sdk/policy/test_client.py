"""All parts together, with a real bundle and a real server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import companyos_sdk
from companyos_sdk.bundle import Source, TrustedKey, TrustRoots, build, seal
from companyos_sdk.policy.client import Client, Settings
from companyos_sdk.policy.enforcing import AccessDenied
from companyos_sdk.policy.obligations import UncoveredObligations
from companyos_sdk.policy.transport import Endpoint
from tests.needs import needs
from tests.sdk.policy.fakes import Answer, Asked, platform
from tests.waiting import until

pytestmark = needs("rego")

POLICY = """package companyos.authz

default decision := {"decision": "deny", "reason": "default.deny", "obligations": []}

decision := {"decision": "allow", "reason": "role.bound", "obligations": [
    {"id": "mask_fields", "policy": "dlp.redaction", "fields": data.masked},
]} if {
    input.action == "read"
    input.subject.id == data.reader
}
"""
WATERMARK = POLICY.replace('"id": "mask_fields"', '"id": "watermark"')
SUBJECT = {"id": "u1", "type": "user"}
RESOURCE = {"id": "doc-1", "type": "document"}


class Key:
    """The key of the stage."""

    key_id = "prod-1"

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())

    def sign(self, data: bytes, /) -> bytes:
        """Sign as the platform does."""
        return self.private.sign(data, ec.ECDSA(hashes.SHA256()))

    def trusted(self) -> TrustRoots:
        """What a service is told to trust."""
        pem = self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        return TrustRoots({"prod": (TrustedKey(pem, self.key_id, datetime.now(UTC) - timedelta(days=1)),)})


KEY = Key()


def bundle(
    version: str,
    policy: str = POLICY,
    emits: tuple[str, ...] = ("mask_fields",),
    *,
    rollback_from: str | None = None,
    age: timedelta = timedelta(hours=1),
) -> bytes:
    """A bundle that was signed some time ago."""
    source = Source(
        bundle_id="companyos/documents",
        version=version,
        created_by="user:ann",
        obligations=emits,
        modules={"companyos/authz/policy.rego": policy},
        data={"masked": ["iban"], "reader": "u1"},
    )
    return seal(build(source), KEY, "prod", now=datetime.now(UTC) - age, rollback_from=rollback_from)


class Far:
    """A platform with one bundle that takes all records."""

    def __init__(self, bundle: bytes | None) -> None:
        self.bundle = bundle
        self.records: list[dict[str, Any]] = []

    def answer(self, asked: Asked) -> Answer | None:
        """Answer as the platform does."""
        if self.bundle is None:
            return None
        if asked.method == "POST":
            self.records += [msgspec.json.decode(line) for line in asked.lines]
            return 200, {}, b"{}"
        return 200, {}, self.bundle


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a service."""
    return Settings(bundle_id="companyos/documents", folder=tmp_path, trust=KEY.trusted(), interval_s=3600)


@pytest.fixture(autouse=True)
def _left_as_it_was() -> Iterator[None]:
    """No client stays configured."""
    yield
    companyos_sdk._client = None  # noqa: SLF001 - there is no public way back, and no service needs one


def test_a_service_decides_enforces_and_delivers(settings: Settings) -> None:
    """From the signed bundle to the records at the platform, through the module's own functions."""
    far = Far(bundle("1.0.0"))
    with pytest.raises(companyos_sdk.NotConfigured, match="configure"):
        companyos_sdk.authorize(SUBJECT, "read", RESOURCE, {})
    with platform(far.answer) as server:
        client = companyos_sdk.configure(Endpoint(server.url, "secret"), settings)
        decision = companyos_sdk.authorize(SUBJECT, "read", RESOURCE, {})
        assert (decision.allow, decision.reason, decision.bundle.version) == (True, "role.bound", "1.0.0")
        assert companyos_sdk.with_obligations(lambda: {"iban": "DE1", "n": 1}, decision) == {"iban": "***", "n": 1}
        denied = companyos_sdk.authorize(SUBJECT, "write", RESOURCE, {})
        with pytest.raises(AccessDenied, match=r"default\.deny"):
            companyos_sdk.with_obligations(lambda: 1 / 0, denied)
        assert client.spool.wait(denied.audit_id, 10)
        until(lambda: len(far.records) == 3, "delivery")
        assert [(one.get("kind"), one["audit_id"]) for one in far.records] == [
            (None, decision.audit_id),
            ("fulfilment", decision.audit_id),
            (None, denied.audit_id),
        ]
        assert far.records[0]["inputs"] == {"action": "read", "subject.id": "u1"} or "" in far.records[0]["inputs"]
        assert client.health().bundle.version == "1.0.0"
        assert client.close()


def test_handlers_that_do_not_cover_the_bundle_stop_the_start(settings: Settings) -> None:
    """And not the first request; a running service keeps its last good bundle instead."""
    far = Far(bundle("1.0.0", WATERMARK, ("watermark",)))
    with platform(far.answer) as server:
        with pytest.raises(UncoveredObligations, match="watermark"):
            Client(Endpoint(server.url, "t"), settings)
        far.bundle = bundle("1.1.0")
        client = Client(Endpoint(server.url, "t"), settings)
        far.bundle = bundle("1.2.0", WATERMARK, ("watermark",))
        assert client.refresh() == "refused"
        assert client.authorize(SUBJECT, "read", RESOURCE, {}).bundle.version == "1.1.0"
        client.close()


def test_only_a_signed_rollback_goes_down(settings: Settings) -> None:
    """An older bundle is refused, unless it was signed to take exactly this version back."""
    far = Far(bundle("2.0.0"))
    with platform(far.answer) as server:
        client = Client(Endpoint(server.url, "t"), settings)
        far.bundle = bundle("1.0.0")
        assert client.refresh() == "refused"
        far.bundle = bundle("1.0.0", rollback_from="1.9.0")
        assert client.refresh() == "refused"
        far.bundle = bundle("1.0.0", rollback_from="2.0.0", age=timedelta(hours=2))
        assert client.refresh() == "refused"
        assert client.health().bundle.version == "2.0.0"
        far.bundle = bundle("1.0.0", rollback_from="2.0.0", age=timedelta(minutes=1))
        assert client.refresh() == "changed"
        assert client.authorize(SUBJECT, "read", RESOURCE, {}).bundle.version == "1.0.0"
        client.close()


def test_a_restart_without_the_platform_decides(settings: Settings) -> None:
    """From the bundle on disk, verified again; a forged one on disk denies everything."""
    far = Far(bundle("1.0.0"))
    with platform(far.answer) as server:
        Client(Endpoint(server.url, "t"), settings).close()
        far.bundle = None
        client = Client(Endpoint(server.url, "t"), settings)
        assert client.authorize(SUBJECT, "read", RESOURCE, {}).allow
        client.close()
        other = msgspec.structs.replace(settings, trust=Key().trusted())
        client = Client(Endpoint(server.url, "t"), other)
        assert client.authorize(SUBJECT, "read", RESOURCE, {}).reason == "policy.none"
        client.close()


def test_configuring_anew_closes_the_client_before(settings: Settings) -> None:
    """So that its records are on the disk."""
    far = Far(bundle("1.0.0"))
    with platform(far.answer) as server:
        first = companyos_sdk.configure(Endpoint(server.url, "t"), settings)
        second = companyos_sdk.configure(client=Client(Endpoint(server.url, "t"), settings))
        assert first.authorize(SUBJECT, "read", RESOURCE, {}).reason == "policy.unlogged"
        assert companyos_sdk.authorize(SUBJECT, "read", RESOURCE, {}).allow
        second.close()
    with pytest.raises(TypeError, match="configure takes"):
        companyos_sdk.configure()

"""What a bundle that opens says, and when it takes the place of the active one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from companyos_sdk.bundle import MANIFEST, Active, BundleError, open_bundle, pack, restage, seal, version_key
from companyos_sdk.bundle.building import roots
from tests.policy.bundles import ALLOW
from tests.sdk.bundle.forging import NOW, PROD, STAGING, TRUST, files, good, opened, refusal


def going_back(to: str, from_: str, at: datetime) -> bytes:
    """A bundle that was signed to take the active version back."""
    return seal(files(to), PROD, "prod", now=at, rollback_from=from_)


def test_a_bundle_says_who_made_what_for_which_stage() -> None:
    """The five fields of its metadata, and the digests that decisions refer to."""
    data = good()
    bundle = opened(data)
    about = bundle.metadata
    assert (about.bundle_id, about.version, about.stage, about.created_by) == (
        "companyos/documents",
        "1.0.0",
        "prod",
        "ann",
    )
    assert about.checksum == bundle.content_digest
    assert bundle.digest != bundle.content_digest != bundle.data_digest
    assert bundle.key_id == "prod-1"
    assert bundle.signed_at == NOW
    assert bundle.program.evaluate({"action": "read"}) == ALLOW


def test_the_content_has_one_digest_in_every_stage() -> None:
    """So a promotion can be seen to change nothing; the bytes differ, because each stage signs for itself."""
    staging = open_bundle(seal(files(stage="dev"), STAGING, "staging", now=NOW), TRUST, "staging", now=NOW)
    prod = opened(seal(staging.files, PROD, "prod", now=NOW))
    assert staging.content_digest == prod.content_digest
    assert staging.digest != prod.digest
    assert staging.metadata.stage == "staging"


def test_any_other_content_has_another_digest() -> None:
    """The version and the author are part of what a bundle says."""
    digests = {
        opened(data).content_digest
        for data in (good(), good("1.0.1"), pack_of(created_by="ben"), pack_of(bundle_id="a/b"))
    }
    assert len(digests) == 4


def pack_of(**more: Any) -> bytes:
    """A good bundle of somebody or something else."""
    return seal(files("1.0.0", **more), PROD, "prod", now=NOW)


def test_a_higher_version_takes_the_place() -> None:
    """The ordinary way."""
    assert not opened(good("1.0.1"), active_version="1.0.0").unchanged


def test_the_same_content_again_is_unchanged() -> None:
    """A new signature over it, after a rotation of keys, is no reason to refuse it."""
    active = Active(version="1.0.0", checksum=opened(good()).content_digest)
    assert opened(good(now=NOW + timedelta(seconds=60)), active_version=active).unchanged


def test_other_content_under_the_same_version_is_refused() -> None:
    """A version means one content."""
    active = Active(version="1.0.0", checksum="sha256:" + "0" * 64)
    assert refusal(good(), active_version=active).code == "rolled-back"


def test_a_signed_rollback_goes_back_from_exactly_the_version_it_names() -> None:
    """The only way to a lower version."""
    data = going_back("1.0.0", "1.1.0", NOW)
    assert opened(data, active_version="1.1.0").rollback_from == "1.1.0"
    assert refusal(data, active_version="1.2.0").code == "rolled-back"


def test_an_old_rollback_cannot_be_played_back() -> None:
    """The version that it took back has been signed again since."""
    data = going_back("1.0.0", "1.1.0", NOW - timedelta(days=1))
    again = Active(version="1.1.0", signed_at=NOW)
    assert refusal(data, active_version=again).code == "rolled-back"
    before = Active(version="1.1.0", signed_at=NOW - timedelta(days=2))
    assert opened(data, active_version=before).metadata.version == "1.0.0"


def test_a_bundle_that_aliases_nothing_of_what_was_given() -> None:
    """Signing and restaging leave the files of others alone."""
    found = files(stage="dev")
    before = dict(found)
    seal(found, PROD, "prod", now=NOW)
    assert found == before
    assert json.loads(restage(found, "prod")[MANIFEST])["metadata"]["stage"] == "prod"


@pytest.mark.parametrize("text", ["", "1", "1.0", "1.0.0.0", "v1.0.0", "1.0.0 ", "1.0.00", "1.0.-1", "1.0.1234567890"])
def test_a_text_that_is_no_version_has_no_place_in_the_order(text: str) -> None:
    """Every two versions can be compared, so there are no suffixes."""
    with pytest.raises(BundleError):
        version_key(text)


@pytest.mark.parametrize(
    ("packages", "data", "expected"),
    [
        (["companyos.documents"], {}, ["companyos/documents"]),
        (
            ["companyos.documents", "companyos.documents.dlp"],
            {"companyos": {"documents": {"a": 1}}},
            ["companyos/documents"],
        ),
        (["companyos.documents"], {"companyos": {"levels": {}}}, ["companyos/documents", "companyos/levels"]),
        (["companyos.authz"], {"platform": {"roles": []}}, ["companyos/authz", "platform/roles"]),
        (["authz", "authz.more"], {}, ["authz"]),
        (["a.b"], {"a": 1}, ["a"]),
    ],
)
def test_roots_cover_all_packages_and_data_and_never_overlap(
    packages: list[str], data: dict[str, object], expected: list[str]
) -> None:
    """As OPA wants them, so that several bundles can live in one."""
    modules = {f"{number}.rego": f"# package x\npackage {name}\n" for number, name in enumerate(packages)}
    assert roots(modules, data) == expected


def test_a_signature_needs_a_stage() -> None:
    """Nothing is signed for all stages at once."""
    with pytest.raises(BundleError):
        seal(files(), PROD, "test", now=NOW)  # type: ignore[arg-type] # that is the test
    assert pack(files())

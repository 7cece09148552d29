"""Candidates that cannot serve: each goes back with the true reason, and users are with the version before."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from companyos.core.errors import Denied
from companyos.delivery.model import Trigger
from companyos.ledger import Record
from tests.faults.platform import QUICK, Fate, Platform, Users
from tests.needs import needs

pytestmark = [needs("envoy"), pytest.mark.timeout(120)]

SHORT = msgspec.structs.replace(QUICK, hold_s=600.0, start_timeout_s=2.0, route_timeout_s=0.4)
STRICT = msgspec.structs.replace(SHORT, p95_floor_ms=40.0)


@pytest.mark.parametrize(
    ("fate", "trigger", "words", "policy"),
    [
        ("never_ready", "not_ready", "503", SHORT),
        ("exits", "crash_loop", "No settings file was found", SHORT),
        ("hangs", "not_ready", " 2 s", SHORT),
        ("leaks", "out_of_memory", "its limit is 96 MB", SHORT),
        ("fails", "error_rate", "failed", SHORT),
        ("hangs_for_users", "error_rate", "failed", SHORT),
        ("slow", "latency", "p95", STRICT),
    ],
)
def test_a_bad_candidate_goes_back_with_the_true_reason(
    platform: Platform, fate: Fate, trigger: Trigger, words: str, policy: Any
) -> None:
    """Through real processes, a real router and real requests."""
    service = f"{fate.replace('_', '-')}-shop"
    first = platform.steady(service)
    with Users(platform.address, [service] * 6) as users:
        platform.until(lambda: len(users.answers) > 200, "answers of the first version")
        second = platform.deploy(service, "1.1", fate, policy=policy)
        shown = platform.until_phase(second, "rolled_back")
        platform.until(lambda: not platform.running(second), "the end of the candidate")
        seen = len(users.answers)
        platform.until(lambda: len(users.answers) > seen + 30, "answers")
        # Threads may still have waited for the candidate when it was taken away.
        assert {(status, version) for _, status, version in users.answers[-20:]} == {(200, "1.0")}
    assert shown.cause is not None
    assert (shown.cause.trigger, words in shown.cause.sentence) == (trigger, True), shown.cause
    assert platform.arms(service) == {first: 1.0}
    assert platform.running(first, second) == {first}
    assert shown.diagnostics is not None
    if trigger in {"error_rate", "latency"}:
        kind = "failed_requests" if trigger == "error_rate" else "slow_requests"
        assert shown.diagnostics[kind]
        assert shown.seconds_to_rollback is not None
    else:
        assert "1.1" not in users.versions() or trigger == "out_of_memory"
    assert shown.diagnostics["process"] or trigger == "out_of_memory"


def test_a_first_release_that_cannot_run_goes_back_to_nothing(platform: Platform) -> None:
    """There is no version before it: users find no such service, as before, and the next release is free to come."""
    first = platform.deploy("new-shop", "1.0", "exits", policy=SHORT)
    shown = platform.until_phase(first, "rolled_back")
    assert shown.cause is not None
    assert shown.cause.trigger == "crash_loop"
    platform.until(lambda: not platform.running(first), "its end")
    assert platform.arms("new-shop") == {}
    second = platform.steady("new-shop", "1.1")
    assert platform.arms("new-shop") == {second: 1.0}


def test_what_was_denied_unsigned_altered_or_is_steady_is_refused(platform: Platform) -> None:
    """Each with the rule that said no, and with the ledger's record of it."""
    first = platform.steady("refused-shop")
    second = platform.deploy("refused-shop", "1.1", policy=SHORT)
    platform.until_phase(second, "canary")
    platform.ask(second, "abort", "it was not meant to go out")
    platform.until_phase(second, "rolled_back")
    digest = platform.show(second).digest
    _refused(platform, digest, "admission:denied-digest", "it was not meant to go out")
    _refused(platform, platform.show(first).digest, "admission:duplicate", "refused-shop@1.0 is running there already")
    unsigned = platform.put("refused-shop", "1.2", signed=False)
    _refused(platform, unsigned, "admission:unsigned", "is not signed")
    altered = platform.put("refused-shop", "1.3")
    _alter(platform, altered)
    _refused(platform, altered, "admission:bad-signature", "does not hold")
    _refused(platform, "sha256:" + "0" * 64, "admission:unknown-artifact", "There is no artifact")
    assert platform.arms("refused-shop") == {first: 1.0}


def test_an_artifact_that_was_altered_behind_admission_never_runs(platform: Platform) -> None:
    """The runtime proves its bytes once more before it uses anything of them."""
    first = platform.steady("altered-shop")
    digest = platform.put("altered-shop", "1.1")
    platform.stop()
    second = platform.delivery.deploy(platform.olga, digest=digest, policy=SHORT).id
    _alter(platform, digest)
    platform.start()
    shown = platform.until_phase(second, "rolled_back")
    assert shown.cause is not None
    assert (shown.cause.trigger, digest[:20] in shown.cause.sentence) == ("not_ready", True), shown.cause
    assert platform.arms("altered-shop") == {first: 1.0}
    assert not (platform.home.logs / f"release-{second}.log").exists()


def _refused(platform: Platform, digest: str, rule: str, words: str) -> None:
    with pytest.raises(Denied, match=words) as refusal:
        platform.delivery.deploy(platform.olga, digest=digest)
    assert refusal.value.policy == rule
    record: Record = platform.ledger()[-1]
    assert (record.verb, record.decision, record.policy) == ("release.deploy", "deny", rule)
    assert record.actor == platform.olga.subject
    assert words in record.details["reason"]


def _alter(platform: Platform, digest: str) -> None:
    file = platform.home.artifacts / "sha256" / digest[7:9] / digest[9:]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes().replace(b"listens", b"LISTENS"))

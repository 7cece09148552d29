from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from companyos_sdk.bundle import Active, BundleError
from companyos_sdk.policy.client import without_bundle
from companyos_sdk.policy.clock import Freshness
from companyos_sdk.policy.decider import Decider
from companyos_sdk.policy.obligations import UncoveredObligations
from companyos_sdk.policy.record import MemoryRecorder
from companyos_sdk.policy.refresh import Loaded, Refresher
from companyos_sdk.policy.transport import Endpoint
from tests.sdk.policy.fakes import BUNDLE, REQUEST, Answer, Asked, Hands, Platform, Policy, platform
from tests.waiting import until


class Far:
    """What the platform has for us: a bundle is a text `version reason`, its ETag is the digest."""

    def __init__(self, bundle: str = "1.0.0 one") -> None:
        self.bundle: str | None = bundle
        self.status = 200

    def answer(self, asked: Asked) -> Answer | None:
        """Answer as the platform does."""
        if self.bundle is None:
            return None
        etag = f'"{hashlib.sha256(self.bundle.encode()).hexdigest()}"'
        if self.status == 200 and asked.headers.get("if-none-match") == etag:
            return 304, {"etag": etag}, b""
        return self.status, {"etag": etag}, self.bundle.encode()


class Setup:
    """A refresher with everything around it."""

    def __init__(
        self, far: Platform, folder: Path, *, max_stale_s: float | None = 60, interval_s: float = 0.01
    ) -> None:
        self.hands = Hands()
        clock = self.hands.clock()
        self.log = MemoryRecorder()
        self.loaded: list[bytes] = []
        self.fresh = Freshness(max_stale_s, clock)
        self.refresher = Refresher(
            Endpoint(far.url, "secret", total_s=5),
            "companyos/documents",
            "prod",
            self.load,
            without_bundle(self.log, BUNDLE, clock=clock),
            self.fresh,
            folder=folder,
            interval_s=interval_s,
            clock=clock,
        )

    def load(self, data: bytes, active: Active | None) -> Loaded:
        """Read a bundle of these tests."""
        self.loaded.append(data)
        version, reason = data.decode().split(" ")
        if version == "bad":
            raise BundleError("bad-signature", "The signature does not hold.")
        if version == "uncovered":
            raise UncoveredObligations(["watermark"])
        if active is not None and version <= active.version:
            raise BundleError("rolled-back", f"{active.version} is active.")
        policy = Policy({"decision": "allow", "reason": reason, "obligations": []})
        decider = Decider(policy, BUNDLE, self.log, freshness=self.fresh, clock=self.hands.clock())
        return Loaded(decider, Active(version=version))

    def says(self) -> str:
        """The reason of a decision now."""
        return self.refresher.decider.decide(REQUEST).reason


def test_before_the_first_bundle_everything_is_denied(tmp_path: Path) -> None:
    """With a reason of its own, recorded."""
    with platform(lambda _: None) as far:
        made = Setup(far, tmp_path)
        assert made.refresher.open_cached() is False
        assert made.refresher.refresh() == "unreachable"
        decision = made.refresher.decider.decide(REQUEST)
        assert (decision.allow, decision.reason, len(made.log.lines)) == (False, "policy.none", 1)


def test_a_bundle_is_fetched_once_and_asked_after_by_its_etag(tmp_path: Path) -> None:
    """The same one costs no body, a new one replaces it."""
    here = Far()
    with platform(here.answer) as far:
        made = Setup(far, tmp_path)
        assert made.refresher.refresh() == "changed"
        assert made.says() == "one"
        assert made.refresher.refresh() == "unchanged"
        here.bundle = "1.1.0 two"
        assert made.refresher.refresh() == "changed"
        assert made.says() == "two"
        assert made.loaded == [b"1.0.0 one", b"1.1.0 two"]
        assert far.asked[0].path == "/v1/bundles/companyos/documents?stage=prod"
        assert far.asked[0].headers["authorization"] == "Bearer secret"
        assert made.refresher.state().version == "1.1.0"


def test_the_same_bytes_under_another_etag_are_no_change(tmp_path: Path) -> None:
    """A platform without ETags is only slower."""
    with platform(lambda _: (200, {}, b"1.0.0 one")) as far:
        made = Setup(far, tmp_path)
        assert [made.refresher.refresh() for _ in range(3)] == ["changed", "unchanged", "unchanged"]
        assert made.loaded == [b"1.0.0 one"]


@pytest.mark.parametrize("bundle", ["bad two", "uncovered two", "0.9.0 two", "nonsense", "1.0.0 other"])
def test_whatever_is_wrong_with_a_new_bundle_the_last_good_one_stays(
    tmp_path: Path, bundle: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is refused loudly, on every poll, and is never kept on disk."""
    here = Far()
    with platform(here.answer) as far:
        made = Setup(far, tmp_path)
        made.refresher.refresh()
        here.bundle = bundle
        assert made.refresher.refresh() == "refused"
        assert made.says() == "one"
        assert made.refresher.state().fault
        assert "1.0.0 stays" in caplog.text
        assert (tmp_path / "companyos-documents.prod.tar.gz").read_bytes() == b"1.0.0 one"


@pytest.mark.parametrize("status", [401, 403, 404, 500, 301, 204])
def test_an_answer_that_is_no_bundle_changes_nothing(tmp_path: Path, status: int) -> None:
    """And confirms nothing."""
    here = Far()
    with platform(here.answer) as far:
        made = Setup(far, tmp_path)
        made.refresher.refresh()
        here.status = status
        made.hands.pass_s(61)
        assert made.refresher.refresh() == "unreachable"
        assert made.says() == "stale:one"


def test_a_refused_bundle_confirms_nothing(tmp_path: Path) -> None:
    """Whoever offers only bad bundles cannot keep an old one fresh."""
    here = Far()
    with platform(here.answer) as far:
        made = Setup(far, tmp_path)
        made.refresher.refresh()
        here.bundle = "bad two"
        made.hands.pass_s(61)
        made.refresher.refresh()
        assert made.says() == "stale:one"
        here.bundle = "1.0.0 one"
        made.refresher.refresh()
        assert made.says() == "one"


def test_a_restart_without_a_network_decides_by_the_last_good_bundle(tmp_path: Path) -> None:
    """As old as it was confirmed."""
    here = Far()
    with platform(here.answer) as far:
        Setup(far, tmp_path).refresher.refresh()
    with platform(lambda _: None) as far:
        again = Setup(far, tmp_path)
        again.hands.pass_s(50)
        assert again.refresher.open_cached()
        assert again.refresher.refresh() == "unreachable"
        assert again.says() == "one"
        again.hands.pass_s(11)
        assert again.says() == "stale:one"


def test_a_confirmation_in_the_future_counts_as_none(tmp_path: Path) -> None:
    """A clock that was wrong cannot keep a bundle fresh for years."""
    here = Far()
    with platform(here.answer) as far:
        Setup(far, tmp_path).refresher.refresh()
        note = tmp_path / "companyos-documents.prod.json"
        held: dict[str, Any] = msgspec.json.decode(note.read_bytes())
        note.write_bytes(msgspec.json.encode({**held, "confirmed_ns": held["confirmed_ns"] + 10**18}))
        again = Setup(far, tmp_path)
        assert again.refresher.open_cached()
        again.hands.pass_s(0.001)
        assert again.says() == "stale:one"


@pytest.mark.parametrize("fault", ["altered", "cut", "no note", "bad note", "bad bundle"])
def test_a_bundle_on_disk_that_is_not_whole_is_not_used(tmp_path: Path, fault: str) -> None:
    """It is read as carefully as one from the network."""
    here = Far()
    with platform(here.answer) as far:
        Setup(far, tmp_path).refresher.refresh()
        bundle, note = tmp_path / "companyos-documents.prod.tar.gz", tmp_path / "companyos-documents.prod.json"
        if fault == "altered":
            bundle.write_bytes(b"1.0.0 evil")
        elif fault == "cut":
            bundle.write_bytes(b"1.0.0")
        elif fault == "no note":
            note.unlink()
        elif fault == "bad note":
            note.write_bytes(b"{")
        else:
            bundle.write_bytes(b"bad evil")
            digest = "sha256:" + hashlib.sha256(b"bad evil").hexdigest()
            note.write_bytes(msgspec.json.encode({"digest": digest, "etag": "", "confirmed_ns": 0}))
        again = Setup(far, tmp_path)
        assert not again.refresher.open_cached()
        assert again.says() == "policy.none"
        assert again.refresher.refresh() == "changed"
        assert again.says() == "one"


def test_a_disk_that_takes_nothing_does_not_stop_a_refresh(tmp_path: Path) -> None:
    """The bundle decides, and only the next start needs the network."""
    (tmp_path / "file").write_text("in the way")
    here = Far()
    with platform(here.answer) as far:
        made = Setup(far, tmp_path / "file")
        assert made.refresher.refresh() == "changed"
        assert made.says() == "one"


def test_polling_takes_a_new_bundle_by_itself(tmp_path: Path) -> None:
    """In a thread that ends when it is told to."""
    here = Far()
    with platform(here.answer) as far:
        made = Setup(far, tmp_path)
        made.refresher.start()
        until(lambda: made.says() == "one", "the first bundle")
        here.bundle = None
        until(lambda: made.refresher.state().outcome == "unreachable", "a failed poll")
        here.bundle = "1.1.0 two"
        until(lambda: made.says() == "two", "the second bundle")
        made.refresher.stop()
        seen = len(far.asked)
        here.bundle = "1.2.0 three"
        assert len(far.asked) == seen
        assert made.says() == "two"

"""The platform's own look at a bundle: its plan is what its sources say, and its tests pass. Needs the compiler."""

from __future__ import annotations

import importlib.util
from datetime import datetime
from typing import TYPE_CHECKING, Final

from companyos.policy.errors import BundleRefused
from companyos.policy.model import Checked

if TYPE_CHECKING:
    from companyos_sdk.bundle import Bundle

_COMPILER: Final = "regopy"
_MAX_FAILURES: Final = 10
_MAX_SENTENCE: Final = 500


def check(bundle: Bundle, now: datetime) -> Checked | None:
    """Return what the tests say, or None where the compiler is not installed.

    Raises BundleRefused when the plan is not what the sources compile to: then the tests would say nothing about what
    decides. Raises InvalidInput when the tests do not compile.
    """
    if importlib.util.find_spec(_COMPILER) is None:
        return None
    from companyos.policy.authoring.building import departs_from_sources
    from companyos.policy.authoring.layout import of_bundle
    from companyos.policy.authoring.testing import run_tests

    if (departs := departs_from_sources(bundle)) is not None:
        raise BundleRefused("bad-plan", departs, "Build it again with `companyos policy build` of this release.")
    report = run_tests(of_bundle(bundle))
    failures = [result for result in report.results if not result.passed]
    return Checked(
        passed=report.passed,
        failed=report.failed,
        coverage_ratio=report.coverage.ratio if report.coverage is not None else 0.0,
        coverage_wanted=report.coverage_wanted,
        failures=tuple(f"{one.name} ({one.file}): {one.sentence}"[:_MAX_SENTENCE] for one in failures[:_MAX_FAILURES]),
        at=now,
    )

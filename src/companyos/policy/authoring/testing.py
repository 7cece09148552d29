"""Running the tests of a policy: every ``test_`` rule, here and in an engine that is not ours, with coverage.

A test passes when it is true here and there. Where the two disagree it fails, whatever they say, because then nobody
knows what the policy means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

from companyos.core.errors import InvalidInput
from companyos.policy.authoring import oracle
from companyos.policy.authoring.coverage import Coverage, coverage
from companyos.policy.authoring.layout import Policy
from companyos.policy.authoring.mocking import with_stand_in
from companyos_sdk import rego
from companyos_sdk.bundle import package
from companyos_sdk.bundle.building import in_plan, name_in_plan
from companyos_sdk.rego.errors import CompileError, EvaluationError, RegoError

_TEST: Final = re.compile(r"^(test_[A-Za-z0-9_]*)", re.MULTILINE)
_Rows: TypeAlias = frozenset[tuple[str, int]]
_RUNNER: Final = "tests_of_the_policy"
"""The package of a module of ours that asks every test at once."""


class TestResult(msgspec.Struct, frozen=True, kw_only=True):
    """One test."""

    __test__ = False
    file: str
    name: str
    """``data.companyos.documents.dlp_test.test_…``."""
    passed: bool
    sentence: str = ""
    """Why it failed; empty when it passed."""


class TestReport(msgspec.Struct, frozen=True, kw_only=True):
    """All tests of a policy."""

    __test__ = False
    results: tuple[TestResult, ...]
    coverage: Coverage | None
    """None when it was not asked for."""
    coverage_wanted: float
    """The share of rows that `metadata.yaml` wants, 0 to 1."""
    compared: bool
    """Whether every result was compared with the other engine."""
    not_compared: str = ""
    """Why not; empty when it was."""

    @property
    def passed(self) -> int:
        """How many passed."""
        return sum(result.passed for result in self.results)

    @property
    def failed(self) -> int:
        """How many failed."""
        return len(self.results) - self.passed

    @property
    def ok(self) -> bool:
        """Whether there are tests, all of them passed, and they reach as much of the policy as they should."""
        enough = self.coverage is None or self.coverage.ratio >= self.coverage_wanted
        return bool(self.results) and not self.failed and enough

    def sentences(self) -> list[str]:
        """What is wrong, one sentence each; empty when it is ``ok``."""
        found = [f"{result.name} ({result.file}): {result.sentence}" for result in self.results if not result.passed]
        if not self.results:
            found.append("The policy has no test.")
        if self.coverage is not None and self.coverage.ratio < self.coverage_wanted:
            missed = self.coverage.missed()
            found.append(
                f"The tests reach {self.coverage.ratio:.1%} of the rows, and {self.coverage_wanted:.1%} are wanted. "
                f"Not reached: {', '.join(missed[:20])}{' and more' if len(missed) > 20 else ''}."  # noqa: PLR2004 - as many as were named
            )
        return found


def run_tests(policy: Policy, *, with_coverage: bool = True, compare: bool = True) -> TestReport:
    """What the tests of a policy say; needs the compiler. Raises InvalidInput where it does not compile.

    The name of a test that is there twice is a failure: Rego would take the one for the other.
    """
    tests, twice = names(policy)
    paths = [*policy.modules, *policy.tests]
    sources = {name: with_stand_in(text) for name, text in in_plan(policy.modules | policy.tests).items()}
    sources[f"{_RUNNER}.rego"] = _runner(tests)
    entry = f"data.{_RUNNER}.passed"
    try:
        plan = rego.plan(sources, [entry])
        here, rows, fault = _here(plan, policy, entry, with_coverage=with_coverage)
    except CompileError as fault_:
        raise InvalidInput(f"The policy or its tests do not compile: {fault_}", next_step="Correct them.") from fault_
    there = (
        oracle.opinion(sources, policy.data, entry, _functions(plan)) if compare else oracle.Opinion(error="Not asked.")
    )
    other = None if there.error is not None else set(there.value or ())
    results = [
        TestResult(file=file, name=name, passed=not (why := _why(name, here, other, twice, fault)), sentence=why)
        for name, file in tests.items()
    ]
    return TestReport(
        results=tuple(results),
        coverage=_covered(policy, paths, rows) if rows is not None else None,
        coverage_wanted=policy.about.tests.coverage,
        compared=other is not None,
        not_compared=there.error or "",
    )


def names(policy: Policy) -> tuple[dict[str, str], frozenset[str]]:
    """The tests of a policy with their files, and those that are there more than once."""
    found: dict[str, str] = {}
    twice = set()
    for file, source in sorted(policy.tests.items()):
        within = package(source)
        for rule in _TEST.findall(source):
            name = f"data.{within}.{rule}"
            if name in found:
                twice.add(name)
            found[name] = file
    return found, frozenset(twice)


def _runner(tests: Iterable[str]) -> str:
    rules = [f'passed contains "{name}" if {name} == true\n' for name in tests]
    return "\n".join(
        [f"package {_RUNNER}\n\nimport rego.v1\n", "default passed := set()\n" if not rules else "", *rules]
    )


def _here(
    plan: rego.Plan, policy: Policy, entry: str, *, with_coverage: bool
) -> tuple[set[str], tuple[_Rows, _Rows] | None, str]:
    """The tests that are true in our engine, the rows that can be and those that were reached, and what went wrong."""
    try:
        program = rego.load(plan, policy.data, entry)
        value: Any = program.evaluate({})
        rows = (program.coverable, frozenset(program.explain({}).visited)) if with_coverage else None
    except EvaluationError as fault:
        return set(), None, f"The tests could not be evaluated: {fault}"
    except CompileError:
        raise
    except RegoError as fault:
        raise InvalidInput(f"The policy or its tests cannot be used: {fault}", next_step="Correct them.") from fault
    return set(value) if isinstance(value, list) else set(), rows, ""


def _covered(policy: Policy, paths: list[str], rows: tuple[_Rows, _Rows]) -> Coverage:
    return coverage({name_in_plan(path, paths): path for path in policy.modules}, *rows)


def _why(name: str, here: set[str], there: set[str] | None, twice: frozenset[str], fault: str) -> str:
    if name in twice:
        return "There are two tests of this name, and one of them would count for both. Rename one."
    if fault:
        return fault
    if there is not None and (name in here) != (name in there):
        ours, other = ("passes", "fails") if name in here else ("fails", "passes")
        return f"It {ours} here and {other} in regopy. Write the policy so that both agree, and report the difference."
    return "" if name in here else "It is not true."


def _functions(plan: rego.Plan) -> list[str]:
    """The built-in functions that a plan calls, as it lists them itself."""
    document = msgspec.json.decode(plan.to_bytes())
    listed = document["static"].get("builtin_funcs") or []
    return sorted({one["name"] for one in listed})

"""Every case of the corpus: here, optimised and plain, and in regopy, each against what is declared."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

import pytest

from companyos_sdk import rego
from companyos_sdk.rego import UNDEFINED, Program
from companyos_sdk.rego.codegen.options import FAST, PLAIN
from companyos_sdk.rego.errors import CompileError, EvaluationError, ForbiddenBuiltin
from companyos_sdk.rego.frontend import entry_name
from tests.needs import needs
from tests.sdk.rego.corpus import Case, cases, same
from tests.sdk.rego.opinion import FAILED, asked

CASES: Final = cases()
DECIDED: Final = [(name, case) for name, case in CASES if case.expected_error not in {CompileError, ForbiddenBuiltin}]
REFUSED: Final = [(name, case) for name, case in CASES if case.expected_error in {CompileError, ForbiddenBuiltin}]
ASKED: Final = [(name, case) for name, case in DECIDED if case.regopy]

pytestmark = needs("rego")


@pytest.mark.parametrize("case", [case for _, case in DECIDED], ids=[name for name, _ in DECIDED])
def test_here_it_is_as_declared(case: Case) -> None:
    """Optimised and plain, twice each, and neither input nor data is changed."""
    made = rego.plan(case.sources, [case.entry])
    for options in (FAST, PLAIN):
        data = copy.deepcopy(case.data)
        program = Program(made, data, entry_name(case.entry), strict=case.strict, options=options)
        for _ in range(2):
            given = case.given()
            assert_declared(case, decided(program, given))
            if case.regopy:  # what regopy cannot take is too deep to compare here as well
                assert same(given, case.given())
        assert data == case.data


@pytest.mark.parametrize("case", [case for _, case in REFUSED], ids=[name for name, _ in REFUSED])
def test_what_may_not_be_is_refused_with_its_place(case: Case) -> None:
    """File, row and function are those of the call that is refused."""
    error = case.expected_error
    assert error is not None
    with pytest.raises(error) as refused:
        rego.compile(case.sources, case.data, case.entry)
    fault = refused.value
    assert isinstance(fault, CompileError)
    if case.file is not None:
        assert fault.file == case.file
    if case.row is not None:
        assert fault.row == case.row
    if isinstance(fault, ForbiddenBuiltin):
        assert fault.name == case.builtin


@pytest.mark.parametrize("case", [case for _, case in ASKED], ids=[name for name, _ in ASKED])
def test_in_regopy_it_is_as_declared(apart: ProcessPoolExecutor, case: Case) -> None:
    """The second opinion, wherever regopy can give one; it has no kinds of errors."""
    result = apart.submit(asked, case).result(60)
    if result == FAILED:
        assert case.error is not None
    else:
        assert_declared(case, result)


@pytest.fixture(scope="module")
def apart() -> Iterator[ProcessPoolExecutor]:
    """A process of its own for regopy."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def decided(program: Program, given: Any) -> Any:
    """The value, or the error instead of it."""
    try:
        return program.evaluate(given)
    except EvaluationError as fault:
        return fault


def assert_declared(case: Case, result: Any) -> None:
    """Compare a result, or the error in its place, with what the case declares."""
    if case.expected_error is not None:
        if not (case.or_undefined and result is UNDEFINED):
            assert isinstance(result, case.expected_error), result
    elif case.undefined:
        assert result is UNDEFINED
    else:
        assert not isinstance(result, Exception), result
        assert same(result, case.want), result

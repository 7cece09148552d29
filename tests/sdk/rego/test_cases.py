"""Every case of the corpus: here, optimised and plain, and in regopy, each against what is declared."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest

from companyos_sdk import rego
from companyos_sdk.rego import UNDEFINED, Program
from companyos_sdk.rego.codegen.options import FAST, PLAIN
from companyos_sdk.rego.errors import CompileError, EvaluationError, ForbiddenBuiltin
from companyos_sdk.rego.frontend import entry_name
from tests.needs import needs
from tests.sdk.rego.corpus import Case, cases, same

CASES: Final = cases()
DECIDED: Final = [(name, case) for name, case in CASES if case.expected_error not in {CompileError, ForbiddenBuiltin}]
REFUSED: Final = [(name, case) for name, case in CASES if case.expected_error in {CompileError, ForbiddenBuiltin}]
ASKED: Final = [(name, case) for name, case in DECIDED if case.regopy]
FAILED: Final = object()
"""What stands for an error of regopy."""

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
def test_in_regopy_it_is_as_declared(case: Case) -> None:
    """The second opinion, wherever regopy can give one; it has no kinds of errors."""
    result = asked(case)
    if result is FAILED:
        assert case.error is not None
    else:
        assert_declared(case, result)


def decided(program: Program, given: Any) -> Any:
    """The value, or the error instead of it."""
    try:
        return program.evaluate(given)
    except EvaluationError as fault:
        return fault


def asked(case: Case) -> Any:
    """What regopy says: a value, UNDEFINED or FAILED."""
    from regopy import Input, Interpreter, RegoError  # type: ignore[import-untyped] # it has none

    interpreter = Interpreter()
    interpreter.strict_built_in_errors = case.strict
    interpreter.add_data(case.data)
    for file, source in case.sources.items():
        interpreter.add_module(file, source)
    if case.input is not UNDEFINED:
        interpreter.set_input(Input(case.given()))
    try:
        output = interpreter.query(f"found = {case.entry}")
    except RegoError:
        return FAILED
    if not output.ok():
        return FAILED
    return output.results[0].bindings.get("found", UNDEFINED) if output.results else UNDEFINED


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

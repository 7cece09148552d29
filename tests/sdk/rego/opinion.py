"""What regopy says about a case. Call it in a process of its own: regopy cannot live in one with google-re2."""

from __future__ import annotations

from typing import Any, Final

from companyos_sdk.rego import UNDEFINED
from tests.sdk.rego.corpus import Case

FAILED: Final = "an error of regopy"
"""What stands for an error."""


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

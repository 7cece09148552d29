"""Rego, the policy language of OPA, compiled to Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from companyos_sdk.rego.errors import CompileError, PlanError
from companyos_sdk.rego.plan import Plan
from companyos_sdk.rego.program import Program
from companyos_sdk.rego.values import UNDEFINED

__all__ = ["UNDEFINED", "Plan", "Program", "compile", "load", "plan"]


def plan(modules: Mapping[str, str], entrypoints: Sequence[str]) -> Plan:
    """The plan of modules (file name to source) for entry points such as ``data.a.b``; needs regopy."""
    from companyos_sdk.rego import frontend

    return frontend.plan(modules, entrypoints)


def load(plan: Plan | bytes, data: dict[str, Any], entrypoint: str, *, strict_builtin_errors: bool = False) -> Program:
    """The program of a plan that was made before; never needs regopy."""
    made = plan if isinstance(plan, Plan) else Plan.from_bytes(plan)
    parts = entrypoint.split(".")
    if parts[0] != "data":
        raise PlanError(f"{entrypoint!r} is no entry point; one looks like data.companyos.authz.decision.")
    return Program(made, data, "/".join(parts[1:]), strict=strict_builtin_errors)


def compile(  # noqa: A001 - as `re.compile`
    modules: Mapping[str, str], data: dict[str, Any], entrypoint: str, *, strict_builtin_errors: bool = False
) -> Program:
    """The program of modules for one entry point; needs regopy."""
    made = plan(modules, [entrypoint])
    if not made.has(entrypoint) and not _holds(data, entrypoint.split(".")[1:]):
        raise CompileError(f"{entrypoint} is no rule and no package of these modules, and nothing in the data.")
    return load(made, data, entrypoint, strict_builtin_errors=strict_builtin_errors)


def _holds(data: object, path: list[str]) -> bool:
    for name in path:
        if not isinstance(data, dict) or name not in data:
            return False
        data = data[name]
    return True

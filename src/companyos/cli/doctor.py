"""``companyos doctor``: the common causes of trouble on this machine, looked at one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from companyos.core.console import Console, JsonOption, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from companyos.cli.checks import Check


def doctor(json: JsonOption = False) -> None:
    """Look for common faults on this machine.

    Ends with 0 when all passed, 1 when something failed, 3 when something is unknown.
    """
    from companyos.cli.checks import all_checks
    from companyos.cli.guard import allow

    local = allow("platform.doctor")
    checks = list(all_checks(local.settings, local.settings.host, local.settings.port))
    code = exit_code(checks)
    emit({"checks": [check._asdict() for check in checks]}, lambda console: _show(console, checks), json=json)
    raise typer.Exit(code)


def exit_code(checks: Sequence[Check]) -> int:
    """Return 1 when a check failed, else 3 when one is unknown, else 0."""
    outcomes = {check.outcome for check in checks}
    if "failed" in outcomes:
        return 1
    return 3 if "unknown" in outcomes or not outcomes else 0


def _show(console: Console, checks: Sequence[Check]) -> None:
    console.table(
        ("Check", "Outcome", "What was seen", "Next"),
        [(check.name, check.outcome, check.sentence, check.next_step or "-") for check in checks],
    )

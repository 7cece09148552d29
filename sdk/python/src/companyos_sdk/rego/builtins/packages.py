"""Which functions need a package that may not be installed."""

from __future__ import annotations

from companyos_sdk.rego.builtins import regexes, schemas, yamls


def missing(name: str) -> str | None:
    """Why this function cannot be called on this machine, with the extra that brings it, or None if it can."""
    for names, available, why in (
        (regexes.NAMES, regexes.available, regexes.MISSING),
        (schemas.NAMES, schemas.available, schemas.MISSING),
        (yamls.NAMES, yamls.available, yamls.MISSING),
    ):
        if name in names and not available():
            return why
    return None

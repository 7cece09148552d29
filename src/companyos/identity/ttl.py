"""How long a token lives, as people write it: ``90m``, ``12h``, ``30d``."""

from __future__ import annotations

import re
from typing import Final

from companyos.core.errors import InvalidInput

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FORM: Final = re.compile(r"([0-9]{1,9})([smhd])")


def parse_ttl(text: str) -> int:
    """Return the seconds, or raise InvalidInput that shows how to write it."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise InvalidInput(
            f"{text[:40]!r} is no span of time.", next_step="Write it like 90m, 12h or 30d.", field="ttl"
        )
    return int(found[1]) * _UNITS_S[found[2]]

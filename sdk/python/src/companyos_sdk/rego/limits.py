"""How much one decision may cost. Everything beyond is `LimitExceeded`, which is a denial."""

from __future__ import annotations

from typing import Final

MAX_STEPS: Final = 1_000_000
"""Turns of loops in one evaluation."""
MAX_DEPTH: Final = 200
"""Levels of nesting that comparing, copying and hashing follow."""
MAX_ITEMS: Final = 100_000
"""Elements that one built-in function may make (`numbers.range`, `walk`, `split`)."""
MAX_TEXT: Final = 2_000_000
"""Characters of a string that one built-in function may make."""
MAX_DIGITS: Final = 4_000
"""Digits of a whole number that arithmetic and parsing may make."""

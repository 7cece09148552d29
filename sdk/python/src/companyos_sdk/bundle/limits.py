"""How large a bundle may be. Every limit is checked before the memory for it is taken."""

from __future__ import annotations

from typing import Final

MAX_PACKED: Final = 8 * 1024 * 1024
"""Bytes of the `.tar.gz`."""
MAX_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes of the archive in it, headers included."""
MAX_RATIO: Final = 200
"""How many times as large as the packed bytes the archive may be, where it has more than ``FREE_OF_RATIO`` bytes."""
FREE_OF_RATIO: Final = 1024 * 1024
MAX_FILES: Final = 1000
MAX_FILE: Final = 32 * 1024 * 1024
"""Bytes of one file."""
MAX_SMALL_FILE: Final = 1024 * 1024
"""Bytes of `.manifest` and of `.signatures.json`."""
MAX_PATH: Final = 100
"""Characters of a path: as many as the name field of a tar header has."""
MAX_DEPTH: Final = 64
"""Levels of nesting in a JSON file; ``[]`` has one."""
MAX_LABEL: Final = 200
"""Characters of a name or a text in the metadata."""

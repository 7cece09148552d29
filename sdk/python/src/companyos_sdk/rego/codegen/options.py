"""What the compiler may do beyond the plain translation, each switchable, so that a test can compare."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Options(Struct, frozen=True):
    """All are on in a program that decides, and all are off in the traced twin."""

    track: bool = True
    """Follow what is in a local that is written once, instead of copying it."""
    data: bool = True
    """Look up at build time what the data fixes."""
    rules: bool = True
    """Compute at build time the rules that do not depend on the input."""
    paths: bool = True
    """Load what is at a path of the input once, together with all others."""
    inline: bool = True
    """Write small rules and functions where they are called."""
    literals: bool = True
    """Make arrays, objects and sets at once, at build time where all of it is constant."""
    fuse: bool = True
    """Use Python's own comparisons where types are known, and test what a call gives where it is called."""
    trace: bool = False
    """Report what is visited, what fails and which rules give what."""


FAST: Final = Options()
PLAIN: Final = Options(track=False, data=False, rules=False, paths=False, inline=False, literals=False, fuse=False)
TRACED: Final = Options(
    track=False, data=False, rules=False, paths=False, inline=False, literals=False, fuse=False, trace=True
)

"""Why a bundle is refused, or cannot be made."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

Code: TypeAlias = Literal[
    "too-large",
    "not-gzip",
    "not-a-bundle",
    "trailing-data",
    "not-a-file",
    "bad-path",
    "duplicate-file",
    "colliding-names",
    "unexpected-file",
    "unsigned",
    "bad-signature",
    "unknown-key",
    "expired-key",
    "other-stage",
    "missing-file",
    "extra-file",
    "changed-file",
    "bad-json",
    "bad-manifest",
    "other-bundle",
    "wrong-checksum",
    "bad-plan",
    "rolled-back",
    "bad-source",
    "bad-trust",
]
"""What is wrong, as one word that does not change; ``bad-source`` is for making bundles, ``bad-trust`` for the keys."""

CODES: tuple[Code, ...] = get_args(Code)


class BundleError(Exception):
    """A bundle that is refused: nothing of it may decide, and whatever was active before stays active."""

    def __init__(self, code: Code, sentence: str, next_step: str = "") -> None:
        """Take the word for what is wrong, the sentence that names it, and what to do about it."""
        super().__init__(f"{sentence} {next_step}" if next_step else sentence)
        self.code: Code = code
        self.sentence = sentence
        self.next_step = next_step

"""The types of fields that people and programs hand in: each has a form and a limit, and both stand in our schemas.

Control characters are refused because terminals obey them and PostgreSQL takes no NUL. The names follow ``core.ids``.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

END: Final = r"$(?!\n)"
"""The very end of a text, for Python too, whose ``$`` also matches before a last line feed."""
_NO_CONTROLS: Final = r"^[^\u0000-\u001f\u007f]*" + END
_NO_CONTROLS_BUT_LINES: Final = r"^[^\u0000-\u0008\u000b-\u001f\u007f]*$"

_SERVICE_NAME: Final = r"^[a-z][a-z0-9-]{1,38}" + END
_NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}" + END
_URL: Final = r"^https?://[^\s\u0000-\u001f\u007f]+" + END

ServiceName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=_SERVICE_NAME,
        description="2 to 39 characters: a lower-case letter, then lower-case letters, digits or hyphens.",
    ),
]
Name: TypeAlias = Annotated[
    str,
    Meta(
        pattern=_NAME,
        description="Up to 63 lower-case letters, digits, dots, underscores or hyphens.",
    ),
]
Key: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern=_NO_CONTROLS)]
Line: TypeAlias = Annotated[str, Meta(max_length=200, pattern=_NO_CONTROLS)]
Sentence: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=500, pattern=_NO_CONTROLS, description="One line that says why.")
]
Text: TypeAlias = Annotated[str, Meta(max_length=4000, pattern=_NO_CONTROLS_BUT_LINES)]
Path: TypeAlias = Annotated[
    str, Meta(min_length=1, max_length=500, pattern=_NO_CONTROLS, description="A path or an address.")
]
Url: TypeAlias = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=_URL,
        description="http or https, nothing else: a link of another kind could run a script.",
    ),
]

_WORDS: Final = {
    _SERVICE_NAME: "Expected 2 to 39 characters: a lower-case letter, then lower-case letters, digits or hyphens",
    _NAME: "Expected up to 63 lower-case letters, digits, dots, underscores or hyphens",
    _URL: "Expected an address that begins with https:// or http://",
    _NO_CONTROLS: "Expected one line without control characters",
    _NO_CONTROLS_BUT_LINES: "Expected text without control characters",
}


def in_words(fault: str) -> str:
    """Return what msgspec says of a value, with the expressions of this module replaced by what they mean."""
    for pattern, meaning in _WORDS.items():
        fault = fault.replace(f"Expected `str` matching regex {pattern!r}", meaning)
    return fault

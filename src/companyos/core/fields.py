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

ServiceName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9-]{1,38}" + END,
        description="2 to 39 characters: a lower-case letter, then lower-case letters, digits or hyphens.",
    ),
]
Name: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}" + END,
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
        pattern=r"^https?://[^\s\u0000-\u001f\u007f]+" + END,
        description="http or https, nothing else: a link of another kind could run a script.",
    ),
]

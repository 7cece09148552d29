"""Who is in the story: three services, and what the next release changes in each. Pure.

A change is text in ``src/handlers/documents.py`` of the template ``api-python``, where every service answers the
requests that the load sends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from companyos.core.errors import Conflict

Fate: TypeAlias = Literal["promoted", "rolled_back", "slow"]
"""What becomes of the release: it is promoted; it fails requests and comes back; it gets slow and comes back."""

TEMPLATE: Final = "api-python"
HANDLER: Final = "src/handlers/documents.py"
PATH: Final = "/documents/00000000-0000-4000-8000-000000000001"
"""A document that every service of the template has from its fixtures."""
FAILING_PERCENT: Final = 5
SLOW_PERCENT: Final = 30
SLOW_MS: Final = 150
_READ: Final = "    return await documents.get(document_id)\n"
_TYPING: Final = "from typing import Annotated\n"
_PARAMS: Final = "from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter\n"
_SINGLE_SPACES: Final = """\
    document = await documents.get(document_id)
    return replace(document, title=" ".join(document.title.split()))
"""
_FAILING: Final = f"""\
    if random() < {FAILING_PERCENT / 100}:
        raise ConnectionError("the nearest copy does not answer")
{_READ}"""
_SLOW: Final = f"""\
    if random() < {SLOW_PERCENT / 100}:
        await asyncio.sleep({SLOW_MS / 1000})  # the rate is not at hand
{_READ}"""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A service, and the part that its next release plays."""

    fate: Fate
    service: str
    description: str
    owner: str
    domain: str
    tier: str
    rate: float
    """Requests per second that its users send while the story is told."""
    subject: str
    """What the commit says."""
    changes: tuple[tuple[str, str], ...]
    """Pairs of the text that is there now, once, and what takes its place."""

    @property
    def answers(self) -> dict[str, str]:
        """The answers to the questions of the template."""
        return {"description": self.description, "owner": self.owner, "domain": self.domain, "tier": self.tier}


CAST: Final[Sequence[Part]] = (
    Part(
        fate="promoted",
        service="orders",
        description="Takes orders and shows their documents.",
        owner="storefront",
        domain="commerce",
        tier="critical",
        rate=200.0,
        subject="Show titles with single spaces",
        changes=(
            (_PARAMS, f"{_PARAMS}from msgspec.structs import replace\n"),
            (_READ, _SINGLE_SPACES),
        ),
    ),
    Part(
        fate="rolled_back",
        service="documents",
        description="Keeps the documents of customers.",
        owner="records",
        domain="content",
        tier="standard",
        rate=400.0,
        subject="Read documents from the nearest copy",
        changes=(
            (_TYPING, f"from random import random\n{_TYPING}"),
            (_READ, _FAILING),
        ),
    ),
    Part(
        fate="slow",
        service="payments",
        description="Takes payments and keeps their receipts.",
        owner="finance",
        domain="money",
        tier="critical",
        rate=200.0,
        subject="Ask for the rate of exchange on each read",
        changes=(
            (_TYPING, f"import asyncio\nfrom random import random\n{_TYPING}"),
            (_READ, _SLOW),
        ),
    ),
)


def changed(part: Part, text: str) -> str:
    """Return the handler with the change of a part; one that has it already stays as it is.

    Raises Conflict when it is no longer the text of the template.
    """
    if all(new in text for _, new in part.changes):
        return text
    for old, new in part.changes:
        if text.count(old) != 1:
            raise Conflict(
                f"{HANDLER} of {part.service} is not as the story left it.",
                next_step="Move the folder of the demo services away; then they are made again.",
            )
        text = text.replace(old, new)
    return text


def next_version(tags: Sequence[str]) -> str:
    """Return the version after those of the tags ``v1.<round>.0``; ``1.0.0`` when there is none."""
    rounds = [int(tag[3:-2]) for tag in tags if tag.startswith("v1.") and tag.endswith(".0") and tag[3:-2].isdecimal()]
    return f"1.{max(rounds, default=-1) + 1}.0"

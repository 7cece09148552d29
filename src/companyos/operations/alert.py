"""What a message about an alert changes in what is known of it. Messages come late, twice and in any order."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal, TypeAlias

from companyos.operations.model import Alert

LATE: Final = timedelta(minutes=10)
"""A message that says "fires" of something that has ended is late news for so long, and new news afterwards: an alert
that was thought to have ended keeps the moment at which it began."""

Step: TypeAlias = Literal["fire", "resolve", "repeat", "outdated"]


def step(known: Alert | None, heard: Alert) -> Step:
    """Return what hearing this does: the alert fires, ends, says the same again, or is older than what is known.

    Of two messages the one whose alert began later is newer; of one beginning, its end is.
    """
    news: Step = "fire" if heard.status == "firing" else "resolve"
    if known is None or heard.starts_at > known.starts_at:
        return news
    if heard.starts_at < known.starts_at:
        return "outdated"
    if heard.status == known.status:
        return "repeat"
    if heard.status == "firing" and heard.received_at - known.received_at <= LATE:
        return "outdated"
    return news

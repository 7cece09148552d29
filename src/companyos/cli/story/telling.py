"""What is said of the story: one line for each thing that happens, and a few at the end. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from companyos.cli.story.cast import FAILING_PERCENT, SLOW_MS, SLOW_PERCENT
from companyos.delivery import printing

if TYPE_CHECKING:
    from pathlib import Path

    from companyos.cli.story.cast import Fate, Part
    from companyos.delivery.view import Detail

_FATES: Final[Mapping[Fate, str]] = {
    "promoted": "is good",
    "rolled_back": f"fails {FAILING_PERCENT} % of its requests",
    "slow": f"takes {SLOW_MS} ms longer for {SLOW_PERCENT} % of its requests",
}


class Teller:
    """Remembers what was said of each release, so that everything is said once."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self._said: dict[str, int] = {}

    def news(self, release: Detail) -> list[str]:
        """Return the changes of a release that were not told yet, oldest first, and how it ended once it has."""
        known = self._said.get(release.id, 0)
        fresh = [change for change in release.transitions if change.number > known]
        if not fresh:
            return []
        self._said[release.id] = fresh[-1].number
        told = [
            f"{release.service:<10} {release.version:<6} {change.percent:>4g} %  {printing.state(change.phase):<15}  "
            f"{change.sentence}"
            for change in fresh
        ]
        if release.state == "rolled_back":
            told.append(f"{release.service:<10} {release.version:<6}         {back(release)}")
        return told


def introduction(parts: Sequence[Part]) -> str:
    """Return who is in the story."""
    return "Three services: " + ", ".join(f"{part.service} ({part.owner}, {part.tier})" for part in parts) + "."


def next_act(parts: Sequence[Part], versions: Mapping[str, str]) -> list[str]:
    """Return what the releases are that set out now."""
    return [
        f"{part.service:<10} {versions[part.service]:<6} sets out: {part.subject}. "
        f"This release {_FATES[part.fate]}; the platform is not told."
        for part in parts
    ]


def back(release: Detail) -> str:
    """Return how fast a release came back, and at what price."""
    seconds, totals = release.seconds_to_rollback, release.totals
    after = "" if seconds is None else f" {seconds:.1f} s after its first {_first(release)}"
    return f"Came back by itself{after}: {totals.canary_errors:,} of {totals.canary_requests:,} requests failed."


def holds(changes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return in which way the policy of the story differs from the product's own."""
    told = ", ".join(f"{name} {change['usual']:g} → {change['here']:g}" for name, change in changes.items())
    return f"Only holds are shortened ({told}); thresholds and statistics are the product's own."


def ending(document: Mapping[str, Any]) -> list[str]:
    """Return the story in a few lines, from what ``outcome.document`` says."""
    lines = []
    if promoted := document["promoted"]:
        climbed = " → ".join(f"{percent:g}" for percent in promoted["climbed_percent"])
        lines.append(
            f"{promoted['release']} climbed {climbed} % and is {promoted['state'].replace('_', ' ')}: "
            f"{promoted['requests']:,} requests, {promoted['failed_requests']:,} failed."
        )
    for name in ("rolled_back", "slow"):
        if one := document[name]:
            seconds = one["seconds_to_rollback"]
            took = "" if seconds is None else f" after {seconds:.1f} s"
            lines.append(
                f"{one['release']} is {one['state'].replace('_', ' ')}{took}, trigger {one['trigger'] or 'none'}: "
                f"{one['requests']:,} requests, {one['failed_requests']:,} failed. {one['cause']}".rstrip()
            )
    if load := document["load"]:
        lines.append(
            f"The load: {rates(load['asked_per_s'])} were asked for; {load['sent_per_s']:g} a second were sent in all, "
            f"{load['sent']:,} requests in {load['seconds']:.0f} s: {load['failed']:,} failed, "
            f"{load['skipped']:,} skipped."
        )
    records = document["ledger"]["records"]
    lines.append(
        f"The ledger is verified: {records:,} records."
        if document["ledger_verified"]
        else "The ledger is NOT verified."
    )
    lines.append(holds(document["holds_shortened"]))
    lines += [f"Did not happen: {sentence}" for sentence in document["not_happened"]]
    return lines


def rates(asked: Mapping[str, float]) -> str:
    """Return how many requests each service gets."""
    return ", ".join(f"{rate:g} requests/s to {service}" for service, rate in asked.items())


def afterwards(url: str, folder: Path, asked: Mapping[str, float]) -> str:
    """Return where to look, and what goes on, when the story has been told on a platform that stays."""
    return (
        f"Look around at {url}/releases. {rates(asked)} go on. The repositories are in {folder}: "
        "change one and `companyos ship` it, or start `up --demo` again for another round."
    )


def _first(release: Detail) -> str:
    return "failed request" if release.totals.first_error_at is not None else "request"

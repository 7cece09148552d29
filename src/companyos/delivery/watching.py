"""Following a release from a terminal until it has ended: what to say when, and for how long.

What is said is decided by ``Follower``, which is told one state after the other and has neither clock nor screen.
"""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import quote

import msgspec

from companyos.core.console import progress, safe, wants_json
from companyos.core.errors import InvalidInput, NotFound, TooManyRequests, Unavailable
from companyos.core.ids import is_uuid
from companyos.delivery import printing
from companyos.delivery.view import Detail

if TYPE_CHECKING:
    from companyos.core.api import Client
    from companyos.delivery.model import CommandKind

T = TypeVar("T")
Until: TypeAlias = Literal["final", "promoted"]
Outcome: TypeAlias = Literal["promoted", "rolled_back", "undecided"]

TIMEOUT_S: Final = 14_400.0
"""How long a release is followed unless somebody says otherwise: four hours, a whole ramp with some holds."""
POLL_S: Final = 0.5
PATIENCE_S: Final = 30.0
"""How long the platform may be away, for example while its server starts again."""
STALE_S: Final = 10.0
"""A release in flight at which nobody has looked for so long may have no controller."""
REPEAT_S: Final = 60.0
"""How often a verdict is said again in which only the numbers change."""
EFFECT_S: Final = 3.0
"""How long a command is waited for; the controller needs some 50 ms."""
EXIT_CODES: Final[dict[Outcome, int]] = {"promoted": 0, "rolled_back": 1, "undecided": 3}

_NOBODY_LOOKS: Final = f"No controller has looked at the release for {STALE_S:.0f} s. See: companyos status"
_NUMBERS: Final = re.compile(r"[0-9][0-9.,]*")


@dataclass(frozen=True, slots=True)
class Timing:
    """The clock of a watcher; tests bring one of their own."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Follower:
    """Says of one state after the other what is new in it, each in one line."""

    _transitions: int = 0
    _words: str = ""
    _verdict: str = ""
    _said_at: float = 0.0
    _looked: object = None
    _looked_at: float = 0.0
    stale: bool = False
    """Whether nobody has looked at the release for ``STALE_S``."""

    def news(self, release: Detail, now: float) -> list[str]:
        """Return the new transitions, the verdict when its words are others, and that nobody looks any more."""
        fresh = [change for change in release.transitions if change.number > self._transitions]
        lines = printing.transitions(msgspec.structs.replace(release, transitions=tuple(fresh)))
        self._transitions = max((change.number for change in fresh), default=self._transitions)
        words = _NUMBERS.sub("", release.verdict)
        old = now - self._said_at >= REPEAT_S and release.verdict != self._verdict
        if words != self._words or old:
            self._words, self._verdict, self._said_at = words, release.verdict, now
            if not any(line.endswith(release.verdict) for line in lines):
                lines.append(f"{printing.headline(release)}. {release.verdict}")
        return lines + self._staleness(release, now)

    def _staleness(self, release: Detail, now: float) -> list[str]:
        if release.observed_at != self._looked or not self._looked_at:
            self._looked, self._looked_at, self.stale = release.observed_at, now, False
        in_flight = release.state not in {"steady", "rolled_back"}
        if self.stale or not in_flight or now - self._looked_at < STALE_S:
            return []
        self.stale = True
        return [_NOBODY_LOOKS]


def outcome(release: Detail, until: Until) -> Outcome | None:
    """Return how a release has ended for somebody who waits for ``until``; None while it has not."""
    if release.state == "rolled_back":
        return "rolled_back"
    if release.state == "steady" or (release.state == "promoted" and until == "promoted"):
        return "promoted"
    return None


def at_the_end_of_patience(release: Detail) -> Outcome:
    """Return what a release counts as that has not ended in time: one that bakes is promoted, all else is undecided."""
    return "promoted" if release.state == "promoted" else "undecided"


def ending(release: Detail, ended: Outcome) -> list[str]:
    """Return the sentence about the end, and the cause."""
    if ended == "promoted":
        bakes = " It bakes beside the version before." if release.state == "promoted" else ""
        return [f"{release.name} is promoted.{bakes}"]
    if ended == "rolled_back":
        lines = [f"{release.name} was rolled back.", *printing.reasons(release)]
        return [*lines, f"See: companyos release show {release.id}"]
    lines = [f"{release.name} is not decided yet: {printing.state(release.state)}.", *printing.reasons(release)]
    return [*lines, how_to_go_on(release.id)]


def how_to_go_on(id: str) -> str:
    """Return how somebody sees or stops a release that goes on by itself."""
    return (
        f"The release goes on by itself. Watch it: companyos release watch {id}; "
        f"bring it back: companyos release abort {id} --reason WHY"
    )


def find(client: Client, release: str) -> dict[str, Any]:
    """Return the detail, as JSON, of a release by its id or the newest one of a ``service@version``.

    Raises InvalidInput when it is neither, NotFound when there is none.
    """
    if not is_uuid(release):
        service, at, version = release.partition("@")
        if not (service and at and version):
            raise InvalidInput(
                f"{release[:60]!r} is neither the id of a release nor a service@version.",
                next_step="See: companyos release list",
            )
        page = client.get("/api/releases", {"name": release, "limit": 1})
        if not page["items"]:
            raise NotFound(f"There is no release {release[:60]!r}.", next_step="See: companyos release list")
        release = page["items"][0]["id"]
    return get(client, release)


def get(client: Client, id: str) -> dict[str, Any]:
    """Return the detail of a release as JSON."""
    found: dict[str, Any] = client.get(f"/api/releases/{quote(id, safe='')}")
    return found


def ask(client: Client, id: str, kind: CommandKind, reason: str) -> dict[str, Any]:
    """Ask something of a release, and return its detail as JSON."""
    body = {"kind": kind, "reason": reason}
    answer: dict[str, Any] = client.post(f"/api/releases/{quote(id, safe='')}/commands", body)
    return answer


def typed(document: dict[str, Any], kind: type[T]) -> T:
    """Return the value in an answer, or raise Unavailable when the platform speaks another language."""
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as fault:
        raise Unavailable(
            f"The platform describes the release in a way that this command does not know: {fault}.",
            next_step="Use the command of the same version as the platform, or --json.",
        ) from fault


def watch(
    client: Client, id: str, *, until: Until = "final", timeout_s: float = TIMEOUT_S, timing: Timing | None = None
) -> tuple[Outcome, dict[str, Any]]:
    """Follow a release until it has ended, and return how, with its last detail as JSON.

    It says on the way what is new: as a live view on a terminal, as lines elsewhere. Raises Unavailable when the
    platform stays away for longer than ``PATIENCE_S``; KeyboardInterrupt after saying how the release goes on.
    """
    timing = timing or Timing()
    deadline = timing.now() + timeout_s
    document: dict[str, Any] | None = None
    try:
        with _screen(timing) as screen:
            while True:
                document = _patiently(client, id, deadline, document, timing)
                release = typed(document, Detail)
                screen(release)
                if (ended := outcome(release, until)) is not None:
                    return ended, document
                if timing.now() >= deadline:
                    return at_the_end_of_patience(release), document
                timing.pause(min(POLL_S, max(deadline - timing.now(), 0.0)))
    except KeyboardInterrupt:
        progress(how_to_go_on(id))
        raise


def effect(
    client: Client, asked: dict[str, Any], kind: CommandKind, *, timing: Timing | None = None
) -> tuple[bool, str, dict[str, Any]]:
    """Wait shortly for a command; return whether it took effect, what became of it, and the last detail as JSON."""
    timing = timing or Timing()
    before = typed(asked, Detail)
    deadline = timing.now() + EFFECT_S
    document = asked
    while not took_effect(release := typed(document, Detail), kind):
        if timing.now() >= deadline:
            return False, _no_effect(before, release, kind), document
        timing.pause(0.05)
        document = get(client, before.id)
    return True, f"{printing.headline(release)}. {release.verdict}", document


def took_effect(release: Detail, kind: CommandKind) -> bool:
    """Tell whether a release is as the command wants it."""
    if kind in {"abort", "rollback"}:
        return release.state in {"rollback_pending", "rolled_back"}
    if kind == "promote":
        return release.state in {"promoted", "steady"}
    by_hand = release.held is not None and release.held.reason == "manual"
    return by_hand if kind == "hold" else not by_hand


def _no_effect(before: Detail, now: Detail, kind: CommandKind) -> str:
    if now.observed_at == before.observed_at:
        return (
            f"The {kind} of {now.name} is written down, and no controller has looked at it for {EFFECT_S:.0f} s: "
            "it takes effect when one runs. See: companyos status"
        )
    return f"The {kind} has not changed {now.name} yet, which is {printing.state(now.state)}. {now.verdict}"


def _patiently(
    client: Client, id: str, deadline: float, known: dict[str, Any] | None, timing: Timing
) -> dict[str, Any]:
    """Return the next detail, or the known one when the time is over while the platform is away."""
    away_since: float | None = None
    while True:
        try:
            return get(client, id)
        except (Unavailable, TooManyRequests) as fault:
            now = timing.now()
            if away_since is None:
                away_since = now
                progress("The platform does not answer; it is asked again.")
            wait = float(fault.retry_after_s) if isinstance(fault, TooManyRequests) else POLL_S
            patience = math.inf if isinstance(fault, TooManyRequests) else PATIENCE_S
            if now - away_since >= patience or (now >= deadline and known is None):
                raise
        if known is not None and now + wait >= deadline:
            timing.pause(max(deadline - now, 0.0))
            return known
        timing.pause(wait)


@contextmanager
def _screen(timing: Timing) -> Iterator[Callable[[Detail], None]]:
    """Return what shows a state: a view that is drawn over and over on a terminal, new lines anywhere else."""
    follower = Follower()
    if wants_json() or not sys.stdout.isatty():

        def say(release: Detail) -> None:
            for line in follower.news(release, timing.now()):
                progress(line)

        yield say
        return

    from rich.console import Console as RichConsole
    from rich.live import Live
    from rich.text import Text

    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with Live(console=RichConsole(file=sys.stdout, highlight=False), auto_refresh=False) as live:

        def draw(release: Detail) -> None:
            follower.news(release, timing.now())
            notes = ["", _NOBODY_LOOKS] if follower.stale else []
            lines = "\n".join(safe(line) for line in [*printing.board(release), *notes])
            # Text, not str: rich reads `[red]` in a str as markup.
            live.update(Text(lines.encode(encoding, "backslashreplace").decode(encoding)), refresh=True)

        yield draw

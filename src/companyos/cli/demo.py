"""``companyos demo``: the whole story on a platform of its own, and the same story on the one that ``up`` has started.

Exit codes: 0 all of it happened · 1 something did not, and ``not_happened`` says what · 3 it could not be told.
"""

from __future__ import annotations

import contextlib
import signal
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from companyos.core.console import Console, JsonOption, emit, progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from companyos.cli.guard import Local
    from companyos.cli.story.places import Place
    from companyos.cli.story.playing import Told
    from companyos.cli.up import Running
    from companyos.core.keeper import Keeper

_ENDED_BY_SIGNAL: Final = 128
_STAY_S: Final = 0.5


def demo(
    headless: Annotated[bool, typer.Option("--headless", help="End when the story is told; nobody looks on.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the temporary home with its ledger and logs.")] = False,
    load: Annotated[
        float, typer.Option(min=0.01, max=10, help="How much more or less users ask than the story has it.")
    ] = 1.0,
    json: JsonOption = False,
) -> None:
    """Tell the story of three releases on a platform of its own: one good, one bad, one slow.

    It uses free ports and a temporary home, and everything is stopped in the end. Without --headless it stays when the
    story is told, so that you can look around, until Ctrl-C. Exit code 0 when all happened as it should, 1 when not,
    3 when it could not be told.
    """
    from companyos.cli.guard import allow
    from companyos.cli.steps import no_router
    from companyos.cli.story import places, playing
    from companyos.core.errors import Unavailable

    began = time.monotonic()
    local = allow("platform.run")
    if lacking := no_router():
        raise Unavailable(f"The story needs a router. {lacking}", next_step="Install it with: make setup")
    with _ended_by_signals():
        with places.own(local, keep=keep) as place:
            if not headless:
                _invite(place)
            told = playing.play(place, progress, share=load, began=began)
            document = {**told.document, "home": str(place.home.path) if keep else None}
            if not headless:
                emit(document, lambda console: _show(console, document), json=json)
                _stay(told, place)
        document["seconds_total"] = round(time.monotonic() - began, 1)
    if headless:
        emit(document, lambda console: _show(console, document), json=json)
    if not told.whole:
        raise typer.Exit(1)


def tell(running: Running, local: Local, keeper: Keeper) -> None:
    """Tell the story on the platform that ``up`` has brought about; what keeps it from being told is said in a line.

    A home that has told it before gets another round: new commits in the same repositories, released in the same way.
    Afterwards the load goes on gently until the platform is ended.
    """
    from companyos.cli.story import places, playing, telling
    from companyos.cli.story.load import GENTLY
    from companyos.core.errors import CompanyOSError

    began = time.monotonic()
    if running.controller is None:
        progress("demo      left out, because releases cannot be followed here.")
        return
    link = None if running.sign_in is None else running.sign_in["url"]
    try:
        place = places.running(local.home, keeper, running.address.url, running.controller["traffic"], link)
        progress("")
        told = playing.play(place, progress, share=1.0, began=began)
        told.load.go_on_gently()
    except (CompanyOSError, OSError) as fault:
        progress(f"demo      not told: {fault} {getattr(fault, 'next_step', '')}".rstrip())
        return
    progress("")
    for line in telling.ending(told.document):
        progress(line)
    progress("")
    progress(
        telling.afterwards(place.url, place.folder, {name: rate * GENTLY for name, rate in told.load.rates.items()})
    )


def _invite(place: Place) -> None:
    progress("")
    progress(f"The Control Tower: {place.url}")
    if place.sign_in is not None:
        progress(f"Sign in once with {place.sign_in}")
    progress("")


def _show(console: Console, document: dict[str, Any]) -> None:
    from companyos.cli.story import telling

    console.print()
    for line in telling.ending(document):
        console.print(line)
    console.print(f"It took {document['seconds_total']:.0f} s.")
    if document["home"] is not None:
        console.print(f"Its home is left in {document['home']}.")


def _stay(told: Told, place: Place) -> None:
    """Let somebody look around until Ctrl-C, or until the platform is ended otherwise."""
    told.load.go_on_gently()
    progress(f"Look around at {place.url}; Ctrl-C ends everything.")
    while place.keeper.runs():
        time.sleep(_STAY_S)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and the end of the terminal end the story as Ctrl-C does, with everything that it has started."""

    def ended(number: int, _: FrameType | None) -> None:
        raise SystemExit(_ENDED_BY_SIGNAL + number)

    before = {number: signal.signal(number, ended) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

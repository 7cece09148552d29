"""``companyos status``: what runs, as the platform itself and its keeper say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import typer

from companyos.core.console import Console, JsonOption, emit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from companyos.core.api import Client
    from companyos.core.keeper import ChildStatus

State = Literal["up", "down", "unknown"]
ALL_UP, SOMETHING_DOWN, NOT_FOUND_OUT = 0, 1, 3
_CHILD_STATES: Final[Mapping[str, State]] = {"running": "up", "waiting": "down", "stopping": "down", "ended": "down"}


class Part(NamedTuple):
    """One thing that is up, down or not known."""

    name: str
    state: State
    detail: str = ""


def status(json: JsonOption = False) -> None:
    """Show what runs.

    Ends with 0 when all is up, 1 when something is down, 3 when it could not be found out.
    """
    place, parts = _look()
    code = exit_code(parts)
    emit(
        {"platform": place, "state": {0: "up", 1: "down"}.get(code, "unknown"), "parts": [p._asdict() for p in parts]},
        lambda console: _show(console, place, parts),
        json=json,
    )
    raise typer.Exit(code)


def exit_code(parts: Sequence[Part]) -> int:
    """Return 1 when anything is down, else 3 when anything (or everything) is unknown, else 0."""
    states = {part.state for part in parts}
    if "down" in states:
        return SOMETHING_DOWN
    return NOT_FOUND_OUT if "unknown" in states or not states else ALL_UP


def of_children(children: Iterable[ChildStatus]) -> list[Part]:
    """Return the keeper's children as parts."""
    return [
        Part(
            f"process {child.name}",
            _CHILD_STATES[child.state],
            ", ".join(
                text
                for text in (
                    child.state,
                    f"pid {child.pid}" if child.pid else "",
                    f"restarted {child.restarts} times" if child.restarts else "",
                    f"last exit: {child.last_exit}" if child.last_exit else "",
                )
                if text
            ),
        )
        for child in children
    ]


def of_answer(answer: object) -> list[Part]:
    """Return the parts that ``GET /status`` lists; what it says in another shape is unknown, not up."""
    listed = answer.get("components") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return [Part("platform", "unknown", "its status cannot be read")]
    return [_part(item) for item in listed]


def _part(item: Any) -> Part:  # noqa: ANN401 - JSON of another release, perhaps
    if not isinstance(item, dict):
        return Part("platform", "unknown", "its status cannot be read")
    state = item.get("state")
    known: State = state if state in {"up", "down"} else "unknown"
    return Part(str(item.get("name", "?")), known, str(item.get("detail") or ""))


def _look() -> tuple[str, list[Part]]:
    import os

    from companyos.core.client import connect, running_server
    from companyos.core.errors import CompanyOSError, Unavailable

    if os.environ.get("COMPANYOS_URL"):
        remote = connect()
        return remote.place, _of_platform(remote)
    from companyos.cli.guard import allow
    from companyos.cli.steps import SERVER, keeper_of

    home = allow("tower.read").home
    keeper = keeper_of(home)
    parts: list[Part] = []
    children: Sequence[ChildStatus] = ()
    if keeper.runs():
        try:
            children = keeper.children()
            parts.append(Part("keeper", "up", f"pid {keeper.pid()}"))
        except Unavailable as fault:
            parts.append(Part("keeper", "unknown", str(fault)))
    else:
        parts.append(Part("keeper", "down", "start it with: companyos up"))
    parts += of_children(children)
    server = running_server(home)
    if server is None:
        if all(child.name != SERVER for child in children):
            parts.append(Part("server", "down", "no server answers for this home"))
        return str(home.path), parts
    try:
        parts += _of_platform(connect())
    except CompanyOSError as fault:
        parts.append(Part("server", "unknown", str(fault)))
    return server.url, parts


def _of_platform(platform: Client) -> list[Part]:
    # 503 says that something is down, and the body which.
    return of_answer(platform.ask("GET", "/status", also={503}).value)


def _show(console: Console, place: str, parts: Sequence[Part]) -> None:
    console.print(f"Platform: {place}")
    console.table(("Part", "State", "Detail"), parts)

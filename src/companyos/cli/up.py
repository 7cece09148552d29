"""``companyos up``, ``down`` and ``serve``: the platform's life on one machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from companyos.core.console import INTERRUPTED, Console, JsonOption, emit, progress, wants_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from companyos.cli.guard import Local
    from companyos.core.client import ServerAddress
    from companyos.core.home import Home
    from companyos.core.keeper import Keeper

HostOption = Annotated[
    str | None,
    typer.Option("--host", help="Address to listen on; the setting `host` when left out.", metavar="ADDRESS"),
]
PortOption = Annotated[
    int | None,
    typer.Option("--port", min=0, max=65535, help="Port to listen on, 0 for any; the setting `port` when left out."),
]
_POLL_S: Final = 0.3


class Running(NamedTuple):
    """What ``up`` has brought about."""

    address: ServerAddress
    keeper_pid: int
    keeper_started: bool
    server_started: bool
    controller: dict[str, Any] | None
    """None where releases cannot be delivered."""
    sign_in: dict[str, Any] | None

    def document(self) -> dict[str, object]:
        """Return the answer as data."""
        return {
            "url": self.address.url,
            "server": {"pid": self.address.pid, "started": self.server_started},
            "keeper": {"pid": self.keeper_pid, "started": self.keeper_started},
            "controller": self.controller,
            "sign_in": self.sign_in,
        }


def serve(host: HostOption = None, port: PortOption = None, json: JsonOption = False) -> None:
    """Run the server alone in the foreground.

    There is no keeper: nothing starts it again, and Ctrl-C ends it.
    """
    from companyos.cli.guard import allow
    from companyos.cli.ports import require_free

    local = allow("platform.run")
    local.home.create()
    chosen_host, chosen_port = _choice(local, host, port)
    require_free(chosen_host, chosen_port)
    from companyos.server.run import run

    if json:
        emit({"host": chosen_host, "port": chosen_port, "pid": os.getpid()})
    run(local.settings, chosen_host, chosen_port, out=sys.stderr if json else None)


def up(
    host: HostOption = None,
    port: PortOption = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return as soon as the platform answers.")] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show it at work first: three services, three releases, users.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Start the platform and show its log.

    What runs already is found and left as it is. Ctrl-C ends everything. A killed `up` ends nothing: the keeper goes
    on, and the next `up` finds what runs.
    """
    from companyos.cli.demo import tell
    from companyos.cli.guard import allow
    from companyos.cli.steps import keeper_of

    local = allow("platform.run")
    local.home.create()
    keeper = keeper_of(local.home)
    with one_at_a_time(local.home):
        running = bring_up(local, keeper, *_choice(local, host, port))
    emit(running.document(), lambda console: _welcome(console, running), json=json)
    story = (lambda: tell(running, local, keeper)) if demo else None
    if not detach:
        _follow(local, keeper, story)
    elif story is not None:
        story()


def down(json: JsonOption = False) -> None:
    """End everything that `up` started.

    That is the server, every other process of the platform, and the keeper. Nothing to end is no fault; a server that
    somebody runs without the keeper is left, named, and makes this end with 1.
    """
    from companyos.cli.guard import allow
    from companyos.cli.steps import GRACE_S, keeper_of
    from companyos.core.client import running_server

    local = allow("platform.run")
    keeper = keeper_of(local.home)
    ended: list[str] = []
    if keeper.runs() or keeper.left_behind():
        keeper.ensure()
        ended = [child.name for child in keeper.children() if child.pid is not None]
        keeper.shutdown(GRACE_S)
    left = running_server(local.home)
    emit(
        {"ended": ended, "left": None if left is None else {"url": left.url, "pid": left.pid}},
        lambda console: _farewell(console, ended, left),
        json=json,
    )
    if left is not None:
        raise typer.Exit(1)


def bring_up(local: Local, keeper: Keeper, host: str, port: int) -> Running:
    """Start whatever does not run yet and return once the server answers.

    What this call started is ended again when the server does not come up. Raises Unavailable or what a step raises.
    """
    from companyos.cli.ports import require_free
    from companyos.cli.steps import SERVER, server_child, server_spec, upgrade_database, wait_for_server

    if not keeper.runs() and not keeper.left_behind():
        require_free(host, port)
    keeper_started = keeper.ensure()
    progress(f"keeper    {'started' if keeper_started else 'already running'} (pid {keeper.pid()})")
    child = server_child(keeper)
    fresh = child is None or child.pid is None
    try:
        if fresh:
            require_free(host, port)
            plan = upgrade_database(local)
            progress(f"database  {'upgraded to' if plan.pending else 'ready at'} {plan.target}")
            fresh = keeper.start(server_spec(local, host, port)).fresh
        address = wait_for_server(keeper, local.home)
    except BaseException:
        if keeper_started:
            keeper.shutdown()
        elif fresh:
            keeper.stop(SERVER)
        raise
    progress(f"server    {'started at' if fresh else 'already running at'} {address.url} (pid {address.pid})")
    controller = bring_up_controller(local, keeper)
    return Running(address, keeper.pid(), keeper_started, fresh, controller, _sign_in(local, address))


def bring_up_controller(local: Local, keeper: Keeper) -> dict[str, Any] | None:
    """Have releases followed, and return by which process and behind which address; None where there is no router.

    The platform does not need it to answer, so a controller that does not come up is told and left to the keeper.
    """
    from companyos.cli.steps import controller_spec, no_router, wait_for_controller
    from companyos.core.errors import Unavailable

    if lacking := no_router():
        progress(f"releases  left out: {lacking}")
        return None
    fresh = keeper.start(controller_spec(local)).fresh
    try:
        noted = wait_for_controller(keeper, local.home)
    except Unavailable as fault:
        progress(f"releases  not followed: {fault}")
        return None
    word = "started" if fresh else "already running"
    behind = noted.traffic or "a router that does not answer yet"
    wanted = local.settings.traffic_port
    moved = f" ({wanted} was taken)" if wanted and not behind.endswith(f":{wanted}") else ""
    progress(f"releases  controller {word} (pid {noted.pid}), services answer at {behind}{moved}")
    return {"pid": noted.pid, "started": fresh, "traffic": noted.traffic}


@contextlib.contextmanager
def one_at_a_time(home: Home) -> Iterator[None]:
    """Let one `up` of a home start things; the others wait here and then find what runs."""
    with open(home.run / "up.lock", "a", opener=_private) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _choice(local: Local, host: str | None, port: int | None) -> tuple[str, int]:
    return (local.settings.host if host is None else host), (local.settings.port if port is None else port)


def _sign_in(local: Local, address: ServerAddress) -> dict[str, Any] | None:
    """Return a one-time sign-in link of the running server, or None when it gives none: it runs either way."""
    from companyos.core.api import Client
    from companyos.core.client import admin_token, check_token
    from companyos.core.errors import CompanyOSError
    from companyos.core.transport import HttpTransport

    try:
        platform = Client(HttpTransport(address.url, check_token(admin_token(local.home))), address.url)
        link = platform.post("/api/login-codes", json={})
        return {"url": f"{address.url}{link['path']}", "expires_at": link["expires_at"]}
    except (CompanyOSError, KeyError, TypeError) as fault:
        progress(f"sign-in   no link: {fault}")
        return None


def _welcome(console: Console, running: Running) -> None:
    console.print()
    console.print(f"CompanyOS runs at {running.address.url}")
    if running.sign_in is not None:
        console.print(f"Sign in once with {running.sign_in['url']}")
        console.print(f"(valid until {running.sign_in['expires_at']}; `companyos up --detach` gives a new one)")


def _farewell(console: Console, ended: Sequence[str], left: ServerAddress | None) -> None:
    if ended or left is None:
        console.print(f"Ended: {', '.join([*ended, 'keeper'])}." if ended else "Nothing runs.")
    if left is not None:
        console.print(
            f"The server at {left.url} (pid {left.pid}) runs without the keeper; end it where it was started."
        )


def _follow(local: Local, keeper: Keeper, story: Callable[[], None] | None = None) -> None:
    """Show the server's log until Ctrl-C, which ends everything, or until somebody else ends the platform.

    A story is told first.
    """
    from companyos.cli.log import Follower, short
    from companyos.cli.steps import GRACE_S, server_log

    progress("Ctrl-C ends it; closing this terminal does not.")
    try:
        if story is not None:
            story()
        follower = Follower(server_log(local.home), from_end=True)
        while keeper.runs():
            for line in follower.new_lines():
                progress(short(line))
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        # A second Ctrl-C must not leave the ending half done.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        progress("ending…")
        if keeper.runs():
            keeper.shutdown(GRACE_S)
        progress("ended")
        raise typer.Exit(INTERRUPTED) from None
    if not wants_json():
        progress("The platform was ended by somebody else.")

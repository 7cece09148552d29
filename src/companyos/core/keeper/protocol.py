"""What goes over the keeper's socket: one JSON object on one line each way, then the connection ends.

Requests: ``{"do": "ping"}``, ``{"do": "start", "spec": {…}}``, ``{"do": "stop", "name": …, "grace_s": …}``,
``{"do": "list"}``, ``{"do": "shutdown", "grace_s": …}``. ``stop`` and ``shutdown`` answer at once; whoever waits asks
``list`` until the child is gone. Answers: ``{"ok": true, …}`` or ``{"ok": false, "fault": "<one sentence>"}``.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from companyos.core.keeper.supervise import Restart

VERSION = 1
LINE_LIMIT_BYTES = 4 * 1024 * 1024
"""A request carries an environment, which the kernel limits to about 2 MB."""
REQUEST_S = 5.0
"""The time in which a request must arrive and its answer must leave."""
GRACE_LIMIT_S = 600.0

State = Literal["running", "waiting", "stopping", "ended"]
"""running · waiting (for its restart) · stopping (was asked to) · ended (nobody will restart it)."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}", re.ASCII)


class Refused(Exception):
    """A request that cannot be done; ``str()`` is the sentence that goes back to the asker."""


class ChildSpec(NamedTuple):
    """What to run, and how to treat it.

    ``argv[0]``, ``cwd`` and ``log`` are absolute paths. ``env`` is the whole environment of the child; it is kept in
    memory only, files hold its hash. ``grace_s`` is the time between SIGTERM and SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    log: str
    restart: Restart = "always"
    grace_s: float = 10.0


class ChildStatus(NamedTuple):
    """A child as the keeper sees it."""

    name: str
    state: State
    pid: int | None
    argv: tuple[str, ...]
    log: str
    since: float
    """Seconds since the epoch at which the present state began."""
    restarts: int
    adopted: bool
    """True when an earlier keeper started it."""
    last_exit: str | None
    """How its last run ended, for example ``signal SIGKILL``; None while the first run lasts."""


def environment_hash(env: Mapping[str, str]) -> str:
    """Return the SHA-256 of an environment, independent of its order, as lower-case hex."""
    text = "\0".join(f"{name}={value}" for name, value in sorted(env.items()))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def encode(message: Mapping[str, object]) -> bytes:
    """Return a message as one line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def decode(line: bytes) -> dict[str, object]:
    """Return the message of one line; raises Refused when it is none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise Refused("The request is not one line of JSON.") from fault
    if not isinstance(message, dict):
        raise Refused("The request is not a JSON object.")
    return message


def receive_line(connection: socket.socket, within_s: float) -> bytes:
    """Return the line that arrives within the given seconds, without its end.

    Raises Refused when it is too long or incomplete, TimeoutError when it takes longer, OSError when the peer is gone.
    """
    deadline = time.monotonic() + within_s
    received = bytearray()
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole line arrived in time")
        connection.settimeout(left)
        part = connection.recv(65536)
        if not part:
            raise Refused("The line has no end.")
        line, end, _ = part.partition(b"\n")
        received += line
        if len(received) > LINE_LIMIT_BYTES:
            raise Refused(f"The line is longer than {LINE_LIMIT_BYTES} bytes.")
        if end:
            return bytes(received)


def check_name(value: object) -> str:
    """Return a child's name, or raise Refused."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refused("A child's name is 1 to 63 of a-z, 0-9 and '-', and starts with a letter.")
    return value


def check_grace(value: object) -> float:
    """Return seconds of grace between 0 and ``GRACE_LIMIT_S``, or raise Refused."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= GRACE_LIMIT_S:
        raise Refused(f"grace_s is a number from 0 to {GRACE_LIMIT_S:.0f}.")
    return float(value)


def spec_to_json(spec: ChildSpec) -> dict[str, object]:
    """Return the JSON object of a spec."""
    return {**spec._asdict(), "argv": list(spec.argv), "env": dict(spec.env)}


def spec_from_json(value: object) -> ChildSpec:
    """Return the spec that a JSON object holds; raises Refused that names the first field at fault."""
    if not isinstance(value, dict) or value.keys() != set(ChildSpec._fields):
        raise Refused(f"A spec holds exactly the fields {', '.join(ChildSpec._fields)}.")
    argv, env, restart = value["argv"], value["env"], value["restart"]
    if not isinstance(argv, list) or not argv or not all(_is_plain(part) for part in argv):
        raise Refused("argv is a list of one or more texts without NUL.")
    if not isinstance(env, dict) or not all(
        _is_plain(name) and name and "=" not in name and _is_plain(text) for name, text in env.items()
    ):
        raise Refused("env maps names without '=' to texts without NUL.")
    if restart not in get_args(Restart):
        raise Refused("restart is 'always' or 'never'.")
    paths = {"argv[0]": argv[0], "cwd": value["cwd"], "log": value["log"]}
    for field, path in paths.items():
        if not _is_plain(path) or not path.startswith("/"):
            raise Refused(f"{field} is an absolute path.")
    return ChildSpec(
        name=check_name(value["name"]),
        argv=tuple(argv),
        cwd=paths["cwd"],
        env=env,
        log=paths["log"],
        restart=restart,
        grace_s=check_grace(value["grace_s"]),
    )


def status_to_json(status: ChildStatus) -> dict[str, object]:
    """Return the JSON object of a status."""
    return {**status._asdict(), "argv": list(status.argv)}


def status_from_json(value: Mapping[str, object]) -> ChildStatus:
    """Return the status that the keeper's own answer holds."""
    fields: dict[str, Any] = {name: value.get(name) for name in ChildStatus._fields}
    return ChildStatus(**{**fields, "argv": tuple(fields["argv"] or ())})


def _is_plain(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value

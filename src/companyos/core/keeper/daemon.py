"""The keeper's loop: one request at a time, children in between. Single-threaded, standard library only."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Final

from companyos.core.keeper import logs, process
from companyos.core.keeper.children import Children
from companyos.core.keeper.place import Place, address, make_address
from companyos.core.keeper.protocol import (
    VERSION,
    Refused,
    check_grace,
    check_name,
    decode,
    encode,
    receive_line,
    spec_from_json,
    status_to_json,
)

READ_S: Final = 1.0
"""Only this user can connect, so one slow asker at a time may hold the loop up, for at most this long."""
LOCK_S: Final = 5.0
"""How long to wait for the lock while nobody listens who could hold it for good."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)


class AlreadyRuns(Exception):
    """Another keeper holds the lock of this home."""


class Daemon:
    """A keeper that holds the lock of its home and listens."""

    def __init__(self, place: Place) -> None:
        """Take the lock, adopt what runs and listen. Raises AlreadyRuns or OSError."""
        self._place = place
        self._lock = _take_lock(place)
        self._children = Children(place.state, report)
        self._children.adopt()
        self._address = make_address(place)
        self._listener = _listen(self._address)
        self._wake, wake = socket.socketpair()
        self._wake.settimeout(0)
        wake.settimeout(0)
        self._waker = wake  # kept open: it is the descriptor that signals write to
        self._asked_to_end = False
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        report("keeper started", pid=os.getpid(), address=str(self._address))

    def serve(self) -> None:
        """Answer and watch until a shutdown has ended every child; removes the socket at the end."""
        while True:
            if self._asked_to_end:
                self._children.close()
            idle_s = self._children.tick()
            if self._children.closed:
                break
            ready, _, _ = select.select([self._listener, self._wake], [], [], idle_s)
            if self._wake in ready:
                self._drain()
            if self._listener in ready:
                self._answer_one()
            self._tidy()
        self._listener.close()
        self._address.unlink(missing_ok=True)
        report("keeper ended", pid=os.getpid())

    def _on_signal(self, number: int, frame: object) -> None:
        del frame
        # Only a note: the loop may be in the middle of a change of the children.
        self._asked_to_end = self._asked_to_end or number in {signal.SIGTERM, signal.SIGINT}

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake.recv(4096):
                pass

    def _tidy(self) -> None:
        logs.rotate(self._place.log)
        # A cleaner of temporary files may take the socket away; without it nobody could ask for anything any more.
        if not self._address.exists() and self._address.parent.is_dir():
            self._listener.close()
            self._listener = _listen(self._address)
            report("socket made again", address=str(self._address))

    def _answer_one(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        with connection:
            try:
                answer = self._answer(decode(receive_line(connection, READ_S)))
            except Refused as fault:
                answer = {"ok": False, "fault": str(fault)}
            except OSError:
                return
            except Exception as fault:  # noqa: BLE001 - a keeper that ends on a fault of its own would watch nobody
                report("request failed", fault=repr(fault))
                answer = {"ok": False, "fault": "The keeper failed on this request; its log says more."}
            # The asker may be gone already; what it asked for was done.
            with contextlib.suppress(OSError):
                connection.settimeout(READ_S)
                connection.sendall(encode(answer))

    def _answer(self, request: dict[str, object]) -> dict[str, object]:
        match request.get("do"):
            case "ping":
                return {"ok": True, "pid": os.getpid(), "version": VERSION}
            case "list":
                return {"ok": True, "children": [status_to_json(child) for child in self._children.statuses()]}
            case "start":
                status, fresh = self._children.start(spec_from_json(request.get("spec")))
                return {"ok": True, "child": status_to_json(status), "started": fresh}
            case "stop":
                name, grace_s = check_name(request.get("name")), check_grace(request.get("grace_s"))
                return {"ok": True, "found": self._children.stop(name, grace_s)}
            case "shutdown":
                self._children.close(check_grace(request.get("grace_s")))
                return {"ok": True, "pid": os.getpid()}
            case _:
                raise Refused("do is one of ping, list, start, stop, shutdown.")


def report(event: str, **fields: object) -> None:
    """Write one line of JSON to the keeper's log (its standard error)."""
    line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": event, **fields}
    with contextlib.suppress(OSError):
        sys.stderr.write(json.dumps(line) + "\n")
        sys.stderr.flush()


def detach(place: Place) -> int:
    """Become a daemon that serves a home, and return the exit status of the process that called: 0 when one listens.

    Forks twice with a session of its own in between, so that the keeper belongs to no terminal and has init as parent.
    The caller returns when the keeper listens, or when another one holds the lock; 3 when neither is so.
    """
    told, tell = os.pipe()
    if os.fork() > 0:
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            answer = pipe.read()
        os.wait()
        return 0 if answer == b"ok" else 3
    os.close(told)
    os.setsid()
    if os.fork() > 0:
        os._exit(0)
    status = 3
    try:
        _stand_alone(place)
        daemon = Daemon(place)
        os.write(tell, b"ok")
        os.close(tell)
        daemon.serve()
        status = 0
    except AlreadyRuns:
        os.write(tell, b"ok")
        status = 0
    except BaseException as fault:  # noqa: BLE001 - the last place where the cause can be written down
        report("keeper failed", fault=repr(fault))
    finally:
        os._exit(status)


def _stand_alone(place: Place) -> None:
    os.umask(0o077)
    os.chdir("/")
    log = logs.open_log(place.log)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _take_lock(place: Place) -> int:
    descriptor = os.open(place.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            # Held by a keeper that lives, by one that is about to end, or for a moment by somebody who looks.
            if _listens(place) or time.monotonic() >= deadline:
                os.close(descriptor)
                raise AlreadyRuns from None
            time.sleep(0.02)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()} {process.start_time(os.getpid())}\n".encode())
    return descriptor


def _listens(place: Place) -> bool:
    path = address(place)
    if path is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def _listen(path: Path) -> socket.socket:
    # Whoever holds the lock may remove a socket that an earlier keeper left behind.
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(32)
    listener.settimeout(0)
    return listener

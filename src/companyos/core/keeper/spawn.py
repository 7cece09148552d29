"""Starting a child so that no crash of the keeper can leave one behind that is not on record."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

from companyos.core.keeper.logs import open_log
from companyos.core.keeper.protocol import ChildSpec, Refused

_GO: Final = b"\1"
_FILES_LIMIT: Final = 4096
"""Descriptors of the keeper are not inheritable anyway; this closes what somebody else handed down to it."""
NOT_STARTED: Final = 127
"""Exit status of a child whose program could not be started, as in shells."""


def spawn(spec: ChildSpec, record: Callable[[int], None]) -> int:
    """Start a child as the leader of its own session and return its process id.

    ``record`` is called with the process id before the program runs. The child waits behind a pipe until that returned:
    when the keeper dies in between, the pipe ends and so does the child. Raises Refused when the program, the folder or
    the log cannot be used; whatever ``record`` raises ends the child and is passed on.
    """
    program = spec.argv[0]
    if not os.access(program, os.X_OK) or not Path(program).is_file():
        raise Refused(f"{program} is no program that can be run.")
    if not Path(spec.cwd).is_dir():
        raise Refused(f"The folder {spec.cwd} does not exist.")
    try:
        log = open_log(Path(spec.log))
    except OSError as fault:
        raise Refused(f"The log {spec.log} cannot be written: {fault.strerror}.") from fault
    gate, opener = os.pipe()
    # A signal that reaches the fork before it has the system's defaults would run into the keeper's handlers and be
    # lost with them; blocked, it waits until the defaults are in place.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _become(spec, gate, opener, log)
    except OSError as fault:
        os.close(opener)
        os.close(log)
        raise Refused(f"The system starts no more processes: {fault.strerror}.") from fault
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(gate)
    os.close(log)
    try:
        record(pid)
        os.write(opener, _GO)
    except BaseException:
        os.close(opener)
        os.waitpid(pid, 0)
        raise
    os.close(opener)
    return pid


def _become(spec: ChildSpec, gate: int, opener: int, log: int) -> NoReturn:
    """Turn this fork into the program; nothing of the keeper may run on in it, so every way out is ``_exit``."""
    try:
        os.close(opener)
        os.setsid()
        signal.set_wakeup_fd(-1)
        # Python ignores SIGPIPE and the keeper handles or ignores others; a program expects the system's defaults.
        for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if os.read(gate, 1) != _GO:
            os._exit(NOT_STARTED)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, _FILES_LIMIT)
        os.chdir(spec.cwd)
        os.execve(spec.argv[0], spec.argv, dict(spec.env))  # noqa: S606 - the very purpose of a keeper
    except BaseException as fault:  # noqa: BLE001 - see the docstring
        os.write(2, f"keeper: {spec.argv[0]} could not be started: {fault}\n".encode(errors="replace"))
    finally:
        os._exit(NOT_STARTED)

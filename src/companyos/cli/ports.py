"""Whether the server's port is free, and if not, which process holds it."""

from __future__ import annotations

import errno
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from companyos.core.errors import InvalidInput, Unavailable

_PROC: Final = Path("/proc")
_LISTEN: Final = "0A"
_LSOF_TIMEOUT_S: Final = 5.0
_COMMAND_LIMIT: Final = 120
_LOCAL, _STATE, _INODE = 1, 3, 9
"""Columns of /proc/net/tcp (proc_net(5))."""


class Holder(NamedTuple):
    """The process that listens on a port; both parts are None when the system does not say."""

    pid: int | None = None
    command: str | None = None

    def __str__(self) -> str:
        """Return the words for a person."""
        if self.pid is None:
            return "another process (which one, the system does not say; it may belong to another user)"
        return f"process {self.pid} ({self.command})" if self.command else f"process {self.pid}"


def require_free(host: str, port: int) -> None:
    """Return when a server can listen there; 0 means any free port.

    Raises Unavailable that names the holder of a busy port, InvalidInput for a host that is not of this machine.
    """
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as fault:
        raise InvalidInput(f"The host {host!r} is not known.", next_step="Give an address, like 127.0.0.1.") from fault
    family, kind, protocol, _, address = addresses[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do, so that connections which are being wound up do not count as a busy port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as fault:
            raise _why(fault, host, port) from fault


def _why(fault: OSError, host: str, port: int) -> Unavailable | InvalidInput:
    if fault.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else port - 1  # noqa: PLR2004 - the last port
        return Unavailable(
            f"Port {port} is taken by {find_holder(port)}.",
            next_step=f"Take another one: PORT={other} make up, or: companyos up --port {other}",
        )
    if fault.errno == errno.EACCES:
        return Unavailable(f"This user may not listen on port {port}.", next_step="Take a port above 1023.")
    if fault.errno == errno.EADDRNOTAVAIL:
        return InvalidInput(f"{host} is no address of this machine.", next_step="127.0.0.1 always is one.")
    return Unavailable(f"Nothing can listen on {host}:{port}: {fault.strerror}.", next_step="Try another --port.")


def find_holder(port: int) -> Holder:
    """Return the process that listens on a TCP port, as far as the system shows it to this user."""
    return _from_proc(port) if (_PROC / "net/tcp").exists() else _from_lsof(port)


def _from_proc(port: int) -> Holder:
    inodes = {inode for table in ("tcp", "tcp6") for inode in _listeners(table, port)}
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and _holds(entry, wanted):
            return Holder(int(entry.name), _command(entry))
    return Holder()


def _listeners(table: str, port: int) -> Iterator[str]:
    try:
        lines = (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[_STATE] == _LISTEN and int(fields[_LOCAL].rpartition(":")[2], 16) == port:
            yield fields[_INODE]


def _holds(entry: Path, wanted: set[str]) -> bool:
    try:
        return any(str(link.readlink()) in wanted for link in (entry / "fd").iterdir())
    except OSError:
        # It ended meanwhile, or belongs to another user.
        return False


def _command(entry: Path) -> str | None:
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return None
    return " ".join(word.decode("utf-8", "replace") for word in words if word)[:_COMMAND_LIMIT] or None


def _from_lsof(port: int) -> Holder:
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed command and a number
            ["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"],  # noqa: S607 - wherever this system has it
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LSOF_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return Holder()
    return parse_lsof(answer.stdout.decode("utf-8", "replace"))


def parse_lsof(text: str) -> Holder:
    """Return the first process in the output of ``lsof -Fpc``: lines ``p<pid>`` and ``c<command>``."""
    pid = command = None
    for line in text.splitlines():
        if line.startswith("p") and line[1:].isdecimal() and pid is None:
            pid = int(line[1:])
        elif line.startswith("c") and pid is not None and command is None:
            command = line[1:]
    return Holder(pid, command)

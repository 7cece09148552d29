"""Ports of this machine for what delivery starts."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Collection
from typing import Final

HOST: Final = "127.0.0.1"
_PORTS: Final = range(20_000, 32_768)
"""Below those that Linux and macOS give to outgoing connections."""
_PORT_TRIES: Final = 200


def free_port(taken: Collection[int] = ()) -> int:
    """Return a port that nobody uses now and that is not among the taken ones; somebody may still be faster.

    It is one that the system gives to no outgoing connection, as long as there is one: a connection of the router could
    take any other away while a process is started again.
    """
    for _ in range(_PORT_TRIES):
        port = secrets.choice(_PORTS)
        if port not in taken and not port_is_taken(port):
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int) -> bool:
    """Return whether somebody else has the port, so that nothing of ours could listen on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False

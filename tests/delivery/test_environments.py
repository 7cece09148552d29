"""Environments: made once, proven on each use, safe against crashes and against each other."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from companyos.core.errors import IntegrityFault, InvalidInput, Unavailable
from companyos.delivery import environments as module
from companyos.delivery.environments import MARKER, Environments, cache_folder, main, warm
from companyos.delivery.installing import child_environment
from tests.waiting import until

MAKER = """
import sys
from pathlib import Path
from companyos.delivery.environments import Environments
lock = Path(sys.argv[2]).read_bytes()
made = Environments(Path(sys.argv[1])).ensure(lock, progress=lambda text: print(text, flush=True))
print("fresh" if made.fresh else "found", made.packages)
"""


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    """Return environments in a folder that does not exist yet."""
    return Environments(tmp_path / "cache" / "environments")


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return a list that pins one package, which pip finds in a folder and nowhere else."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return f"Left_Pad==1.0 --hash=sha256:{sha256(wheel(wheels).read_bytes()).hexdigest()}\n".encode()


def wheel(folder: Path) -> Path:
    """Write a package with one module and one script, and return its file."""
    info = "left_pad-1.0.dist-info"
    files = {
        "left_pad.py": "def main():\n    print('padded')\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: Left_Pad\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: own\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\nleft-pad = left_pad:main\n",
    }
    rows = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    path = folder / "left_pad-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(sha256(text.encode()).digest()).rstrip(b"=").decode()


def run(*words: str | Path) -> str:
    """Return what a program prints."""
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True, timeout=60).stdout


def test_an_environment_is_made_once(environments: Environments) -> None:
    """Its Python is its own, and has no package of ours."""
    made, found = environments.ensure(b""), environments.ensure(b"")
    assert (made.fresh, found.fresh) == (True, False)
    assert made.python == found.python
    assert run(made.python, "-c", "import sys; print(sys.prefix)").strip() == str(made.path)
    assert run(made.python, "-c", "import importlib.util as u; print(u.find_spec('msgspec'))").strip() == "None"
    assert environments.ensure(b"# another\n").path != made.path


def test_packages_are_installed_where_they_belong(environments: Environments, lock: bytes) -> None:
    """Modules and scripts work from the place of the environment, and it proves itself right away."""
    told: list[str] = []
    made = environments.ensure(lock, progress=told.append)
    assert made.packages == 1
    assert told[0] == "Installing 1 packages"
    assert run(made.python, "-c", "import left_pad; left_pad.main()") == "padded\n"
    assert run(made.path / "bin" / "left-pad") == "padded\n"
    assert environments.ensure(lock).packages == 1


def test_a_package_that_is_not_the_pinned_one_is_not_installed(environments: Environments, lock: bytes) -> None:
    """It says what pip says, and leaves nothing behind."""
    with pytest.raises(Unavailable, match=r"could not be installed: .*HASH") as fault:
        environments.ensure(lock[:-65] + b"0" * 64 + b"\n")
    assert "package index" in fault.value.next_step
    assert _folders(environments) == []


def test_a_list_that_is_not_accepted_makes_nothing(environments: Environments) -> None:
    """They are not even looked for."""
    with pytest.raises(InvalidInput):
        environments.ensure(b"left-pad\n")
    assert _folders(environments) == []


@pytest.mark.parametrize("change", ["file", "package", "marker", "no marker", "python"])
def test_a_changed_environment_is_refused_and_not_mended(environments: Environments, lock: bytes, change: str) -> None:
    """Somebody changed it; the next step says what to do."""
    made = environments.ensure(lock)
    site = next(made.path.glob("lib/python*/site-packages"))
    match change:
        case "file":
            (site / "left_pad.py").write_text("evil = True\n")
        case "package":
            (site / "evil-1.0.dist-info").mkdir()
        case "marker":
            (made.path / MARKER).write_bytes((made.path / MARKER).read_bytes().replace(b'"lock": "', b'"lock": "0'))
        case "no marker":
            (made.path / MARKER).unlink()
        case _:
            made.python.unlink()
    for _ in range(2):
        with pytest.raises(IntegrityFault, match="does not match its dependency list") as fault:
            environments.ensure(lock)
        assert str(made.path) in fault.value.next_step


def test_a_script_of_a_package_is_proven_too(environments: Environments, lock: bytes) -> None:
    """It is on the PATH of the service."""
    made = environments.ensure(lock)
    script = made.path / "bin" / "left-pad"
    script.write_text(script.read_text() + "evil\n")
    with pytest.raises(IntegrityFault):
        environments.ensure(lock)


def test_two_processes_make_one(environments: Environments, lock: bytes, tmp_path: Path) -> None:
    """The second waits for the first."""
    (tmp_path / "lock").write_bytes(lock)
    command = [sys.executable, "-c", MAKER, str(_folder(environments)), str(tmp_path / "lock")]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [maker.communicate(timeout=60)[0] for maker in makers]
    assert sorted(text.splitlines()[-1] for text in said) == ["found 1", "fresh 1"]
    assert len(_folders(environments)) == 1


def test_a_killed_maker_leaves_nothing_that_could_be_used(
    environments: Environments, lock: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL in the middle of an installation; the next one makes the environment and sweeps."""
    (tmp_path / "lock").write_bytes(lock)
    command = [sys.executable, "-c", MAKER, str(_folder(environments)), str(tmp_path / "lock")]
    with _silent_server() as port:
        elsewhere = {**os.environ, "PIP_FIND_LINKS": f"http://127.0.0.1:{port}/", "PIP_CONFIG_FILE": os.devnull}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=elsewhere, start_new_session=True) as maker:
            try:
                until(lambda: any(_folder(environments).glob("*.partial/pip.log")), "the installation")
                os.kill(maker.pid, signal.SIGKILL)
                maker.wait()
                assert [path.suffix for path in _folders(environments)] == [".partial"]
                made = environments.ensure(lock)
                assert made.fresh
                assert _folders(environments) == [made.path]
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(maker.pid, signal.SIGKILL)


def test_an_installation_that_nobody_needs_any_more_ends(
    environments: Environments, lock: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is ended with it, and nothing is left."""
    with _silent_server() as port:
        monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{port}/")
        asked = 0

        def cancelled() -> bool:
            nonlocal asked
            asked += 1
            return asked > 3

        with pytest.raises(Unavailable, match="was given up"):
            environments.ensure(lock, cancelled=cancelled)
    assert _folders(environments) == []


def test_who_waits_for_another_maker_can_be_cancelled(environments: Environments) -> None:
    """A stop must not wait for packages of others."""
    made = environments.ensure(b"")
    held = made.path.with_name(f"{made.path.name}.lock")
    made.path.rename(made.path.with_name("elsewhere"))
    import fcntl

    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        told: list[str] = []
        with pytest.raises(Unavailable, match="not needed any more"):
            environments.ensure(b"", progress=told.append, cancelled=lambda: True)
    assert told == ["Waiting for another process that makes the same environment"]


def test_packages_that_went_elsewhere_are_noticed(
    environments: Environments, lock: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration of pip can do that, and the service would not find them."""
    monkeypatch.setattr(module, "install", lambda *_, **__: None)
    with pytest.raises(Unavailable, match="left-pad was not installed into the environment"):
        environments.ensure(lock)
    assert _folders(environments) == []


def test_what_is_not_used_for_long_is_pruned(environments: Environments) -> None:
    """Each use counts as one."""
    old, new = environments.ensure(b"# old\n"), environments.ensure(b"# new\n")
    dead = old.path.with_name("dead.partial")
    dead.mkdir()
    now = time.time()
    for path in (old.path / MARKER, new.path / MARKER, dead):
        os.utime(path, (now - 1000, now - 1000))
    environments.ensure(b"# new\n")
    assert environments.prune(500, now=now + 1) == 2
    assert _folders(environments) == [new.path]
    assert Environments(old.path / "nothing").prune() == 0


def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path) -> None:
    """With its path and what to do."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="cannot be used") as fault:
        Environments(tmp_path / "file" / "environments").ensure(b"")
    assert "XDG_CACHE_HOME" in fault.value.next_step


def test_the_cache_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification says: a relative path is ignored."""
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/companyos/environments")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("HOME", "/people/olga")
    assert cache_folder({"XDG_CACHE_HOME": "x"}) == Path("/people/olga/.cache/companyos/environments")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder({}) == Path("/people/olga/Library/Caches/companyos/environments")


def test_nothing_redirects_an_installation() -> None:
    """Where packages come from may be configured, where they go may not."""
    given = {"PIP_INDEX_URL": "x", "HTTPS_PROXY": "y", "PATH": "/bin"}
    redirecting = {"PIP_TARGET": "/evil", "PIP_PREFIX": "/evil", "PIP_REQUIRE_HASHES": "0", "PYTHONPATH": "/evil"}
    seen = child_environment({**given, **redirecting})
    assert given.items() <= seen.items()
    assert not redirecting.keys() & seen.keys()


def test_warming_says_what_it_did(environments: Environments, lock: bytes, tmp_path: Path) -> None:
    """And how long it took; a fault ends it with its exit code."""
    file = tmp_path / "requirements.lock"
    file.write_bytes(lock)
    said: list[str] = []
    assert warm([file, file], said.append, environments) == 0
    assert said[0] == "  Installing 1 packages"
    assert said[1].startswith("Environment of requirements.lock (1 packages) made in ")
    assert said[-1] == "Environment of requirements.lock (1 packages) is there"
    assert warm([tmp_path / "nothing"], said.append, environments) == 1
    assert "does not exist" in said[-1]
    file.write_text("--evil\n")
    assert warm([file], said.append, environments) == 2


def test_the_command_wants_files(capsys: pytest.CaptureFixture[str]) -> None:
    """Or says how it is used."""
    assert main([]) == 2
    assert main(["warm"]) == 2
    assert "warm LOCK_FILE" in capsys.readouterr().err


@contextlib.contextmanager
def _silent_server() -> Iterator[int]:
    """Yield the port of a server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


def _folder(environments: Environments) -> Path:
    return environments._folder  # noqa: SLF001 - which folder it is given is its caller's affair


def _folders(environments: Environments) -> list[Path]:
    folder = _folder(environments)
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

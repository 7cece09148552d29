"""Running pip for an environment: with hashes, from wheels only, and into nothing but that environment."""

from __future__ import annotations

import base64
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeAlias

from companyos.core.errors import Unavailable
from companyos.delivery.lockfile import FILE_NAME, Lock

Progress: TypeAlias = Callable[[str], None]
Cancelled: TypeAlias = Callable[[], bool]

TIMEOUT_S: Final = 1_800.0
_POLL_S: Final = 0.1
_TELL_EVERY_S: Final = 2.0
_LOG: Final = "pip.log"
_TAIL_BYTES: Final = 65_536
_KEPT: Final = frozenset(
    {"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "LOGNAME", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    | {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_CACHE_HOME"}
    | {f"{name}_proxy" for name in ("http", "https", "all", "no")}
    | {f"{name}_PROXY" for name in ("HTTP", "HTTPS", "ALL", "NO")}
    | {f"PIP_{name}" for name in ("INDEX_URL", "EXTRA_INDEX_URL", "FIND_LINKS", "NO_INDEX", "CERT", "CLIENT_CERT")}
    | {f"PIP_{name}" for name in ("TRUSTED_HOST", "PROXY", "TIMEOUT", "DEFAULT_TIMEOUT", "RETRIES", "CACHE_DIR")}
    | {f"PIP_{name}" for name in ("CONFIG_FILE", "KEYRING_PROVIDER", "NO_CACHE_DIR")}
)
"""Where packages come from and how that is trusted may be configured; where they go may not."""


def install(path: Path, data: bytes, lock: Lock, *, progress: Progress, cancelled: Cancelled) -> None:
    """Install a dependency list into the environment in this folder. Raises Unavailable that says what pip said."""
    if importlib.util.find_spec("pip") is None:
        raise Unavailable(
            f"{sys.executable} has no pip, which installs what services depend on.",
            next_step="Run: python -m ensurepip",
        )
    requirements, log = path / FILE_NAME, path / _LOG
    requirements.write_bytes(data)
    with log.open("wb") as output:
        code = _run(_command(path, requirements), output.fileno(), log, len(lock.pins), progress, cancelled)
    if code != 0:
        raise Unavailable(
            f"The dependency list {lock.digest[:12]}… could not be installed: {_fault(log)}",
            next_step="Check the connection to your package index and that every package has a wheel for this system.",
        )


def settle(path: Path, place: Path) -> None:
    """Have the scripts of an environment, which name its Python, name it at the place where it will be.

    What packages list about their scripts is brought in line. Raises OSError.
    """
    before, after = os.fsencode(path), os.fsencode(place)
    changed: dict[str, str] = {}
    for file in (path / "pyvenv.cfg", *sorted((path / "bin").iterdir())):
        if file.is_file() and not file.is_symlink() and before in (data := file.read_bytes()):
            data = data.replace(before, after)
            file.write_bytes(data)
            digest = base64.urlsafe_b64encode(sha256(data).digest()).rstrip(b"=").decode()
            changed[f"../../../bin/{file.name}"] = f"sha256={digest},{len(data)}"
    for record in path.glob("lib/python*/site-packages/*.dist-info/RECORD"):
        lines = record.read_text("utf-8").splitlines(keepends=True)
        settled = [_row(line, changed) for line in lines]
        if settled != lines:
            record.write_text("".join(settled), "utf-8", newline="")


def _row(line: str, changed: Mapping[str, str]) -> str:
    name = line.partition(",")[0]
    return f"{name},{changed[name]}\n" if name in changed else line


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what pip gets to see of an environment: nothing that redirects an installation."""
    kept = {name: value for name, value in environment.items() if name in _KEPT}
    return {**kept, "PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def _command(path: Path, requirements: Path) -> tuple[str, ...]:
    pip = (sys.executable, "-I", "-m", "pip", "--python", str(path / "bin" / "python"))
    quiet = ("--no-color", "--progress-bar", "off", "--no-warn-script-location")
    return (*pip, "install", *quiet, "--require-hashes", "--only-binary", ":all:", "--requirement", str(requirements))


def _run(command: tuple[str, ...], output: int, log: Path, total: int, progress: Progress, cancelled: Cancelled) -> int:
    """Return the exit code of pip; it is killed when nobody needs it any more or it takes too long."""
    deadline = time.monotonic() + TIMEOUT_S
    tell_at = time.monotonic() + _TELL_EVERY_S
    with subprocess.Popen(  # noqa: S603 - a list of our own
        command,
        env=child_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd="/",
    ) as pip:
        while (code := pip.poll()) is None:
            now = time.monotonic()
            if cancelled() or now > deadline:
                pip.kill()
                pip.wait()
                raise Unavailable("The installation of packages was given up.", next_step="Start it again.")
            if now >= tell_at:
                tell_at = now + _TELL_EVERY_S
                progress(f"{min(total, log.read_bytes().count(b'Collecting '))} of at most {total} packages")
            time.sleep(_POLL_S)
    return code


def _fault(log: Path) -> str:
    """Return what pip said last about an error, as one sentence."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    errors = [line.partition("ERROR:")[2].strip() for line in lines if line.lstrip().startswith("ERROR:")]
    said = (errors or [line.strip() for line in lines if line.strip()] or ["pip said nothing"])[0]
    return said[:300].rstrip(".") + "."

"""Talking to the process in which regopy compiles."""

from __future__ import annotations

import atexit
import importlib.util
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from companyos_sdk.rego.errors import CompileError

SECONDS: Final = 60
"""How long one compilation may take."""
_SCRIPT: Final = Path(__file__).with_name("regopy_process.py")


class _Answer(msgspec.Struct, frozen=True):
    plan: str | None = None
    error: str | None = None


class _Gone(Exception):
    """The process ended without an answer."""


class Compiler:
    """One process, started when it is first needed and again when it is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def compile(self, modules: Sequence[tuple[str, str]], entries: Sequence[str]) -> _Answer:
        """The text of the plan, or of the error; raises CompileError when there is no answer at all."""
        if importlib.util.find_spec("regopy") is None:
            raise CompileError('regopy is missing; install "companyos-sdk[compile]".')
        request = msgspec.json.encode({"modules": modules, "entries": entries})
        with self._lock:
            if self._owner != os.getpid():  # after a fork the process belongs to the parent
                self._process, self._owner = None, os.getpid()
            if self._process is not None:
                with suppress(_Gone):  # it may have been idle for too long; a new one tells
                    return self._ask(self._process, request)
                self._stop()
            self._process = subprocess.Popen(  # noqa: S603 - our own script, in our own interpreter
                [sys.executable, "-P", str(_SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            try:
                return self._ask(self._process, request)
            except _Gone:
                self._stop()
                raise CompileError(
                    f"regopy ended, or took more than {SECONDS} seconds. Leave modules out until it names the fault."
                ) from None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            if self._owner == os.getpid():
                self._stop()

    def _ask(self, process: subprocess.Popen[bytes], request: bytes) -> _Answer:
        timer = threading.Timer(SECONDS, process.kill)
        timer.daemon = True
        timer.start()
        try:
            assert process.stdin is not None  # noqa: S101 - both are pipes, see above
            assert process.stdout is not None  # noqa: S101 - both are pipes, see above
            process.stdin.write(struct.pack(">I", len(request)) + request)
            process.stdin.flush()
            head = process.stdout.read(4)
            body = process.stdout.read(struct.unpack(">I", head)[0])
            return msgspec.json.decode(body, type=_Answer)
        except (OSError, struct.error, msgspec.DecodeError) as fault:
            raise _Gone from fault
        finally:
            timer.cancel()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr] # both are pipes
        try:
            process.wait(1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


COMPILER: Final = Compiler()
atexit.register(COMPILER.close)

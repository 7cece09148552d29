"""What the tests of ``Runtime`` and ``Prober`` share: artifacts that misbehave as they are told, and one world each."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from companyos.core.artifacts import ArtifactStore
from companyos.core.clock import ManualClock, SystemClock
from companyos.core.home import Home
from companyos.core.ids import uuid7
from companyos.core.keeper import Keeper
from companyos.delivery.adapters.local import LocalRuntime
from companyos.delivery.adapters.memory_runtime import MemoryRuntime, Script
from companyos.delivery.environments import Environments
from companyos.delivery.model import Instance
from companyos.delivery.ports import Launch, Runtime
from companyos.evidence import archive
from companyos.evidence.archive import Archive, Entry
from tests.program import end_all
from tests.waiting import until

Fate: TypeAlias = Literal["runs", "slow_start", "never_ready", "exits", "out_of_memory", "refused", "hangs", "stubborn"]

PROGRAM = r'''
"""A service in one file. Its first argument says how it behaves."""
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FATE, WORK = sys.argv[1], os.environ["HOME"]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, body = 200, b"{}"
        if self.path == "/ready":
            if FATE == "hangs":
                time.sleep(600)
            status = 503 if FATE == "never_ready" or os.path.exists(f"{WORK}/broken") else 200
        elif self.path == "/environment":
            body = json.dumps(dict(os.environ)).encode()
        elif self.path == "/limits":
            import resource
            body = json.dumps([resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.getcwd(), sys.executable]).encode()
        elif self.path == "/slow":
            open(f"{WORK}/began", "w").close()
            time.sleep(0.6)
        elif self.path == "/die":
            os._exit(7)
        elif self.path == "/busy":
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and not os.path.exists(f"{WORK}/enough"):
                pass
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def leak():
    held = []
    while True:
        held.append(bytearray(os.urandom(1)) * (8 * 1024 * 1024))
        time.sleep(0.03)


def main():
    if FATE == "exits":
        print("No settings file was found")
        sys.exit(4)
    if FATE == "slow_start":
        time.sleep(0.7)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    server.daemon_threads = False
    print(f"{FATE} listens", flush=True)
    if FATE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if FATE == "out_of_memory":
        threading.Thread(target=leak, daemon=True).start()
    server.serve_forever(poll_interval=0.02)
    server.server_close()
    print("ended as asked", flush=True)


main()
'''
MANIFEST = """
apiVersion: companyos.dev/v1
kind: Service
metadata: {name: shop}
spec:
  run: {command: [python, -B, app.py, FATE]}
"""
COMMIT = "c0ffee" + "0" * 34


def artifact(fate: str = "runs", **files: str) -> bytes:
    """Return an artifact of a service that behaves so; further files replace those of the same name, dots as ``_``."""
    texts = {"companyos.yaml": MANIFEST.replace("FATE", fate), "requirements.lock": "", "app.py": PROGRAM}
    texts |= {name.replace("_", "."): text for name, text in files.items()}
    entries = tuple(Entry(path=path, data=text.encode()) for path, text in texts.items())
    return archive.write(Archive(entries=entries, notes={"comment": COMMIT, "COMPANYOS.version": "1.0.0"}))


def launch_of(digest: str, **changes: Any) -> Launch:
    """Return a launch with a new id, an empty policy and these changes."""
    usual = Launch(
        release_id=uuid7(),
        service="shop",
        version="1.0.0",
        environment="production",
        digest=digest,
        memory_mb=96,
        open_files=256,
        start_timeout_s=20.0,
        crash_loop_restarts=2,
    )
    return msgspec.structs.replace(usual, **changes)


def get(instance: Instance, path: str) -> tuple[int, Any]:
    """Return status and document of one GET to a release."""
    assert instance.address is not None
    connection = http.client.HTTPConnection(*instance.address, timeout=70)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


class World:
    """A runtime, and how to make a release do something."""

    runtime: Runtime

    def launch(self, fate: Fate, **changes: Any) -> Launch:
        """Return the launch of a new release with this fate."""
        raise NotImplementedError

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait in the world's own time."""
        raise NotImplementedError

    def break_readiness(self, release_id: str, *, broken: bool) -> None:
        """Have the readiness of a release fail, or answer again."""
        raise NotImplementedError

    def close(self) -> None:
        """End everything."""

    def see(self, launch: Launch) -> Instance:
        """Return the release as it is, ``absent`` when the runtime does not list it."""
        return self.runtime.instances().get(launch.release_id, Instance(release_id=launch.release_id))

    def run(self, fate: Fate, **changes: Any) -> Launch:
        """Start a release and return its launch."""
        launch = self.launch(fate, **changes)
        self.runtime.start(launch)
        return launch

    def until_state(self, launch: Launch, *states: str) -> Instance:
        """Wait until a release is in one of these states, and return it."""
        self.until(lambda: self.see(launch).state in states, f"{' or '.join(states)} of {launch.release_id}")
        return self.see(launch)


class MemoryWorld(World):
    """The twin and its clock."""

    FATES: Mapping[Fate, Script] = {
        "runs": Script(prepare_s=0.1, ready_s=0.2),
        "slow_start": Script(ready_s=0.7),
        "never_ready": Script(fate="never_ready"),
        "exits": Script(fate="exits"),
        "out_of_memory": Script(fate="out_of_memory", ready_s=1.0),
        "refused": Script(fate="refused", prepare_s=0.1),
        "hangs": Script(fate="never_ready"),
        "stubborn": Script(drains_s=1e9),
    }

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.runtime: MemoryRuntime = MemoryRuntime(self.clock)

    def launch(self, fate: Fate, **changes: Any) -> Launch:
        """Return a launch, and tell the twin what it does."""
        launch = launch_of(f"sha256:{'0' * 64}", **changes)
        script = self.FATES[fate]
        if fate == "refused":
            script = msgspec.structs.replace(script, reason=f"The artifact {launch.digest} is damaged.")
        self.runtime.does(launch.release_id, script)
        return launch

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Let time pass."""
        for _ in range(2000):
            if condition():
                return
            self.clock.advance(0.05)
        raise AssertionError(f"{what} did not happen")

    def break_readiness(self, release_id: str, *, broken: bool) -> None:
        """Tell the twin."""
        self.runtime.fails_readiness(release_id, "GET /ready answered 503." if broken else "")


class LocalWorld(World):
    """Real processes below a keeper of their own."""

    def __init__(self, path: Path, environments: Environments, *, keeper: bool = True) -> None:
        self.home = Home(path).create()
        self.artifacts = ArtifactStore(self.home.artifacts)
        self.environments = environments
        self.keeper = Keeper(self.home.run, self.home.logs)
        if keeper:
            self.keeper.ensure()
        self.runtime: LocalRuntime = self.adapter()

    def adapter(self) -> LocalRuntime:
        """Return another adapter for the same home, as the next process would make it."""
        return LocalRuntime(self.home, self.artifacts, self.keeper, SystemClock(), self.environments)

    def put(self, data: bytes) -> str:
        """Keep an artifact and return its digest."""
        return str(self.artifacts.put(data, archive.MAX_BYTES))

    def launch(self, fate: Fate, **changes: Any) -> Launch:
        """Return the launch of an artifact; one that is to be refused was altered after it was stored."""
        if fate != "refused":
            return launch_of(self.put(artifact(fate)), **changes)
        launch = launch_of(self.put(artifact(fate)), **changes)
        file = self.home.artifacts / "sha256" / launch.digest[7:9] / launch.digest[9:]
        file.chmod(0o600)
        file.write_bytes(file.read_bytes().replace(b"listens", b"LISTENS"))
        return launch

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait."""
        until(condition, what)

    def break_readiness(self, release_id: str, *, broken: bool) -> None:
        """Put a file where the service looks for it."""
        file = self.work(release_id) / "broken"
        if broken:
            file.touch()
        else:
            file.unlink()

    def work(self, release_id: str) -> Path:
        """Return the own folder of a release."""
        return self.home.path / "releases" / release_id / "work"

    def close(self) -> None:
        """End the adapter, the keeper and all releases."""
        self.runtime.close()
        end_all(self.home.path)

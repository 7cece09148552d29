"""A service in one file for the tests of faults: it starts at once and behaves as its first argument says."""

from __future__ import annotations

from companyos.evidence import archive
from companyos.evidence.archive import Archive, Entry
from tests.delivery.running import COMMIT
from tests.flags.files import file

PROGRAM = r'''
"""It answers every path with its release's version; ``/ready`` is its readiness."""
import os, signal, socket, sys, threading, time

FATE, VERSION = sys.argv[1], sys.argv[2]
FAILING = b"500 Internal Server Error" if FATE == "fails" else b"200 OK"


def answer(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                try:
                    data = connection.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                buffer += data
            head, _, buffer = buffer.partition(b"\r\n\r\n")
            ready = head.startswith(b"GET /ready ")
            if FATE == "hangs" or (FATE == "hangs_for_users" and not ready):
                time.sleep(600)
            if FATE == "slow" and not ready:
                time.sleep(0.12)
            status = FAILING if not ready else b"503 No" if FATE == "never_ready" else b"200 OK"
            body = VERSION.encode()
            try:
                connection.sendall(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body))
            except OSError:
                return


def leak():
    held = []
    while True:
        held.append(os.urandom(1) * (4 * 1024 * 1024))
        time.sleep(0.02)


def main():
    if FATE == "exits":
        print("No settings file was found", flush=True)
        sys.exit(4)
    server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=256)
    print(f"{VERSION} listens", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if FATE == "leaks":
        threading.Thread(target=leak, daemon=True).start()
    while True:
        connection, _ = server.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


main()
'''
MANIFEST = """
apiVersion: companyos.dev/v1
kind: Service
metadata: {name: %s}
spec:
  run: {command: [python, -B, -S, app.py, %s, "%s"]}
"""


def artifact(service: str, version: str, fate: str, flag: str) -> bytes:
    """Return the artifact of a version that behaves so and knows one flag."""
    texts = {
        "companyos.yaml": MANIFEST % (service, fate, version),
        "requirements.lock": "",
        "app.py": PROGRAM,
        "feature-flags/flags.yaml": file(flag).decode(),
    }
    entries = tuple(Entry(path=path, data=text.encode()) for path, text in texts.items())
    return archive.write(Archive(entries=entries, notes={"comment": COMMIT, "COMPANYOS.version": version}))

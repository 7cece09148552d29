"""The steps of ``companyos ship``: check, build, put, register, sign, deploy. Each says in a line what came out.

The repository is read through git and never changed; the artifact holds one commit and nothing of the working tree.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from companyos.core.console import progress
from companyos.core.errors import Conflict, InvalidInput, NotFound, Unavailable
from companyos.delivery.policy import ReleasePolicy

if TYPE_CHECKING:
    from companyos.core.api import Client
    from companyos.evidence.packing import Packed

MANIFEST: Final = "companyos.yaml"
TAR: Final = "application/x-tar"
COMMITS: Final = 100
"""How many commits since the baseline are told at most."""
_SUBJECT_CHARACTERS: Final = 200
_NAMED_FILES: Final = 10
_CHECK_TIMEOUT_S: Final = 3600
_QUIET_S: Final = 1.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")
_TARGET: Final = re.compile(r"^(check|test)[ \t]*:(?!=)", re.MULTILINE)
_MAKEFILE_CHARACTERS: Final = 1_000_000


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be shipped, and how."""

    repository: Path
    environment: str = "production"
    flags: tuple[str, ...] = ()
    """The flags to turn on while the release runs."""
    policy: ReleasePolicy | None = None
    allow_dirty: bool = False
    check: bool = False


def ship(client: Client, order: Order) -> dict[str, Any]:
    """Take a repository to a release that is accepted; return what each step made, as JSON.

    Raises what the step that failed says: Conflict for a tree with changes or a check that fails, Denied for a refusal.
    """
    repository = order.repository
    with step("check", "runs") as say:
        say(check(repository, wanted=order.check))
    with step("build", "packs the commit") as say:
        packed = build(repository, allow_dirty=order.allow_dirty)
        say(f"{packed.digest}, {packed.service}@{packed.version} from commit {packed.commit[:12]}")
    with step("put", f"sends {len(packed.data):,} bytes") as say:
        commits = commits_since(repository, baseline_commit(client, packed.service, order.environment), packed.commit)
        artifact = put(client, packed, commits)
        say(f"{len(packed.data):,} bytes stored" + (f", {len(commits)} commits since the baseline" if commits else ""))
    with step("register", "imports the manifest") as say:
        registered = register(client, repository, packed)
        say(f"{packed.service} in the catalog: {registered}")
    with step("sign", "signs") as say:
        signature = sign(client, packed.digest)
        say(f"signed with {signature.get('key_id') or signature.get('keyid') or 'the key of the platform'}")
    with step("deploy", "asks for the release") as say:
        release = deploy(client, packed.digest, environment=order.environment, flags=order.flags, policy=order.policy)
        say(f"{release['name']} to {order.environment} as {release['id']}")
    return {
        "artifact": artifact,
        "catalog": registered,
        "commits": commits,
        "signature": signature,
        "release": release,
    }


@contextmanager
def step(name: str, doing: str) -> Iterator[Callable[[str], None]]:
    """Give what writes the line of a step; one that takes longer than a second says what it is at."""
    timer = threading.Timer(_QUIET_S, progress, (_line(name, f"{doing} …"),))
    timer.daemon = True
    timer.start()
    try:
        yield lambda text: progress(_line(name, text))
    finally:
        timer.cancel()
        timer.join()


def check(repository: Path, *, wanted: bool) -> str:
    """Return how the repository's own checks went, or raise Conflict when they fail.

    They are the target ``check`` of its Makefile, else ``test``, and run when they are wanted.
    """
    target = _target(repository)
    if target is None:
        return "nothing declared"
    if not wanted:
        return f"make {target} is left out"
    try:
        # What it prints goes to standard error, so that standard output stays one document with --json.
        ended = subprocess.run(  # noqa: S603 - a fixed program; the target is one of two words
            ["make", "-C", str(repository), target],  # noqa: S607 - make is where the user has it
            stdin=subprocess.DEVNULL,
            stdout=2,
            timeout=_CHECK_TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as fault:
        raise Unavailable("There is no make to run the checks with.", next_step="Install make.") from fault
    except subprocess.TimeoutExpired as fault:
        raise Conflict(
            f"make {target} did not end within {_CHECK_TIMEOUT_S} s.", next_step="Run it by itself."
        ) from fault
    if ended.returncode != 0:
        raise Conflict(
            f"make {target} failed with exit code {ended.returncode}, so nothing was shipped.",
            next_step="Mend what it says.",
        )
    return f"make {target} passed"


def build(repository: Path, *, allow_dirty: bool) -> Packed:
    """Return the commit as an artifact; raise Conflict that names the files when the working tree has changes."""
    from companyos.evidence import packing

    changes = packing.dirty(repository)
    if changes and not allow_dirty:
        named = ", ".join(changes[:_NAMED_FILES])
        more = f" and {len(changes) - _NAMED_FILES} more" if len(changes) > _NAMED_FILES else ""
        raise Conflict(
            f"The working tree has changes that are in no commit: {named}{more}.",
            next_step="Commit them, or ship the last commit without them: --allow-dirty",
        )
    return packing.pack(repository)


def baseline_commit(client: Client, service: str, environment: str) -> str | None:
    """Return the commit of the newest promoted release of a service in an environment, None without one."""
    found = client.get("/api/releases", {"service": service, "limit": 100})["items"]
    for release in found:
        if release["environment"] == environment and release["phase"] == "promoted":
            commit = str(release["commit"])
            return commit if _COMMIT.fullmatch(commit) else None
    return None


def commits_since(repository: Path, base: str | None, commit: str) -> list[dict[str, str]]:
    """Return ids and subjects of the commits after ``base``, newest first; none when that is not in the repository."""
    if base is None or base == commit:
        return []
    told = _git(
        repository,
        "log",
        f"--max-count={COMMITS}",
        "--no-show-signature",
        "--format=%H%x00%s",
        f"{base}..{commit}",
        "--",
    )
    lines = [line.partition("\0") for line in (told or "").split("\n")]
    return [{"id": known, "subject": _one_line(subject)} for known, _, subject in lines if _COMMIT.fullmatch(known)]


def put(client: Client, packed: Packed, commits: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Store the artifact with the commits that are new in it, and return what the platform knows of it now."""
    stored = client.ask("POST", "/api/artifacts", content=packed.data, headers={"content-type": TAR}).value
    if stored.get("digest") != packed.digest:
        raise Conflict(
            f"The platform stored {str(stored.get('digest'))[:80]} where {packed.digest} was sent.",
            next_step="Ship again; when it happens again, report it.",
        )
    if commits:
        stored = client.put(f"/api/artifacts/{packed.digest}/commits", {"commits": commits})
    return dict(stored)


def register(client: Client, repository: Path, packed: Packed) -> str:
    """Import the manifest of the commit, and return what that did to the service: created, updated or unchanged."""
    manifest = _git(repository, "show", f"{packed.commit}:./{MANIFEST}")
    if manifest is None:
        raise InvalidInput(
            f"The commit {packed.commit[:12]} has no {MANIFEST}.",
            next_step=f"Add one: kind: Service, name: {packed.service}",
        )
    path = f"{source_of(repository)}/{MANIFEST}"
    report = client.ask(
        "POST",
        "/api/services/import",
        params={"path": path},
        content=manifest.encode(),
        headers={"content-type": "application/yaml"},
    ).value
    for item in report["items"]:
        if item["kind"] == "service" and item["name"] == packed.service:
            return str(item["outcome"])
    raise NotFound(f"{MANIFEST} describes no service {packed.service}.", next_step="Mend metadata.name.")


def sign(client: Client, digest: str) -> dict[str, Any]:
    """Have the artifact signed, and return the signature."""
    return dict(client.post(f"/api/artifacts/{quote(digest, safe=':')}/signature"))


def deploy(
    client: Client, digest: str, *, environment: str, flags: Sequence[str] = (), policy: ReleasePolicy | None = None
) -> dict[str, Any]:
    """Ask for a release of the artifact, and return its detail as JSON."""
    body: dict[str, Any] = {"digest": digest, "environment": environment}
    if flags:
        body["flags"] = [{"key": key, "value": True} for key in flags]
    if policy is not None:
        body["policy"] = policy
    return dict(client.post("/api/deployments", body))


def source_of(repository: Path) -> str:
    """Return the address of the repository without a user name or password in it, or else its folder."""
    address = (_git(repository, "remote", "get-url", "origin") or "").strip()
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return str(repository.resolve())
    if parts.scheme not in {"http", "https", "ssh", "git"} or not host:
        return str(repository.resolve())
    place = f"{host}:{port}" if port else host
    return urlunsplit((parts.scheme, place, parts.path.removesuffix("/").removesuffix(".git"), "", ""))


def _target(repository: Path) -> str | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        try:
            with (repository / name).open(encoding="utf-8", errors="replace") as file:
                found = set(_TARGET.findall(file.read(_MAKEFILE_CHARACTERS)))
        except OSError:
            continue
        return "check" if "check" in found else "test" if found else None
    return None


def _git(repository: Path, *words: str) -> str | None:
    """Return what git prints, or None when it says no."""
    from companyos.evidence.git import git

    told = git(repository, *words)
    return None if told is None else told.decode("utf-8", "replace")


def _one_line(subject: str) -> str:
    return "".join(character if character.isprintable() else " " for character in subject)[:_SUBJECT_CHARACTERS]


def _line(name: str, text: str) -> str:
    return f"{name:<9} {text}"

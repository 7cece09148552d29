from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from litestar import Request, post, put
from litestar.params import FromPath

from companyos.core.api import Client
from companyos.core.console import want_json
from companyos.core.errors import Conflict, Denied, InvalidInput, NotFound
from companyos.core.in_process import InProcessTransport
from companyos.delivery import shipping
from companyos.delivery.http import routes
from companyos.delivery.model import FlagChange
from companyos.delivery.shipping import Order
from tests.delivery.scripted import DIGEST, ID, ScriptedDelivery, release
from tests.pillar import person, web

MANIFEST = "apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n"


class Made(NamedTuple):
    """What the tests pack instead of an artifact."""

    data: bytes
    digest: str
    commit: str
    service: str = "shop"
    version: str = "1.1"


def git(repository: Path, *words: str) -> str:
    """Return what git prints, as somebody whose configuration is not that of this machine."""
    nobody = {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "PATH": "/usr/bin:/bin:/usr/local/bin",
    }
    who = ("-c", "user.name=Olga", "-c", "user.email=olga@example.org")
    program = shutil.which("git")
    assert program
    return subprocess.run(
        [program, "-C", str(repository), *who, *words], check=True, capture_output=True, text=True, env=nobody
    ).stdout.strip()


def commit(repository: Path, subject: str) -> str:
    """Commit everything, and return the id."""
    git(repository, "add", "--all")
    git(repository, "commit", "--allow-empty", "--message", subject)
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one commit that holds a manifest."""
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "--initial-branch", "main")
    (folder / "companyos.yaml").write_text(MANIFEST)
    commit(folder, "Begin")
    return folder


@pytest.fixture(autouse=True)
def words() -> Iterator[None]:
    """Speak to people."""
    want_json(wanted=False)
    yield
    want_json(wanted=False)


class Platform:
    """What the steps ask: it keeps what was sent, and answers as the platform does."""

    def __init__(self) -> None:
        self.delivery = ScriptedDelivery(release("pending"))
        self.sent: list[tuple[str, Any]] = []
        self.stored = DIGEST
        self.items: Sequence[dict[str, str]] = ({"kind": "service", "name": "shop", "outcome": "created"},)
        self.refuse_import = False

        @post("/api/artifacts")
        async def artifacts(request: Request[Any, Any, Any]) -> dict[str, str]:
            self.sent.append(("artifact", (request.headers["content-type"], await request.body())))
            return {"digest": self.stored}

        @put("/api/artifacts/{digest:str}/commits")
        async def commits(digest: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, Any]:
            self.sent.append(("commits", (digest, await request.json())))
            return {"digest": digest, **await request.json()}

        @post("/api/artifacts/{digest:str}/signature")
        async def signature(digest: FromPath[str]) -> dict[str, str]:
            self.sent.append(("signature", digest))
            return {"key_id": "key-1"}

        @post("/api/services/import", status_code=200)
        async def imports(request: Request[Any, Any, Any]) -> dict[str, Any]:
            self.sent.append(("import", (request.query_params["path"], (await request.body()).decode())))
            if self.refuse_import:
                raise Denied("You may not write to the catalog.")
            return {"items": list(self.items), "skipped": []}

        caller = person("olga", "operator")
        app = web([*routes, artifacts, commits, signature, imports], caller, delivery=self.delivery).app
        self.client = Client(InProcessTransport(app, caller), "here")


@pytest.fixture
def platform() -> Platform:
    """Return a platform that accepts everything."""
    return Platform()


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pack what a test says instead of a tar; return the names of the files that have changed, for a test to fill."""
    changes: list[str] = []
    monkeypatch.setattr("companyos.evidence.packing.dirty", lambda _: changes, raising=False)
    monkeypatch.setattr(
        "companyos.evidence.packing.pack",
        lambda repository: Made(b"tar", DIGEST, git(repository, "rev-parse", "HEAD")),
        raising=False,
    )
    return changes


def test_a_repository_becomes_a_release(
    platform: Platform, repository: Path, packed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One line per step with what came out, in the order in which things must exist."""
    order = Order(repository=repository, environment="staging", flags=("new-cart",))
    made = shipping.ship(platform.client, order)
    head = git(repository, "rev-parse", "HEAD")
    assert made["release"]["id"] == ID
    assert platform.sent == [
        ("artifact", ("application/x-tar", b"tar")),
        ("import", (f"{repository}/companyos.yaml", MANIFEST)),
        ("signature", DIGEST),
    ]
    assert platform.delivery.calls[-1] == ("deploy", (DIGEST, "staging", (FlagChange(key="new-cart"),), None))
    assert capsys.readouterr().out.splitlines() == [
        "check     nothing declared",
        f"build     {DIGEST}, shop@1.1 from commit {head[:12]}",
        "put       3 bytes stored",
        "register  shop in the catalog: created",
        "sign      signed with key-1",
        f"deploy    shop@1.1 to staging as {ID}",
    ]


def test_the_commits_since_the_baseline_are_sent_along(platform: Platform, repository: Path, packed: list[str]) -> None:
    """So that the changelog of the release can name them."""
    base = git(repository, "rev-parse", "HEAD")
    platform.delivery.known.append(release("promoted", commit=base))
    head = commit(repository, "More")
    made = shipping.ship(platform.client, Order(repository=repository))
    told = {"commits": [{"id": head, "subject": "More"}]}
    assert platform.sent[1] == ("commits", (DIGEST, told))
    assert made["artifact"] == {"digest": DIGEST, **told}


def test_git_runs_no_program_of_the_repository(repository: Path, tmp_path: Path) -> None:
    """Its settings may have come with it from somewhere."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\n")
    trap.chmod(0o755)
    base = git(repository, "rev-parse", "HEAD")
    head = commit(repository, "More")
    signed = git(repository, "cat-file", "commit", head).replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    text = tmp_path / "commit"
    text.write_text(signed + "\n")
    made = git(repository, "hash-object", "-t", "commit", "-w", str(text))
    git(repository, "config", "log.showSignature", "true")
    git(repository, "config", "gpg.program", str(trap))
    assert [one["id"] for one in shipping.commits_since(repository, base, made)] == [made]
    assert not (tmp_path / "sprung").exists()
    git(repository, "log", "-1", made)
    assert (tmp_path / "sprung").exists()


def test_beside_json_the_steps_go_to_standard_error(
    platform: Platform, repository: Path, packed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output is for the one document."""
    want_json(wanted=True)
    shipping.ship(platform.client, Order(repository=repository))
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 6)


def test_a_tree_with_changes_is_refused_with_their_names(
    platform: Platform, repository: Path, packed: list[str]
) -> None:
    """Nothing is sent; --allow-dirty ships the commit without them."""
    packed += [f"src/{number}.py" for number in range(12)]
    with pytest.raises(Conflict, match=r"in no commit: src/0\.py, .*src/9\.py and 2 more") as fault:
        shipping.ship(platform.client, Order(repository=repository))
    assert fault.value.exit_code == 1
    assert platform.sent == []
    shipping.ship(platform.client, Order(repository=repository, allow_dirty=True))
    assert len(platform.sent) == 3


def test_checks_run_when_they_are_wanted_and_stop_what_fails(
    platform: Platform, repository: Path, packed: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    """What they print goes to standard error, so that a JSON document stays one."""
    makefile = repository / "Makefile"
    makefile.write_text("test:\n\techo tested\n")
    assert shipping.check(repository, wanted=False) == "make test is left out"
    assert shipping.check(repository, wanted=True) == "make test passed"
    makefile.write_text("CHECK := 1\ncheck: test\n\techo checked\n\texit 3\ntest:\n\techo tested\n")
    with pytest.raises(Conflict, match="make check failed with exit code 2, so nothing was shipped"):
        shipping.ship(platform.client, Order(repository=repository, check=True))
    said = capfd.readouterr()
    assert "tested" not in said.out
    assert "checked" in said.err
    assert platform.sent == []
    makefile.write_text("test := 1\nall:\n\ttrue\n")
    assert shipping.check(repository, wanted=True) == "nothing declared"


def test_the_baseline_is_the_newest_promoted_release_of_the_environment(platform: Platform) -> None:
    """Not one on its way, one that went back, or one that runs elsewhere."""
    known = platform.delivery.known
    assert shipping.baseline_commit(platform.client, "shop", "production") is None
    known += [
        release("canary", commit="1" * 40),
        release("rolled_back", commit="2" * 40),
        release("steady", commit="3" * 40, environment="staging"),
        release("promoted", commit="4" * 40),
        release("steady", commit="5" * 40),
    ]
    assert shipping.baseline_commit(platform.client, "shop", "production") == "4" * 40
    known[3:] = [release("steady", commit="--output=x")]
    assert shipping.baseline_commit(platform.client, "shop", "production") is None


def test_the_commits_since_the_baseline(repository: Path) -> None:
    """Newest first, ids and subjects only; a base that is nowhere gives none."""
    base = git(repository, "rev-parse", "HEAD")
    first = commit(repository, "First\n\nwith a body that stays here")
    second = commit(repository, "Second \x1b[31m\u2028" + "x" * 500)
    assert shipping.commits_since(repository, base, second) == [
        {"id": second, "subject": ("Second  [31m " + "x" * 500)[:200]},
        {"id": first, "subject": "First"},
    ]
    assert shipping.commits_since(repository, second, second) == []
    assert shipping.commits_since(repository, None, second) == []
    assert shipping.commits_since(repository, "f" * 40, second) == []


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("https://olga:secret@git.example.org/team/shop.git", "https://git.example.org/team/shop"),
        ("ssh://git@git.example.org:2222/team/shop.git", "ssh://git.example.org:2222/team/shop"),
        ("https://git.example.org/shop?token=secret#x", "https://git.example.org/shop"),
        ("https://[broken/shop", None),
        ("git@git.example.org:team/shop.git", None),
        ("../elsewhere", None),
        ("", None),
    ],
)
def test_the_source_of_a_manifest_holds_no_secret(repository: Path, origin: str, source: str | None) -> None:
    """The address of the repository without user, password and query, or the folder."""
    if origin:
        git(repository, "config", "remote.origin.url", origin)
    assert shipping.source_of(repository) == (source or str(repository.resolve()))


def test_the_manifest_of_the_commit_is_imported_and_not_that_of_the_tree(
    platform: Platform, repository: Path, packed: list[str]
) -> None:
    """The policy must be the one that is shipped."""
    (repository / "companyos.yaml").write_text("something else")
    shipping.ship(platform.client, Order(repository=repository, allow_dirty=True))
    assert platform.sent[1] == ("import", (f"{repository}/companyos.yaml", MANIFEST))


def test_a_manifest_that_is_missing_or_of_another_service_ends_it(
    platform: Platform, repository: Path, packed: list[str]
) -> None:
    """Before anything is signed."""
    platform.items = ()
    with pytest.raises(NotFound, match="no service shop"):
        shipping.ship(platform.client, Order(repository=repository))
    (repository / "companyos.yaml").unlink()
    commit(repository, "Without")
    with pytest.raises(InvalidInput, match=r"has no companyos\.yaml"):
        shipping.ship(platform.client, Order(repository=repository))
    assert [name for name, _ in platform.sent] == ["artifact", "import", "artifact"]


def test_a_refused_import_ends_it(platform: Platform, repository: Path, packed: list[str]) -> None:
    """Otherwise the release would run under an older policy."""
    platform.refuse_import = True
    with pytest.raises(Denied, match="may not write"):
        shipping.ship(platform.client, Order(repository=repository))
    assert platform.delivery.calls[-1][0] != "deploy"


def test_another_digest_than_ours_ends_it(platform: Platform, repository: Path, packed: list[str]) -> None:
    """What was stored is not what was packed."""
    platform.stored = "sha256:" + "0" * 64
    with pytest.raises(Conflict, match="where sha256:aaaa"):
        shipping.ship(platform.client, Order(repository=repository))
    assert [name for name, _ in platform.sent] == ["artifact"]


def test_a_step_that_takes_long_says_what_it_is_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that is quick says nothing but its result."""
    import threading

    said = threading.Event()
    heard: list[str] = []

    def hear(text: str) -> None:
        heard.append(text)
        said.set()

    monkeypatch.setattr(shipping, "progress", hear)
    monkeypatch.setattr(shipping, "_QUIET_S", 0.01)
    with shipping.step("put", "sends 5 bytes") as say:
        assert said.wait(30)
        say("done")
    monkeypatch.setattr(shipping, "_QUIET_S", 1000.0)
    with shipping.step("sign", "signs") as say:
        say("signed")
    assert heard == ["put       sends 5 bytes …", "put       done", "sign      signed"]

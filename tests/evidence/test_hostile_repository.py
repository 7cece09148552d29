from __future__ import annotations

import os
from pathlib import Path

import pytest

from companyos.core.errors import CompanyOSError, InvalidInput, Unavailable
from companyos.evidence import packing
from tests.evidence.repositories import Repository


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """Return a program that leaves a trace when it is run."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\ntouch '{tmp_path}/sprung'\ncat\n")
    program.chmod(0o755)
    return program


def sprung(trap: Path) -> bool:
    """Tell whether the program was run."""
    return (trap.parent / "sprung").exists()


@pytest.mark.parametrize(
    "name",
    [
        "core.fsmonitor",
        "filter.trap.clean",
        "filter.trap.process",
        "filter.trap.smudge",
        "diff.external",
        "core.pager",
        "gpg.program",
        "core.sshCommand",
    ],
)
def test_no_program_of_the_repository_is_run(repository: Repository, trap: Path, name: str) -> None:
    """Its settings came with it from somewhere, as a folder that was handed on."""
    repository.write(".gitattributes", "* filter=trap\n")
    repository.commit("Attributes")
    packed = packing.pack(repository.path)
    repository.git("config", name, str(trap))
    repository.git("config", "filter.trap.required", "true")
    repository.git("config", "log.showSignature", "true")
    repository.write("src/app.py", "changed, and not committed\n")
    assert packing.dirty(repository.path) == ["src/app.py"]
    assert packing.pack(repository.path).data == packed.data
    assert not sprung(trap)


def test_the_trap_would_spring(repository: Repository, trap: Path) -> None:
    """So the test above can fail: plain git does run what the settings name."""
    repository.write(".gitattributes", "* filter=trap\n")
    repository.commit("Attributes")
    repository.git("config", "filter.trap.clean", str(trap))
    repository.write("src/app.py", "print('HELLO')\n")
    repository.git("status", "--porcelain")
    assert sprung(trap)


def test_filters_of_the_user_are_the_users_own(
    repository: Repository, trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in the global settings stays in force."""
    (tmp_path / "config").write_text(f"[filter \"trap\"]\n\tclean = '{trap}'\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    repository.write(".gitattributes", "* filter=trap\n")
    repository.commit("Attributes")
    repository.write("src/app.py", "print('HELLO')\n")
    assert packing.dirty(repository.path) == ["src/app.py"]
    assert sprung(trap)


def test_a_filter_that_cannot_be_turned_off_is_refused(repository: Repository, trap: Path) -> None:
    """Its name would cut the word that turns it off."""
    repository.git("config", "filter.a=b.clean", str(trap))
    with pytest.raises(InvalidInput, match=r"filter\.a=b\.clean"):
        packing.dirty(repository.path)


def test_hooks_are_not_run(repository: Repository, trap: Path) -> None:
    """Git calls one when it writes its index, which looking at a tree does."""
    hook = repository.path / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(trap.read_text())
    hook.chmod(0o755)
    os.utime(repository.path / "src" / "app.py", (1, 1))
    index = repository.path / ".git" / "index"
    before = index.read_bytes()
    assert packing.dirty(repository.path) == []
    packing.pack(repository.path)
    assert index.read_bytes() == before
    assert not sprung(trap)
    repository.git("status")
    assert index.read_bytes() != before
    assert sprung(trap)


def test_missing_objects_are_not_fetched(repository: Repository, trap: Path) -> None:
    """A partial clone gets them by a program that its settings name."""
    blob = repository.git("rev-parse", "HEAD:src/app.py")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::touch {trap.parent}/sprung",
        "protocol.ext.allow": "always",
    }.items():
        repository.git("config", name, value)
    with pytest.raises(CompanyOSError):
        packing.pack(repository.path)
    assert not sprung(trap)
    repository.git("cat-file", "-e", blob, check=False)
    assert sprung(trap)


def test_variables_of_a_calling_hook_do_not_lead_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git sets GIT_DIR for its hooks; the repository is the one that was named."""
    other = Repository.new(tmp_path / "other")
    packed = packing.pack(repository.path)
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert packing.pack(repository.path).data == packed.data
    assert packing.dirty(repository.path) == []


def test_replaced_objects_are_not_believed(repository: Repository) -> None:
    """A commit is what its id says, whatever refs/replace would put in its place."""
    packed = packing.pack(repository.path)
    repository.write("src/app.py", "evil")
    evil = repository.commit("Evil")
    repository.git("replace", packed.commit, evil)
    assert packing.pack(repository.path, packed.commit).data == packed.data


@pytest.mark.parametrize("name", ["..", ".git", "a\\\\b", "a\\nb", "a\\033[31mb", "\\377"])
def test_a_tree_that_no_checkout_could_make_is_refused(repository: Repository, name: str) -> None:
    """Trees can be made by hand with any names."""
    blob = repository.blob("x")
    tree = repository.git("mktree", given=f"100644 blob {blob}\tinner")
    kept = repository.git("ls-tree", "HEAD")
    repository.commit_tree(f'{kept}\n040000 tree {tree}\t"{name}"\n')
    with pytest.raises(InvalidInput, match="cannot be in an artifact"):
        packing.pack(repository.path)


def test_links_out_and_submodules_are_refused(repository: Repository) -> None:
    """Neither would mean the same where the artifact runs."""
    head = repository.git("rev-parse", "HEAD")
    kept = repository.git("ls-tree", "HEAD")
    repository.commit_tree(f"{kept}\n120000 blob {repository.blob('../../etc')}\tout\n")
    with pytest.raises(InvalidInput, match="not inside the artifact"):
        packing.pack(repository.path)
    repository.commit_tree(f"{kept}\n160000 commit {head}\tsub\n")
    with pytest.raises(InvalidInput, match="is a submodule"):
        packing.pack(repository.path)


def test_an_object_of_another_kind_is_no_file(repository: Repository) -> None:
    """A tree can say that a commit is a file."""
    head = bytes.fromhex(repository.git("rev-parse", "HEAD"))
    raw = b"100644 companyos.yaml\0" + head
    tree = repository.git(
        "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=raw.decode("utf-8", "surrogateescape")
    )
    made = repository.git("commit-tree", tree, "-m", "made by hand")
    with pytest.raises(Unavailable, match="missing"):
        packing.pack(repository.path, made)


@pytest.mark.parametrize(
    "when", ["", "committer Olga <o@example.org> -5 +0000", "committer Olga <o> 99999999999 +0000"]
)
def test_a_commit_without_a_moment_is_refused(repository: Repository, when: str) -> None:
    """The time stands in the tar, and must be one that it can say."""
    tree = repository.git("rev-parse", "HEAD^{tree}")
    text = f"tree {tree}\nauthor Olga <o@example.org> 1 +0000\n{when}\n\nx\n".replace("\n\n\n", "\n\n")
    made = repository.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", given=text)
    with pytest.raises(InvalidInput):
        packing.pack(repository.path, made)

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from companyos.core.artifacts import Digest
from companyos.core.errors import InvalidInput, TooLarge, Unavailable
from companyos.evidence import archive, packing
from tests.evidence.repositories import Repository

MANIFEST = "apiVersion: companyos.dev/v1\nkind: Service\nmetadata: {name: shop}\nspec: {}\n"


def test_an_artifact_says_where_it_comes_from(repository: Repository) -> None:
    """Commit, moment, service, version, dependencies: from the bytes alone, as they were packed."""
    head = repository.git("rev-parse", "HEAD")
    packed = packing.pack(repository.path)
    held = packing.contents(packed.data)
    assert packed.digest == str(Digest.of(packed.data))
    assert (packed.commit, packed.service, packed.version) == (head, "shop", f"2023.11.14-{head[:8]}")
    assert packed.committed_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    lock = (repository.path / "requirements.lock").read_bytes()
    assert packed.dependencies_digest == str(Digest.of(lock))
    for name in packing.Contents.__struct_fields__:
        assert getattr(held, name) == getattr(packed, name), name


def test_the_digest_of_a_commit_is_known(repository: Repository) -> None:
    """The bytes follow from the commit alone; this number changes only when the form of an artifact does."""
    repository.git("tag", "v1.0")
    known = "sha256:f268799ebcdc99495e5e423060a6c10aba9c822b5559f34f8ffc2f5dad7dcf0a"
    assert packing.pack(repository.path).digest == known


def test_settings_of_the_machine_change_no_byte(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another clone, user configuration, umask, zone, language and folder: the same bytes."""
    repository.write("bin/run", "#!/bin/sh\n", mode=0o755)
    repository.write("ä/漢 file", "x\r\ny\n")
    repository.write(".gitattributes", "* text=auto eol=crlf export-subst\nsrc/app.py export-ignore\n")
    (repository.path / "link").symlink_to("bin/run")
    repository.commit("More")
    packed = packing.pack(repository.path)

    other = tmp_path / "elsewhere" / "copy"
    repository.git("clone", "--no-hardlinks", str(repository.path), str(other))
    config = tmp_path / "config"
    config.write_text("[core]\n\tautocrlf = true\n\tquotePath = true\n\tfileMode = false\n[tar]\n\tumask = 077\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    program = (
        "import sys; from pathlib import Path; from companyos.evidence import packing;"
        "print(packing.pack(Path(sys.argv[1])).digest)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(other)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "5"},
        umask=0o077,
    )
    assert told.stdout.strip() == packed.digest
    held = archive.read(packed.data)
    assert held.file("ä/漢 file") in {b"x\r\ny\n", b"x\ny\n"}
    assert held.file("src/app.py") == b"print('hello')\n"
    kinds = {entry.path: entry.kind for entry in held.entries}
    assert (kinds["bin/run"], kinds["link"], kinds["src/app.py"]) == ("program", "link", "file")


def test_nothing_of_the_working_tree_takes_part(repository: Repository) -> None:
    """Changes, files that git does not know, and what is staged are not shipped; dirty names them."""
    packed = packing.pack(repository.path)
    assert packing.dirty(repository.path) == []
    repository.write("src/app.py", "changed")
    repository.write("new.txt", "new")
    repository.write("staged.txt", "staged")
    repository.git("add", "staged.txt")
    assert packing.pack(repository.path).data == packed.data
    assert packing.dirty(repository.path) == ["new.txt", "src/app.py", "staged.txt"]
    repository.write(".git/info/exclude", "new.txt\n")
    assert packing.dirty(repository.path) == ["src/app.py", "staged.txt"]


def test_a_revision_is_a_commit_of_the_past_or_nothing(repository: Repository) -> None:
    """Branches, tags and short ids work; words that git would take for options do not."""
    first = packing.pack(repository.path)
    repository.write("src/app.py", "print('more')\n")
    repository.commit("More")
    assert packing.pack(repository.path, "HEAD~1").data == first.data
    assert packing.pack(repository.path, first.commit[:10]).data == first.data
    for wrong in ["nothing", "--all", "-h", "", "HEAD:src/app.py", "a\nb", "f" * 40]:
        with pytest.raises(InvalidInput, match="commit"):
            packing.pack(repository.path, wrong)


def test_a_folder_of_a_repository_is_packed_alone(repository: Repository) -> None:
    """Its paths are relative to it, and what lies beside it is not held."""
    repository.write("services/cart/companyos.yaml", MANIFEST.replace("shop", "cart"))
    repository.write("services/cart/requirements.lock", "")
    repository.commit("Cart")
    packed = packing.pack(repository.path / "services" / "cart")
    assert (packed.service, packed.files) == ("cart", 2)
    assert packing.dirty(repository.path / "services" / "cart") == []
    repository.write("beside.txt", "x")
    assert packing.dirty(repository.path / "services" / "cart") == []
    (repository.path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="no folder 'empty'"):
        packing.pack(repository.path / "empty")


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        (["v1.2.3"], "1.2.3"),
        (["v1.9", "v1.10"], "1.10"),
        (["v2.0-rc1", "v2.0"], "2.0"),
        (["v2.0-rc9", "v2.0-rc10"], "2.0-rc10"),
        (["v1.0+build.5"], "1.0+build.5"),
        (["1.0", "vnext", "v", "release-1", "v1/2"], None),
    ],
)
def test_an_exact_tag_gives_the_version(repository: Repository, tags: list[str], version: str | None) -> None:
    """The highest of several, a final one above its candidates; annotated ones too."""
    for tag in tags:
        repository.git("tag", "--annotate", "--message", "x", tag)
    head = repository.git("rev-parse", "HEAD")
    assert packing.pack(repository.path).version == version or f"2023.11.14-{head[:8]}"
    if version is not None:
        assert packing.pack(repository.path).version == version
    repository.commit("After")
    assert packing.pack(repository.path).version != version


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("companyos.yaml", None, r"no companyos\.yaml"),
        ("requirements.lock", None, r"no requirements\.lock"),
        ("companyos.yaml", "kind: Service\n", "not the manifest of one service"),
        ("companyos.yaml", MANIFEST.replace("Service", "Team"), "not the manifest of one service"),
        ("companyos.yaml", MANIFEST + "---\n" + MANIFEST, "not the manifest of one service"),
        ("companyos.yaml", MANIFEST.replace("shop", "../shop"), "name"),
        ("companyos.yaml", "a: [\n", "not YAML"),
        ("companyos.yaml", "- 1\n", "not the manifest of one service"),
    ],
)
def test_a_commit_must_say_which_service_it_is(repository: Repository, path: str, text: str | None, fault: str) -> None:
    """One manifest of one service, and a dependency list."""
    (repository.path / path).unlink()
    if text is not None:
        repository.write(path, text)
    repository.commit("Broken")
    with pytest.raises(InvalidInput, match=fault):
        packing.pack(repository.path)


def test_what_is_no_repository_is_said_to_be_none(tmp_path: Path) -> None:
    """Neither a folder without git nor an empty repository can be shipped."""
    (tmp_path / "plain").mkdir()
    with pytest.raises(InvalidInput, match="no git repository"):
        packing.pack(tmp_path / "plain")
    with pytest.raises(InvalidInput, match="no git repository"):
        packing.dirty(tmp_path / "plain")
    with pytest.raises(InvalidInput, match="no commit"):
        packing.pack(Repository.new(tmp_path / "empty").path)


def test_limits_of_a_commit_are_said_before_it_is_read(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many files, or too many bytes."""
    monkeypatch.setattr(archive, "MAX_FILES", 2)
    with pytest.raises(TooLarge, match="3 files"):
        packing.pack(repository.path)
    monkeypatch.setattr(archive, "MAX_FILES", 5)
    monkeypatch.setattr(archive, "MAX_BYTES", 50)
    with pytest.raises(TooLarge, match="bytes; an artifact has at most 50"):
        packing.pack(repository.path)


def test_without_git_nothing_is_guessed(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault says what to install."""
    monkeypatch.setenv("PATH", str(repository.path))
    with pytest.raises(Unavailable, match="no git"):
        packing.pack(repository.path)

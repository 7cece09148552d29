"""From a commit to an artifact and back: what is shipped is exactly what was committed.

The tar is built here from git's objects. ``git archive`` is not used: its bytes differ between versions of git, and
attributes and filters change them. Nothing of the working tree and no setting of git takes part. What a repository
says is not trusted: no program that its settings name is run, and nothing is fetched.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

from companyos.catalog.manifest import API_VERSION, FILE_NAME, KIND, is_manifest
from companyos.core.documents import decode, parse_yaml_documents
from companyos.core.errors import InvalidInput, TooLarge, Unavailable
from companyos.core.fields import ServiceName
from companyos.evidence import archive
from companyos.evidence.archive import Archive, Entry, Kind
from companyos.evidence.git import git, needed, without_filters

LOCK_NAME: Final = "requirements.lock"
"""The hash-pinned dependency list of a service."""
COMMIT_NOTE: Final = "comment"
"""The record of the first header that holds the commit, as in the tars that git itself makes."""
VERSION_NOTE: Final = "COMPANYOS.version"
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMITTER: Final = re.compile(rb"^committer .*> ([0-9]{1,15}) [+-][0-9]{4}$", re.MULTILINE)
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_TAG: Final = re.compile(r"v([0-9][A-Za-z0-9._+-]{0,127})")
_NUMBERS: Final = re.compile(r"[0-9]{1,128}")
_RELEASE: Final = re.compile(r"[0-9]{1,128}(?:\.[0-9]{1,128})*")
_FILE: Final = re.compile(rb"([0-7]{6}) (\w+) ([0-9a-f]{40,64}) +(-|[0-9]{1,15})\t(.+)", re.DOTALL)
_KINDS: Final[dict[bytes, Kind]] = {b"100644": "file", b"100664": "file", b"100755": "program", b"120000": "link"}
_SUBMODULE: Final = b"160000"


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """One commit as an artifact."""

    data: bytes
    digest: str
    """``sha256:<hex>`` of ``data``."""
    commit: str
    committed_at: datetime
    service: str
    version: str
    """That of an exact tag ``v<version>``, else ``<date of the commit in UTC>-<first 8 digits of the commit>``."""
    dependencies_digest: str
    """``sha256:<hex>`` of the file ``requirements.lock``."""
    files: int


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What an artifact says of itself."""

    commit: str
    committed_at: datetime
    service: str
    version: str
    dependencies_digest: str
    files: int


class _Metadata(msgspec.Struct, frozen=True):
    name: ServiceName


class _Named(msgspec.Struct, frozen=True):
    metadata: _Metadata


def pack(repository: Path, revision: str = "HEAD") -> Packed:
    """Return the commit as an artifact: the files at and below the folder ``repository``, as they were committed.

    The same commit gives the same bytes on every machine, as long as it has the same exact version tag. Raises
    Unavailable without git, InvalidInput for what is no repository or commit, for one without manifest or dependency
    list, with a submodule or a link out of it; TooLarge above the limits of an artifact.
    """
    if revision.startswith("-") or not revision.isprintable():
        raise InvalidInput(f"{revision[:80]!r} names no commit.", next_step="Give a branch, a tag or a commit.")
    inside = git(repository, "rev-parse", "--show-prefix")
    if inside is None:
        raise InvalidInput(
            f"{repository} is in no git repository that can be read.", next_step="Run: git init, then commit."
        )
    found = git(repository, "rev-parse", "--verify", "--quiet", revision + "^{commit}")
    commit = (found or b"").decode("ascii", "replace").strip()
    if not _COMMIT.fullmatch(commit):
        raise InvalidInput(f"{repository} has no commit {revision[:80]!r}.", next_step="Commit what is to be shipped.")
    seconds = _committed(needed(repository, "cat-file", "commit", commit))
    entries = _entries(repository, f"{commit}:{os.fsdecode(inside).removesuffix(chr(10)).rstrip('/')}")
    packed = Archive(entries=entries, time=seconds)
    service = service_of(packed)
    version = _tagged(repository, commit) or f"{datetime.fromtimestamp(seconds, UTC):%Y.%m.%d}-{commit[:8]}"
    packed = msgspec.structs.replace(packed, notes={COMMIT_NOTE: commit, VERSION_NOTE: version})
    data = archive.write(packed)
    return Packed(
        data=data,
        digest=_digest(data),
        commit=commit,
        committed_at=datetime.fromtimestamp(seconds, UTC),
        service=service,
        version=version,
        dependencies_digest=_digest(lock_of(packed)),
        files=len(entries),
    )


def dirty(repository: Path) -> list[str]:
    """Return the paths that differ from the last commit or are in none, those that git ignores left out.

    Raises Unavailable without git, InvalidInput for what is no repository.
    """
    words = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all", "--", ".")
    told = git(repository, "status", *words, before=without_filters(repository))
    if told is None:
        raise InvalidInput(f"{repository} is no git repository with a working tree.", next_step="Run: git init")
    return sorted(line[3:].decode("utf-8", "backslashreplace") for line in told.split(b"\0") if line)


def index_of(held: Archive) -> dict[str, str]:
    """Return what each path holds, as its kind and a digest; that of a link is that of its target."""
    return {entry.path: f"{entry.kind}:{sha256(entry.data).hexdigest()}" for entry in held.entries}


def contents(data: bytes) -> Contents:
    """Return what an artifact says of itself, if its bytes are exactly those that ``pack`` makes of its content.

    Raises InvalidInput for any other tar, and as ``archive.read`` does.
    """
    held = archive.read(data)
    commit, version = held.notes.get(COMMIT_NOTE, ""), held.notes.get(VERSION_NOTE, "")
    named = held.notes.keys() == {COMMIT_NOTE, VERSION_NOTE} and _COMMIT.fullmatch(commit) is not None
    if not named or not _VERSION.fullmatch(version) or archive.write(held) != data:
        raise InvalidInput(
            "The tar is not in the form of an artifact, so its digest would mean little.",
            next_step="Pack it with: companyos ship",
        )
    return Contents(
        commit=commit,
        committed_at=datetime.fromtimestamp(held.time, UTC),
        service=service_of(held),
        version=version,
        dependencies_digest=_digest(lock_of(held)),
        files=len(held.entries),
    )


def extract(data: bytes, folder: Path) -> None:
    """Write the files of an artifact into a folder that is empty; all of it is checked before the first is written.

    Raises InvalidInput or TooLarge for a tar that is not taken or when something is in the way, and Unavailable when
    the folder cannot be written; what was written by then is the caller's to delete.
    """
    held = archive.read(data)
    _check_empty(folder)
    for entry in sorted(held.entries, key=lambda entry: entry.kind == "link"):
        target = folder / entry.path
        try:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if entry.kind == "link":
                target.symlink_to(entry.data.decode())
                continue
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, 0o755 if entry.kind == "program" else 0o644), "wb") as file:
                file.write(entry.data)
        except (FileExistsError, NotADirectoryError) as fault:
            raise InvalidInput(
                f"Something is in the way of {entry.path!r}: the folder is not empty, or takes names in any case.",
                next_step="Use an empty folder, and names that differ in more than case.",
            ) from fault
        except OSError as fault:
            raise Unavailable(
                f"The file {entry.path!r} of the artifact cannot be written: {fault.strerror or fault}.",
                next_step="Use a folder of this user on a disk with room.",
            ) from fault


def _check_empty(folder: Path) -> None:
    """Refuse a folder with something in it: a link there would lead out of it."""
    try:
        empty = not folder.is_symlink() and not (folder.exists() and any(folder.iterdir()))
    except OSError as fault:
        raise Unavailable(
            f"The folder {folder} cannot be used: {fault.strerror or fault}.", next_step="Use a folder of this user."
        ) from fault
    if not empty:
        raise InvalidInput(f"The folder {folder} is not empty.", next_step="Use an empty folder.")


def service_of(held: Archive) -> str:
    """Return the name of the service in the manifest. Raises InvalidInput; the sections are for others to check."""
    text = held.file(FILE_NAME)
    if text is None:
        raise InvalidInput(
            f"The commit has no {FILE_NAME}.", next_step=f"Add one that says kind: {KIND} and the name of the service."
        )
    documents: list[Any] = parse_yaml_documents(text, where=FILE_NAME)
    if len(documents) != 1 or not is_manifest(documents[0]) or documents[0].get("kind") != KIND:
        raise InvalidInput(
            f"{FILE_NAME} is not the manifest of one service.",
            next_step=f"Let it hold one document with apiVersion: {API_VERSION} and kind: {KIND}.",
        )
    return decode(documents[0], _Named, where=FILE_NAME).metadata.name


def lock_of(held: Archive) -> bytes:
    """Return the dependency list, or raise InvalidInput when there is none."""
    text = held.file(LOCK_NAME)
    if text is None:
        raise InvalidInput(
            f"The commit has no {LOCK_NAME}.",
            next_step="Commit the hash-pinned dependency list; it may be empty.",
        )
    return text


def _entries(repository: Path, tree: str) -> tuple[Entry, ...]:
    listed = git(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", tree)
    if listed is None:
        raise InvalidInput(f"The commit has no folder {repository.name!r}.", next_step="Commit it first.")
    rows = [row for row in listed.split(b"\0") if row]
    if len(rows) > archive.MAX_FILES:
        raise TooLarge(
            f"The commit has {len(rows):,} files; an artifact has at most {archive.MAX_FILES:,}.",
            next_step="Keep generated files out of the repository.",
        )
    kinds: list[tuple[str, Kind]] = []
    objects: list[bytes] = []
    total = 0
    for row in rows:
        found = _FILE.fullmatch(row)
        mode, path = (found[1], found[5].decode("utf-8", "surrogateescape")) if found else (b"", "?")
        if found is None or mode not in _KINDS:
            what = "is a submodule" if mode == _SUBMODULE else "is neither a file nor a link"
            raise InvalidInput(
                f"{path[:200]!r} {what}, which cannot be in an artifact.", next_step="Commit its files instead."
            )
        total += int(found[4])
        kinds.append((path, _KINDS[mode]))
        objects.append(found[3])
    if total > archive.MAX_BYTES:
        raise TooLarge(
            f"The files of the commit have {total:,} bytes; an artifact has at most {archive.MAX_BYTES:,}.",
            next_step="Keep large files out of the repository.",
        )
    blobs = _blobs(repository, objects)
    return tuple(Entry(path=path, kind=kind, data=data) for (path, kind), data in zip(kinds, blobs, strict=True))


def _blobs(repository: Path, objects: list[bytes]) -> list[bytes]:
    """Return the contents of these objects, in their order."""
    told = needed(repository, "cat-file", "--batch", given=b"".join(one + b"\n" for one in objects))
    blobs: list[bytes] = []
    position = 0
    for one in objects:
        end = told.find(b"\n", position)
        words = told[position:end].split(b" ")
        if end < 0 or words[:2] != [one, b"blob"]:
            raise Unavailable("A file of the commit is missing in the repository.", next_step="Run: git fsck")
        size = int(words[2])
        blobs.append(told[end + 1 : end + 1 + size])
        position = end + 1 + size + 1
    return blobs


def _committed(commit: bytes) -> int:
    found = _COMMITTER.search(commit.partition(b"\n\n")[0])
    seconds = int(found[1]) if found else -1
    if not 0 <= seconds <= archive.MAX_TIME:
        raise InvalidInput("The commit does not say when it was made.", next_step="Commit again.")
    return seconds


def _tagged(repository: Path, commit: str) -> str | None:
    """Return the version that an exact tag gives the commit, the highest of several, or None."""
    told = needed(repository, "for-each-ref", f"--points-at={commit}", "--format=%(refname:strip=2)", "refs/tags")
    found = [known[1] for known in map(_TAG.fullmatch, told.decode("utf-8", "replace").splitlines()) if known]
    return max(found, key=_rank, default=None)


def _rank(version: str) -> tuple[list[int], bool, list[int], str]:
    """Return what versions are ordered by: their numbers, then a final one above its candidates."""
    release = _RELEASE.match(version)
    end = release.end() if release else 0
    rest = version[end:]
    numbers, later = ([int(part) for part in _NUMBERS.findall(text)] for text in (version[:end], rest))
    return numbers, rest[:1] in {"", "+"}, later, rest


def _digest(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"

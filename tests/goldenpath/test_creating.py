from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

import pytest

from companyos.core.errors import CompanyOSError, Conflict, IntegrityFault, InvalidInput
from companyos.goldenpath.creating import create
from companyos.goldenpath.rendering import render
from companyos.goldenpath.template import complete
from tests.core.crashing import crash_everywhere
from tests.goldenpath.scaffolding import FILES, TODAY, contents, git, given, template

WHOLE = render(template(), complete(template().definition, "orders", {}, today=TODAY))


def test_what_is_rendered_is_what_lies_there(tmp_path: Path) -> None:
    """Content and mode of each file, and nothing beside the new folder."""
    made = create(template(), "orders", tmp_path, {}, today=TODAY)
    assert contents(tmp_path / "orders") == WHOLE
    assert [path.name for path in tmp_path.iterdir()] == ["orders"]
    assert (made.path, made.files, made.digest) == (str(tmp_path.resolve() / "orders"), len(WHOLE), template().digest)


def test_the_umask_of_the_shell_does_not_change_modes(tmp_path: Path) -> None:
    """Who works with a strict umask gets the same files."""
    before = os.umask(0o077)
    try:
        create(template(), "orders", tmp_path, {}, today=TODAY)
    finally:
        os.umask(before)
    assert contents(tmp_path / "orders") == WHOLE


def test_killed_anywhere_leaves_nothing_or_the_whole(tmp_path: Path) -> None:
    """SIGKILL before each change of a file: under the name is nothing, or everything with its commit."""
    left = crash_everywhere("tests.goldenpath.scaffolding:create_small", tmp_path)
    assert len(left) > len(WHOLE)
    for folder in left:
        place = folder / "orders"
        if place.exists():
            assert contents(place) == WHOLE
            assert git(place, "status", "--porcelain") == ""
        elif folder.exists():
            create(template(), "orders", folder, {})
            assert [path.name for path in folder.iterdir()] == ["orders"], "what the killed one left is gone too"


def test_what_another_process_works_on_is_left_alone(tmp_path: Path) -> None:
    """Only folders that nobody holds are swept, and only those for this name."""
    busy, other = (tmp_path / f".{name}.{'0' * 16}.partial" for name in ("orders", "shop"))
    busy.mkdir()
    other.mkdir()
    descriptor = os.open(busy, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        create(template(), "orders", tmp_path, {})
    finally:
        os.close(descriptor)
    assert busy.exists()
    assert other.exists()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """Who made the folder first is not sent away."""
    (tmp_path / "orders").mkdir()
    create(template(), "orders", tmp_path, {}, today=TODAY)
    assert contents(tmp_path / "orders") == WHOLE


@pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling"])
def test_what_is_there_stays(tmp_path: Path, kind: str) -> None:
    """A file, a folder with something in it or a link of that name is never replaced or followed."""
    place, elsewhere = tmp_path / "in" / "orders", tmp_path / "elsewhere"
    place.parent.mkdir()
    elsewhere.mkdir()
    match kind:
        case "file":
            place.write_text("mine", encoding="utf-8")
        case "folder":
            place.mkdir()
            (place / "mine").touch()
        case "link":
            place.symlink_to(elsewhere)
        case _:
            place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(Conflict, match="exists already"):
        create(template(), "orders", place.parent, {})
    assert [path.name for path in place.parent.iterdir()] == ["orders"]
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("into", ["missing", "file", "file/below", "a\0b"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, into: str) -> None:
    """One sentence names it."""
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match="folder"):
        create(template(), "orders", tmp_path / into, {})


@pytest.mark.parametrize("name", ["../orders", "orders/x", "/orders", "", ".", "Orders"])
def test_a_name_does_not_lead_out(tmp_path: Path, name: str) -> None:
    """A bad name writes nothing anywhere."""
    (tmp_path / "in").mkdir()
    with pytest.raises(InvalidInput, match="cannot be called"):
        create(template(), name, tmp_path / "in", {})
    assert [path.name for path in tmp_path.rglob("*")] == ["in"]


def test_a_fault_leaves_nothing(tmp_path: Path) -> None:
    """A wrong answer or a broken template is found before anything is written."""
    with pytest.raises(InvalidInput):
        create(template(), "orders", tmp_path, given(port=0))
    with pytest.raises(IntegrityFault):
        create(template({**FILES, "files/bad.jinja": b"[= nobody =]"}), "orders", tmp_path, {})
    assert list(tmp_path.iterdir()) == []


def test_one_of_many_wins(tmp_path: Path) -> None:
    """Several at once: one creates the service, the others are told that it exists, and nothing is mixed."""
    outcomes: list[str] = []

    def attempt(port: int) -> None:
        try:
            create(template(), "orders", tmp_path, given(port=port))
            outcomes.append(str(port))
        except CompanyOSError as fault:
            outcomes.append(type(fault).__name__)

    threads = [threading.Thread(target=attempt, args=(port,)) for port in range(9001, 9005)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome.isdigit()]
    assert len(winners) == 1
    assert outcomes.count("Conflict") == len(threads) - 1
    assert f"--port {winners[0]}\n" in (tmp_path / "orders" / "run").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["orders"]

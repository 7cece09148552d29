from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from companyos.core.errors import IntegrityFault, NotFound
from companyos.goldenpath import archives
from companyos.goldenpath.archives import ARCHIVES, TEMPLATES, load_template, pack, read_folder, read_index, unpack
from companyos.goldenpath.rendering import render
from companyos.goldenpath.template import complete
from tests.goldenpath.scaffolding import DEFINITION, FILES, TODAY
from tests.needs import ROOT

RELEASED = {
    "api-python": {
        "1.0.0": "sha256:6e3444038d40a5336ad004764f95f4f33a62434a658dc3e8b535d42da35dd20a",
    },
}
"""Every archive that was ever released. A line is added with a release and never changed: services name it."""

EVERY = [(name, version) for name, versions in RELEASED.items() for version in versions]
AT_WORK = sorted(path.parent.name for path in TEMPLATES.glob("*/template.yaml"))


def test_released_archives_never_change() -> None:
    """The index lists what was released, and nothing lies beside it."""
    assert read_index() == RELEASED
    listed = {archives.archive_name(name, version) for name, version in EVERY}
    assert {path.name for path in ARCHIVES.iterdir()} == listed | {archives.INDEX}


@pytest.mark.parametrize(("name", "version"), EVERY)
def test_every_version_can_still_be_rendered(name: str, version: str) -> None:
    """An update renders the version that made a service, however old."""
    template = load_template(name, version)
    assert template.digest == RELEASED[name][version]
    assert render(template, complete(template.definition, "orders", {}, today=TODAY))


@pytest.mark.parametrize("name", AT_WORK)
def test_the_working_folder_is_the_newest_archive(name: str) -> None:
    """A change of a template is released: raise its version, then python -m companyos.goldenpath.release NAME."""
    template = load_template(name)
    packed = pack(read_folder(TEMPLATES / name))
    hint = f"python -m companyos.goldenpath.release {name}"
    assert archives.digest_of(packed) == template.digest, hint


def test_packing_does_not_depend_on_the_machine() -> None:
    """The bytes know no time, no user and no order in which files were found."""
    files = {"template.yaml": DEFINITION.encode(), **FILES}
    assert pack(files) == pack(dict(reversed(files.items())))
    with tarfile.open(fileobj=io.BytesIO(pack(files))) as archive:
        about = {(each.mtime, each.uid, each.gid, each.uname, each.gname, each.mode) for each in archive}
    assert about == {(0, 0, 0, "", "", 0o644)}


def test_the_newest_version_is_the_highest_number() -> None:
    """1.10.0 is newer than 1.9.0."""
    assert archives.newest({"1.9.0": "", "1.10.0": "", "1.2.10": ""}) == "1.10.0"


def test_what_was_never_released_is_not_found() -> None:
    """The next step names what there is."""
    with pytest.raises(NotFound) as fault:
        load_template("../../etc/passwd")
    assert fault.value.next_step == "Take one of: api-python."
    with pytest.raises(NotFound, match=r"no version '9\.9\.9'"):
        load_template("api-python", "9.9.9")


def test_an_altered_archive_is_refused(tmp_path: Path) -> None:
    """One bit is enough."""
    data = bytearray(pack({"template.yaml": DEFINITION.encode(), **FILES}))
    index = {"small": {"1.0.0": archives.digest_of(bytes(data))}}
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (tmp_path / "small-1.0.0.tar").write_bytes(data)
    assert load_template("small", folder=tmp_path).definition.name == "small"
    data[600] ^= 1
    (tmp_path / "small-1.0.0.tar").write_bytes(data)
    with pytest.raises(IntegrityFault, match="not the one that was released"):
        load_template("small", folder=tmp_path)


def test_an_archive_holds_files_and_nothing_else() -> None:
    """Links and stray files are no part of a template."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("files/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(IntegrityFault, match="not a file"):
        unpack(buffer.getvalue())
    with pytest.raises(IntegrityFault, match="no part of a template"):
        unpack(pack({"template.yaml": DEFINITION.encode(), "stray": b""}))
    with pytest.raises(IntegrityFault, match="holds no template"):
        unpack(b"nonsense")


def test_the_wheel_holds_every_template(tmp_path: Path) -> None:
    """Whoever installs the platform can create a service without a network."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name: file.read(name) for name in file.namelist() if "goldenpath/templates/archives/" in name}
    here = {f"companyos/goldenpath/templates/archives/{path.name}": path.read_bytes() for path in ARCHIVES.iterdir()}
    assert packed == here

"""What the tests of this room share: a small template, the ``new`` command as a program, and a place to create in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import typer

from companyos.core.console import report
from companyos.core.errors import CompanyOSError
from companyos.goldenpath import archives
from companyos.goldenpath.commands import new
from companyos.goldenpath.creating import create
from companyos.goldenpath.template import Answer, Template
from tests.needs import ROOT

DEFINITION = """\
apiVersion: companyos.dev/v1
kind: Template
name: small
version: 1.0.0
description: A template for tests.
answers:
  motto: {type: text, default: "", pattern: ".*", help: "What is its motto?"}
  size: {type: text, default: small, choices: [small, large], help: "How large is it?"}
  port: {type: integer, default: 8000, minimum: 1, maximum: 65535, help: "Which port?"}
  until: {type: date, default: +30d, help: "How long does it live?"}
  public: {type: boolean, default: false, help: "May everybody see it?"}
executable: [run]
"""
TODAY = date(2026, 11, 25)
FILES = {
    "files/README.md.jinja": (
        b"# [= name =]\n[% if public %]\npublic\n[% endif %]\n[= motto|quoted =] {{ braces }} ${x}\n"
    ),
    "files/run.jinja": b"#!/bin/sh\nexec serve --port [= port =]\n",
    "files/data/raw.txt": b"[= left alone =]\n",
}


def template(files: Mapping[str, bytes] | None = None, *, definition: str = DEFINITION) -> Template:
    """A template of these files, ``FILES`` when none are given."""
    return archives.unpack(archives.pack({"template.yaml": definition.encode(), **(FILES if files is None else files)}))


def working_folder() -> Template:
    """The template api-python as its working folder has it."""
    return archives.unpack(archives.pack(archives.read_folder(archives.TEMPLATES / "api-python")))


def create_small(folder: Path) -> None:
    """Create a small service in a folder; to be killed anywhere."""
    folder.mkdir(parents=True)
    create(template(), "orders", folder, {})


class Said(NamedTuple):
    """What the command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def run_new(*words: str, **environment: str) -> Said:
    """Run ``new`` as a program without a terminal."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.goldenpath.scaffolding", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and mode of each file in a folder by its path; what git keeps is left out."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def given(**answers: Answer) -> dict[str, Answer]:
    """Answers, as a dictionary of the right type."""
    return answers


def main(words: list[str]) -> int:
    """Run the command as the command line of the platform does."""
    app = typer.Typer(rich_markup_mode=None)
    app.command()(new)
    try:
        code = typer.main.get_command(app).main(args=words, standalone_mode=False)
    except CompanyOSError as fault:
        return report(fault)
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

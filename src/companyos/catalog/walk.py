"""Which files of a folder are imported: found without following a link, and never more than the limits say."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from companyos.catalog.model import SourceFile
from companyos.core import durable
from companyos.core.errors import InvalidInput, TooLarge

NAMES: Final = frozenset({"companyos.yaml", "companyos.yml", "catalog-info.yaml", "catalog-info.yml"})
MAX_FILES: Final = 5_000
MAX_FOLDERS: Final = 100_000
MAX_DEPTH: Final = 24
MAX_BYTES: Final = 1024 * 1024
"""For all files together: what a server reads unless it is told otherwise."""

_LEFT_OUT: Final = frozenset({"node_modules", "__pycache__", "venv", "vendor"})


def read_sources(path: Path, *, prefix: str = "") -> list[SourceFile]:
    """Return the files to import: the one that is named, or those of ``NAMES`` in a folder and the folders below it.

    Hidden folders and those of installed packages are left out, and so are links: what they lead to may be anybody's.
    Paths are relative to the folder, behind ``prefix``. Raises InvalidInput when nothing is found or a file cannot be
    read, TooLarge beyond a limit.
    """
    if path.is_dir():
        found = _find(path)
        if not found:
            raise InvalidInput(
                f"{path} holds no companyos.yaml and no catalog-info.yaml.", next_step="Name a file, or another folder."
            )
        named = [(file, file.relative_to(path).as_posix()) for file in found]
    elif not path.exists():
        raise InvalidInput(f"There is no {path}.", next_step="Name a file or a folder that exists.")
    else:
        # A link that somebody names is one that they mean.
        named = [(path.resolve(), path.name)]
    start = f"{prefix.rstrip('/')}/" if prefix else ""
    sources: list[SourceFile] = []
    left = MAX_BYTES
    for file, name in named:
        text = _read(file, left)
        left -= len(text.encode())
        sources.append(SourceFile(path=start + name, text=text))
    return sources


def _find(root: Path) -> list[Path]:
    found: list[Path] = []
    for count, (folder, below, files) in enumerate(os.walk(root, followlinks=False), start=1):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= MAX_DEPTH
        below[:] = [] if deep else sorted(name for name in below if not name.startswith(".") and name not in _LEFT_OUT)
        found += [here / name for name in sorted(files) if name in NAMES and not (here / name).is_symlink()]
        if len(found) > MAX_FILES or count > MAX_FOLDERS:
            raise TooLarge(
                f"{root} has more than {MAX_FILES} files to import, or {MAX_FOLDERS} folders to look into.",
                next_step="Import the folders in it one by one.",
            )
    return found


def _read(file: Path, left: int) -> str:
    try:
        return durable.read(file, limit_bytes=left).decode()
    except TooLarge as fault:
        raise TooLarge(
            f"With {file} there are more than {MAX_BYTES} bytes to import.",
            next_step="Import the folders one by one.",
        ) from fault
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"{file} is not UTF-8 (byte {fault.start}).", next_step="Save it as UTF-8.") from fault
    except OSError as fault:
        raise InvalidInput(f"{file} cannot be read: {fault.strerror}.", next_step="Name another file.") from fault

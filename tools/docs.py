"""The reference pages, made from the code they describe: `make docs`.

`python -m tools.docs --check` writes nothing and ends with 1 when a page is behind; a house test does the same.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
_METHODS = ("get", "head", "post", "put", "patch", "delete")
_SELF_EXPLANATORY = {"--help", "--install-completion", "--show-completion"}


def pages() -> Mapping[str, Callable[[], str]]:
    """File names below `docs/`, each with what makes its text."""
    return {"settings.md": settings_page, "commands.md": commands_page, "http-api.md": http_api_page}


def settings_page() -> str:
    """Every setting with its variable, its default and what it is for."""
    from companyos.core.settings import SETTINGS

    return _page(
        "Settings",
        "The environment wins over `config.toml` in the home, which wins over the default. The file uses the names of "
        "the first column. Without `COMPANYOS_HOME` the home is the nearest `.companyos/` upwards, else the state "
        "folder of the user. The command line also reads `COMPANYOS_URL` and `COMPANYOS_TOKEN`: a platform elsewhere, "
        "and the token to use there.",
        _table(
            ("setting", "environment", "default", "what it is for"),
            (
                (f"`{row.name}`", f"`{row.environment}`", f"`{row.default}`" if row.default else "", row.description)
                for row in SETTINGS
            ),
        ),
    )


def commands_page() -> str:
    """Every command with its arguments and options."""
    from typer.main import get_command

    from companyos.cli.main import app

    return _page(
        "Commands",
        "Every command takes `--json` (one JSON document on standard output) and `--help`. Exit codes: 0 done, 1 the "
        "answer is no, 2 bad usage or input, 3 could not find out.",
        *(_command(path, command) for path, command in _commands("companyos", get_command(app))),
    )


def http_api_page() -> str:
    """Every operation of the OpenAPI document, in the order of paths."""
    document = openapi_document()
    rows = (
        (f"`{method.upper()}`", f"`{path}`", _first_paragraph(operation.get("description") or operation.get("summary")))
        for path, method, operation in operations(document)
    )
    return _page(
        "HTTP API",
        "The contract is the OpenAPI 3.1 document that a running server serves at `/schema`; this is its table of "
        "contents. Errors are problem details (RFC 9457). A credential is a bearer token (`companyos token issue`) or "
        "a browser session.",
        _table(("method", "path", "what it does"), rows),
    )


def openapi_document() -> dict[str, Any]:
    """The OpenAPI document as a server on an empty home gives it; no server is started."""
    from companyos.core.client import bind_in_process, connect
    from companyos.server.app import create_app

    with tempfile.TemporaryDirectory(prefix="companyos-docs-") as home, ExitStack() as opened:
        # Closed before the folder goes, because a log that is still open would write into it.
        bind_in_process(lambda settings: opened.enter_context(closing(create_app(settings))))
        document: dict[str, Any] = connect({"COMPANYOS_HOME": home}).get("/schema")
        return document


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Path, method and operation object of everything in an OpenAPI document."""
    for path, item in sorted(document["paths"].items()):
        for method in _METHODS:
            if method in item:
                yield path, method, item[method]


def write(*, check: bool) -> list[str]:
    """The names of the pages that were behind; they are written anew unless this only checks."""
    behind = []
    for name, make in pages().items():
        path, text = DOCS / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        behind.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    return behind


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer keeps its tree untyped
    children = getattr(command, "commands", None)
    if children is None:
        yield path, command
        return
    for name, child in sorted(children.items()):
        if not child.hidden:
            yield from _commands(f"{path} {name}", child)


def _command(path: str, command: Any) -> str:  # noqa: ANN401 - see above
    shown = [p for p in command.params if not getattr(p, "hidden", False) and not _SELF_EXPLANATORY & set(p.opts)]
    arguments = [p for p in shown if p.param_type_name == "argument"]
    usage = " ".join([path, *(_argument(p) for p in arguments)])
    parts = [f"## {path}", f"`{usage}`", " ".join((command.help or "").split())]
    if shown:
        parts.append(_table(("", "what it is"), ((f"`{_name(p)}`", p.help or "") for p in shown)))
    return "\n\n".join(part for part in parts if part)


def _argument(parameter: Any) -> str:  # noqa: ANN401 - see above
    name = _name(parameter) + ("…" if parameter.nargs == -1 else "")
    return name if parameter.required else f"[{name}]"


def _name(parameter: Any) -> str:  # noqa: ANN401 - see above
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    names = ", ".join((*parameter.opts, *parameter.secondary_opts))
    return names if parameter.is_flag else f"{names} {parameter.metavar or parameter.name.upper()}"


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(headings)} |", f"|{'---|' * len(headings)}"]
    lines += [f"| {' | '.join(' '.join(cell.replace('|', '&#124;').split()) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _page(title: str, *parts: str) -> str:
    notice = "<!-- Made from the code by `make docs`; a change by hand is overwritten. -->"
    return "\n\n".join((f"# {title}", notice, *parts)) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description="Write the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a page is behind")
    options = parser.parse_args(arguments)
    behind = write(check=options.check)
    for name in behind:
        print(f"docs/{name} {'is behind; run make docs' if options.check else 'written'}")
    return int(options.check and bool(behind))


if __name__ == "__main__":
    sys.exit(main())

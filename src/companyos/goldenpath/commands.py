"""``companyos new``: a service from a template, in one step and without a server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from companyos.core.console import Console, JsonOption, emit

if TYPE_CHECKING:
    from companyos.goldenpath.creating import Created
    from companyos.goldenpath.template import Answer, Template


def new(
    template: Annotated[str, typer.Argument(help="Which template, for example api-python.")],
    name: Annotated[str, typer.Argument(help="What the service is called; its folder gets that name.")],
    into: Annotated[Path, typer.Option(help="The folder in which the folder of the service is made.")] = Path(),
    answer: Annotated[
        list[str] | None, typer.Option(help="An answer as key=value; may be repeated. The rest is asked or default.")
    ] = None,
    defaults: Annotated[bool, typer.Option("--defaults", help="Ask nothing.")] = False,
    json: JsonOption = False,
) -> None:
    """Create a service from a template: folders, tests, manifest, flags, and a first commit."""
    from companyos.goldenpath.archives import load_template
    from companyos.goldenpath.creating import check_place, create

    chosen = load_template(template)
    given = _given(answer or [])
    check_place(into, name)
    if not (defaults or json) and _somebody_is_here():
        given = _ask(chosen, name, given)
    made = create(chosen, name, into, given)
    emit(made, lambda console: _show(console, made), json=json)


def _given(words: list[str]) -> dict[str, Answer]:
    """Return the answers of ``--answer key=value``."""
    from companyos.core.errors import InvalidInput

    given: dict[str, Answer] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key in given:
            raise InvalidInput(
                f"--answer {word[:60]!r} {'answers ' + key[:40] + ' again' if equals else 'has no ='}.",
                next_step="Write each answer once, as --answer key=value.",
                field="answer",
            )
        given[key] = value
    return given


def _somebody_is_here() -> bool:
    import sys

    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(template: Template, name: str, given: Mapping[str, Answer]) -> dict[str, Answer]:
    """Ask each question that has no answer yet until there is one; Enter takes the default."""
    from companyos.core.clock import SystemClock
    from companyos.core.errors import InvalidInput
    from companyos.goldenpath.template import check_answer, complete

    today = SystemClock().now().date()
    complete(template.definition, name, given, today=today)  # what was given is checked before anything is asked
    answers = dict(given)
    typer.echo("Enter takes what stands in brackets.\n")
    for key, question in template.definition.answers.items():
        while key not in answers:
            choices = f" ({', '.join(question.choices)})" if question.choices else ""
            default = check_answer(key, question, question.default, today=today)
            said = typer.prompt(f"{question.help}{choices}\n{key}", default=default, type=str)
            try:
                answers[key] = check_answer(key, question, said, today=today)
            except InvalidInput as fault:
                typer.echo(f"{fault} {fault.next_step}", err=True)
    return answers


def _show(console: Console, made: Created) -> None:
    git = {
        "committed": f"git: one commit, {(made.git.commit or '')[:12]}",
        "inside-a-repository": "git: not begun, because the folder lies in a repository already",
        "no-git": "git: not begun, because there is no git on this machine",
        "failed": f"git: not begun, because it said: {made.git.detail}",
    }[made.git.state]
    console.print(f"Created {made.path} from {made.template} {made.version}: {made.files} files.")
    console.print(git)
    if made.answers.get("owner") == "":
        console.print("Nobody owns it yet: set owner in companyos.yaml.")
    console.print("")
    console.print("Next:")
    console.print(f"  cd {made.path}")
    console.print("  make setup test   # a virtual environment from the lock files, then all tests")
    console.print("  make dev          # the service on 127.0.0.1, restarted when you save")
    console.print("README.md has the first-run checklist.")

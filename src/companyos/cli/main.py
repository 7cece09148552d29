"""The program ``companyos``: composes the commands, and turns every fault into one sentence and an exit code.

Exit codes: 0 done · 1 the answer is no · 2 bad usage or input · 3 could not find out · 130 ended by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

import companyos
from companyos.cli import database, demo, doctor, status, up
from companyos.cli.lazy import lazy
from companyos.core.client import bind_in_process
from companyos.core.console import INTERRUPTED, report, want_json
from companyos.core.errors import CompanyOSError, InvalidInput, Unavailable
from companyos.delivery.commands import deploy, ship
from companyos.goldenpath.commands import new

if TYPE_CHECKING:
    from companyos.core.in_process import AsgiApp
    from companyos.core.settings import Settings

PROGRAM: Final = "companyos"
_PILLARS: Final = (
    ("service", "companyos.catalog.commands", "Services, their owners and what runs where."),
    ("notification", "companyos.operations.commands", "What people outside are told."),
    ("release", "companyos.delivery.commands", "Releases: on their way, promoted, rolled back."),
    ("policy", "companyos.policy.commands", "Policies: written, tested, signed, promoted, explained."),
    ("ledger", "companyos.ledger.commands", "The signed log of everything decided."),
    ("identity", "companyos.identity.identity_commands", "Subjects, their roles and what is said of them."),
    ("token", "companyos.identity.commands", "Tokens of people and services."),
    ("tower", "companyos.tower.commands", "The rows that the Control Tower shows."),
)

app = typer.Typer(
    name=PROGRAM,
    help="CompanyOS: the paved road of software delivery.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich, with its Markdown and Pygments, triples the time of a help page
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{PROGRAM} {companyos.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """CompanyOS: the paved road of software delivery."""
    del version


for _command in (up.up, up.down, status.status, demo.demo, up.serve, new, ship, deploy, doctor.doctor):
    app.command()(_command)
app.add_typer(database.app, name="db", help="The schema of the database.")
for _name, _module, _help in _PILLARS:
    app.add_typer(typer.Typer(cls=lazy(_module), no_args_is_help=True), name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing is raised."""
    before_data = list(arguments)[: list(arguments).index("--")] if "--" in arguments else arguments
    want_json(wanted="--json" in before_data)
    try:
        with contextlib.ExitStack() as opened:
            bind_in_process(lambda settings: _application(settings, opened))
            code = typer.main.get_command(app).main(args=list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except CompanyOSError as fault:
        return report(fault)
    except typer.TyperException as fault:
        return _usage(fault)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as fault:
        if os.environ.get("COMPANYOS_TRACEBACK"):
            raise
        return report(
            Unavailable(
                f"Something went wrong that this command did not expect: {type(fault).__name__}: {fault}",
                next_step="Run it again with COMPANYOS_TRACEBACK=1 and report what it shows.",
            )
        )
    return code if isinstance(code, int) else 0


def _usage(fault: typer.TyperException) -> int:
    """Report wrong usage; a group that was called without a command gets its help instead of a sentence."""
    context = getattr(fault, "ctx", None)
    message = fault.format_message()
    if context is not None and type(fault).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(context.get_help() + "\n")
        return InvalidInput.exit_code
    path = context.command_path if context is not None else PROGRAM
    sentence = message if message.endswith((".", "?")) else f"{message}."
    return report(InvalidInput(sentence, next_step=f"{path} --help shows what it takes."))


def _reader_gone() -> int:
    # Whoever read the output (`| head`) has enough; Python would complain again when it flushes at the end.
    with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    return 1


def _application(settings: Settings, opened: contextlib.ExitStack) -> AsgiApp:
    from companyos.server.app import create_app

    application = create_app(settings)
    opened.callback(application.close)
    return application

"""The group of all commands, and how each kind of error ends it."""

import errno
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import click

from benchpaper.cli import artifact, bundling, importing, measuring, results
from benchpaper.cli.common import Group, why_not_writable
from benchpaper.cli.lab import lab
from benchpaper.cli.steps import step
from benchpaper.core import caches, disk_space, output, temporary
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.redact import Redactor
from benchpaper.hosts import HostError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Group, context_settings=CONTEXT)
@click.version_option(package_name="benchpaper", message="benchpaper %(version)s")
def cli() -> None:
    """Reproduce the paper from its artifact: measure, and rebuild every figure, table and number.

    \b
    Reviewer:   benchpaper doctor          what this machine can measure, and what not
                benchpaper run             measure, analyse, typeset; then read the summary
    Author:     benchpaper run --from reference figures    after changing a notebook
                benchpaper explain latency-small           where does this number come from?
    Co-author:  benchpaper plan net/latency                what would be measured, in which order

    Commands that read results take yours at the default scale, or those that --scale or --from
    reference names.
    """
    click.get_current_context().with_resource(temporary.of_command())
    with suppress(UserError):  # each command that needs a project asks for it again
        caches.keep_below(Project.find().state)


for command in (
    *measuring.COMMANDS,
    *results.COMMANDS,
    *importing.COMMANDS,
    lab,
    *bundling.COMMANDS,
    *artifact.COMMANDS,
    step,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line. A user's mistake ends in one line and exit status 2.

    Error messages never show secrets.
    """
    output.guard()
    try:
        status = _run()
        sys.stdout.flush()
    except output.OutputError as error:
        status = _failed(str(error), error.status) if str(error) else error.status
    sys.exit(status)


def _run() -> int | str | None:
    """Run the command, report any error, and return the exit status."""
    try:
        return cli.main(standalone_mode=False) or 0
    except SystemExit as end:
        return end.code
    except output.OutputError:
        raise
    except UserError as error:
        return _failed(str(error), 2)
    except click.exceptions.Abort:
        return _failed(
            "interrupted; what is finished is kept: the same command goes on from here", 130
        )
    except click.exceptions.NoArgsIsHelpError as error:  # a group without a command
        click.echo(error.format_message(), err=True)
        return 2
    except click.ClickException as error:
        return _failed(error.format_message(), 2)
    except HostError as error:
        return _failed(str(error), 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS) and (why := why_not_writable()):
            return _failed(why, 2)
        return _failed(os_error(error), 1)
    except Exception:  # a bug in the program
        return _failed(traceback.format_exc(), 1)


def _failed(text: str, status: int) -> int:
    click.echo(f"benchpaper: {Redactor(Path.cwd()).without_secrets(text)}", err=True)
    return status


def os_error(error: OSError) -> str:
    """Return an error of the operating system as one line with the next step."""
    what = error.strerror or str(error)
    where = f": {Path(error.filename).name}" if error.filename else ""
    if disk_space.is_full(error):
        return f"{what}{where}; {disk_space.NEXT_STEP}"
    return f"{what}{where}"

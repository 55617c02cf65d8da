"""Common parts of the commands: groups, options, and how a command prints its result."""

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.core.project import Project

Made = TypeVar("Made")
Function = Callable[..., Any]  # what click makes commands of


class Group(click.Group):
    """A group that lists commands in the order of definition, and corrects typos."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.commands, '"benchpaper --help" shows all')
            raise UserError(f'command "{args[0]}" not found{hint}')
        return super().resolve_command(ctx, args)


def json_option(function: Function) -> Function:
    """Add --json to a command, as the argument `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(
        function
    )


def print_result(result: Any, as_json: bool, show: Callable[[Any], object], note: str = "") -> None:
    """Print a command's result as JSON, or as text by `show(result)` below the `note`."""
    if as_json:
        click.echo(json.dumps(result, indent=1, default=lambda record: record.to_json()))
    else:
        if note:
            click.echo(note)
        show(result)


def each(names: Iterable[str], make: Callable[[str], Made]) -> tuple[list[Made], list[str]]:
    """Return (make(name) of each name, the mistakes): one broken experiment hides no sound one."""
    made, mistakes = [], []
    for name in names:
        try:
            made.append(make(name))
        except UserError as mistake:
            mistakes.append(str(mistake))
    return made, mistakes


def raise_mistakes(mistakes: list[str]) -> None:
    """Raise all mistakes as one `UserError`, one line each. Call this last in a command."""
    if mistakes:
        raise UserError("\nbenchpaper: ".join(dict.fromkeys(mistakes)))


def why_not_writable() -> str:
    """Return why this user cannot write the project; empty if they can, or without a project."""
    try:
        Project.find().check_writable()
    except UserError as error:
        return str(error)
    return ""

"""What commands have in common: how groups behave, and how what was found is told."""

import json

import click

from benchpaper.core.errors import UserError, did_you_mean


class Group(click.Group):
    """A group of commands that lists them in the order of their definition, and meets typos with a suggestion."""

    def list_commands(self, ctx):
        return list(self.commands)

    def resolve_command(self, ctx, args):
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = did_you_mean(args[0], self.commands)
            raise UserError(f'command "{args[0]}" not found{near}; "benchpaper --help" shows all')
        return super().resolve_command(ctx, args)


def json_option(function):
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(
        function
    )


def tell(found, as_json, show, note=""):
    """Print what was found: as JSON, or by `show(found)` below a `note` if there is one."""
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        if note:
            click.echo(note)
        show(found)


def each(names, make):
    """Return ([make(name) of all for which it can be made], [the mistakes of the others]): one broken experiment hides
    no sound one."""
    found, mistakes = [], []
    for name in names:
        try:
            found.append(make(name))
        except UserError as mistake:
            mistakes.append(str(mistake))
    return found, mistakes


def tell_mistakes(mistakes):
    """Raise all mistakes as one `UserError`, a line each, if there are any. Call it last."""
    if mistakes:
        raise UserError("\nbenchpaper: ".join(dict.fromkeys(mistakes)))

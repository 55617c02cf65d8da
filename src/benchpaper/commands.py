"""How groups of commands behave on the command line."""

import click

from benchpaper.errors import UserError, did_you_mean


class Group(click.Group):
    """A group of commands that lists them in the order of their definition, and meets typos with a suggestion."""

    def list_commands(self, ctx):
        return list(self.commands)

    def resolve_command(self, ctx, args):
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = did_you_mean(args[0], self.commands)
            raise UserError(f'command "{args[0]}" not found{near}; "benchpaper --help" shows all')
        return super().resolve_command(ctx, args)

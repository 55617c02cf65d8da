"""The tree of commands, a call of each, and their options."""

import click
import small_project

from benchpaper.cli.commands import cli

NAME, EXHIBIT = small_project.NAME, "toy-pipe-cost-4k"


def leaves(group=cli, before=()):
    """Return {words: command} of all commands below a group."""
    commands = {}
    for name, command in group.commands.items():
        words = (*before, name)
        commands |= (
            leaves(command, words)
            if isinstance(command, click.Group)
            else {" ".join(words): command}
        )
    return commands


COMMANDS = leaves()
USERS = [name for name in COMMANDS if not name.startswith("step ")]


def options(command):
    return {
        name: option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
    }

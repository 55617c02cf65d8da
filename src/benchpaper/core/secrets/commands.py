"""Find secrets in a command line, whose arguments are separate."""

import re
from collections.abc import Sequence

from benchpaper.core.secrets import names, programs, texts
from benchpaper.core.secrets.formats import Span

NAME = re.compile(r"[\w.-]+")


def spans(argv: Sequence[str]) -> list[list[Span]]:
    """Return for each argument where secrets stand in it; spans may overlap.

    `TOKEN=a b` may be a variable of two words, and a variable before a command.
    """
    every: list[list[Span]] = [texts.spans(argument) for argument in argv]
    for number, span in programs.secrets(argv):
        every[number].append(span)
    option = ""  # whose value the next argument is
    for number, argument in enumerate(argv):
        name, equals, value = argument.partition("=")
        if option and not (argument.startswith("--") and argument[2:3].islower()):
            if names.hides(option, argument):
                every[number].append((0, len(argument)))
            option = ""
        elif equals and NAME.fullmatch(name) and names.hides(name, value):
            every[number].append((len(name) + 1, len(argument)))
        elif number and names.sets(argv[number - 1], argument):
            every[number].append((0, len(argument)))
        else:
            is_option = argument.startswith("-") and not equals and len(argument) > 2
            option = argument if is_option and names.kind(argument) else ""
    return every

"""Where the program starts. All else is imported within, so that Ctrl-C ends it in one line then, too."""

import sys

from benchpaper.core import environment


def main():
    """Run the command line; an interrupt is one line and exit status 130."""
    try:
        environment.enter()
        from benchpaper.cli import commands

        commands.main()
    except KeyboardInterrupt:
        print("benchpaper: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

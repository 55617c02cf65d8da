"""The entry of the program. It imports the rest late, so that an early Ctrl-C is one line, too."""

import sys

from benchpaper.core import environment


def main() -> None:
    """Run the command line. An interrupt ends in one line and exit status 130."""
    try:
        environment.enter()
        from benchpaper.cli import commands

        commands.main()
    except KeyboardInterrupt:
        print("benchpaper: interrupted; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()

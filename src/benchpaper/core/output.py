"""What the program prints: in any encoding, at any width, into a pipe that closes early or onto a full disk.

`guard` replaces standard output and standard error once, at the start. From then on no print can end in a
`UnicodeEncodeError`, and a print that cannot be delivered raises `OutputError`, which nothing takes for another fault.
"""

import codecs
import errno
import io
import os
import re
import shutil
import sys

READER_GONE = 128 + 13  # what a shell reports of a program that SIGPIPE ended
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
COLOURING = (
    "FORCE_COLOR",
    "CLICOLOR_FORCE",
    "PYTHON_COLORS",
    "PY_COLORS",
)  # variables that ask for colours anywhere
INSTEAD = {
    "µ": "u",
    "μ": "u",
    "±": "+/-",
    "×": "x",
    "…": "...",
    "–": "-",
    "—": "-",
    "−": "-",
    "→": "->",
    "≤": "<=",
    "’": "'",
}


class OutputError(Exception):
    """Standard output takes no more. `status` is the exit status; there is nothing to tell when its reader has gone."""

    def __init__(self, error: OSError):
        self.status = READER_GONE if error.errno == errno.EPIPE else 1
        super().__init__(
            ""
            if error.errno == errno.EPIPE
            else f"standard output: {error.strerror}; write it elsewhere"
        )


class _Descriptor(io.FileIO):
    """A file descriptor that fails once at the most: Python flushes again when it ends, and would complain again."""

    failed = False

    def write(self, data):
        if not self.failed:
            try:
                return super().write(data)
            except OSError as error:
                self.failed = True
                if self.fileno() != 2:  # nobody is left to tell of standard error
                    raise OutputError(error) from None
        return len(data)


class _Stream(io.TextIOWrapper):
    """Text for a descriptor. Unless it is a terminal or colours are forced, no escape code passes."""

    plain = False

    def write(self, text):
        return super().write(ESCAPES.sub("", text) if self.plain else text)


def guard() -> None:
    """Put guarded streams in place of standard output and standard error."""
    codecs.register_error("benchpaper", _nearest)
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed: the next file that is opened would take its number, and receive what is printed
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def plain() -> None:
    """Let no escape code pass, whatever the environment says: this output is a log."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Stream):
            stream.plain = True


def console(stderr=False):
    """Return a console. It colours on a terminal, and elsewhere when asked to (FORCE_COLOR, CLICOLOR_FORCE); never
    under NO_COLOR or on a dumb terminal."""
    from rich.console import Console  # most commands print without it

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    coloured = _coloured(terminal)
    width, height = (
        shutil.get_terminal_size() if os.environ.get("TERM") == "dumb" else (None, None)
    )  # rich says 80
    return Console(
        stderr=stderr,
        force_terminal=terminal or coloured,
        color_system="auto" if coloured else None,
        width=width,
        height=height,
    )


def interactive(on) -> bool:
    """Whether lines can be written over: on a terminal that moves its cursor. Forced colours do not make one."""
    return on.file.isatty() and not on.is_dumb_terminal


def _coloured(terminal: bool) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return terminal or any(os.environ.get(name, "0") not in ("", "0") for name in COLOURING[:2])


def _guarded(stream, descriptor):
    encoding = getattr(stream, "encoding", "utf-8")
    raw = io.BufferedWriter(_Descriptor(descriptor, "w", closefd=False))
    made = _Stream(
        raw, encoding=encoding, errors="benchpaper", line_buffering=descriptor == 2 or raw.isatty()
    )
    made.plain = not (raw.isatty() or _coloured(False))
    return made


def _nearest(error):
    """A codec's error handler: the nearest that every encoding has, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(
        INSTEAD.get(character, "?") for character in error.object[error.start : error.end]
    ), error.end

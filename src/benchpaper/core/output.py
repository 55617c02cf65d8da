"""Print safely: in any encoding, at any width, into a pipe that closes early or onto a full disk.

`guard` replaces standard output and standard error once, at the start. From then on no print raises
`UnicodeEncodeError`. A print that cannot be delivered raises `OutputError`, which no handler
mistakes for another error.
"""

import codecs
import errno
import io
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer
    from rich.console import Console

READER_GONE = 128 + 13  # the exit status that a shell reports for a program that SIGPIPE ended
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
# Variables that ask for colours anywhere.
COLOURING = ("FORCE_COLOR", "CLICOLOR_FORCE", "PYTHON_COLORS", "PY_COLORS")
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
    """Standard output cannot be written. `status` is the exit status.

    The text is empty if the reader has gone.
    """

    def __init__(self, error: OSError):
        reader_gone = error.errno == errno.EPIPE
        self.status = READER_GONE if reader_gone else 1
        super().__init__(
            "" if reader_gone else f"standard output: {error.strerror}; write it elsewhere"
        )


class _Descriptor(io.FileIO):
    """A descriptor that fails at most once: Python flushes again at exit, and would fail again."""

    failed = False

    def write(self, data: "ReadableBuffer") -> int:
        if not self.failed:
            try:
                return super().write(data)
            except OSError as error:
                self.failed = True
                if self.fileno() != 2:  # nowhere is left to report a broken standard error
                    raise OutputError(error) from None
        return memoryview(data).nbytes


class _Stream(io.TextIOWrapper):
    """Text for a descriptor. If `plain`, no escape code passes."""

    plain = False

    def write(self, text: str) -> int:
        return super().write(ESCAPES.sub("", text) if self.plain else text)


def guard() -> None:
    """Put guarded streams in place of standard output and standard error."""
    codecs.register_error("benchpaper", _nearest)
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except (
            OSError
        ):  # closed: the next file opened would get this number, and all that is printed
            os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def plain() -> None:
    """Let no escape code pass, whatever the environment says: this output is a log."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Stream):
            stream.plain = True


def console(stderr: bool = False) -> "Console":
    """Return a console for standard output or standard error.

    It colours on a terminal, and elsewhere on request (FORCE_COLOR, CLICOLOR_FORCE); never under
    NO_COLOR or on a dumb terminal.
    """
    from rich.console import Console  # slow to import, and most commands print without it

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    coloured = _coloured(terminal)
    dumb = os.environ.get("TERM") == "dumb"  # for which rich assumes 80 columns
    width, height = shutil.get_terminal_size() if dumb else (None, None)
    return Console(
        stderr=stderr,
        force_terminal=terminal or coloured,
        color_system="auto" if coloured else None,
        width=width,
        height=height,
    )


def interactive(on: "Console") -> bool:
    """Return whether lines can be overwritten: only on a terminal that moves its cursor."""
    return on.file.isatty() and not on.is_dumb_terminal


def _coloured(terminal: bool) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return terminal or any(os.environ.get(name, "0") not in ("", "0") for name in COLOURING[:2])


def _guarded(stream: object, descriptor: int) -> _Stream:
    """Return a guarded stream for a descriptor, in the encoding of `stream` (None if closed)."""
    encoding = getattr(stream, "encoding", "utf-8")
    raw = io.BufferedWriter(_Descriptor(descriptor, "w", closefd=False))
    guarded = _Stream(
        raw, encoding=encoding, errors="benchpaper", line_buffering=descriptor == 2 or raw.isatty()
    )
    guarded.plain = not (raw.isatty() or _coloured(False))
    return guarded


def _nearest(error: UnicodeError) -> tuple[str, int]:
    """Handle a codec's error: write the nearest ASCII text, else a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    unwritable = error.object[error.start : error.end]
    return "".join(INSTEAD.get(character, "?") for character in unwritable), error.end

"""Run many `benchpaper` commands, each in its own process, without starting Python for each.

A server that has imported the program forks for each command. The child has its own working folder,
environment and standard streams: a file, /dev/full, or a pipe whose reader is gone.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

CLOSED = "a pipe without a reader"


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Commands:
    """Call it with a folder and words; `out` replaces the captured standard output."""

    def __init__(self, folder):
        self._folder = folder
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, where, *words, out=None, encoding="utf-8", **environment):
        stdout, stderr = self._folder / "stdout", self._folder / "stderr"
        stdout.write_bytes(b"")
        request = {
            "where": str(where), "words": list(map(str, words)), "stdout": str(out or stdout),
            "stderr": str(stderr),
            "encoding": encoding, "environment": {"COLUMNS": "200", **environment},
        }  # fmt: skip
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline())
        return Done(status, stdout.read_text(encoding), stderr.read_text(encoding))

    def close(self):
        self._server.communicate()


@contextlib.contextmanager
def serving():
    with tempfile.TemporaryDirectory() as folder:
        commands = Commands(Path(folder))
        try:
            yield commands
        finally:
            commands.close()


def _serve():
    from benchpaper.analysis import compare  # noqa: F401
    from benchpaper.analysis.compare import forest  # noqa: F401
    from benchpaper.cli import commands

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
            try:
                commands.main()
            except SystemExit as end:
                with contextlib.suppress(BaseException):
                    sys.stdout.flush()
                os._exit(end.code or 0)
            os._exit(99)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(where, words, stdout, stderr, encoding, environment):
    os.chdir(where)
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE", "NO_COLOR", "TERM", "BENCHPAPER_PROJECT"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, path in ((1, stdout), (2, stderr)):
        os.dup2(
            _unread() if path == CLOSED else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            number,
        )
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.BufferedWriter(io.FileIO(n, "wb", closefd=False)), encoding)
        for n in (1, 2)
    )
    sys.argv = ["benchpaper", *words]


def _unread():
    read, write = os.pipe()
    os.close(read)
    return write


if __name__ == "__main__":
    _serve()

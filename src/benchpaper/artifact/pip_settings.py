"""Where pip gets packages on this machine, as its own settings say."""

import ast
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

DEFAULT_INDEX = "https://pypi.org/simple"
ORDER = ("global", "install", ":env:")  # of the sections of `pip config list`: the last one decides


@dataclass(frozen=True)
class PipSettings:
    """The address of pip's index ("" without one), and folders where it looks for wheels."""

    index: str
    folders: tuple[Path, ...]

    @classmethod
    def read(cls) -> "PipSettings":
        """Return pip's settings in this environment; its defaults if pip is not installed."""
        done = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        return cls.parsed(done.stdout if done.returncode == 0 else _environment())

    @classmethod
    def parsed(cls, text: str) -> "PipSettings":
        """Return the settings that `pip config list` prints: lines of SECTION.NAME='VALUE'."""
        values: dict[str, str] = {}
        for section in ORDER:
            for line in text.splitlines():
                key, _, value = line.partition("=")
                where, _, name = key.rpartition(".")
                if where == section and value:
                    values[name] = str(ast.literal_eval(value))
        no_index = values.get("no-index", "").lower() in ("1", "true", "yes", "on")
        index = "" if no_index else values.get("index-url", DEFAULT_INDEX).rstrip("/")
        folders = [Path(word) for word in values.get("find-links", "").split()]
        return cls(index, tuple(folder for folder in folders if folder.is_dir()))


def _environment() -> str:
    """Return pip's variables in the form of `pip config list`."""
    names = {
        "PIP_INDEX_URL": "index-url",
        "PIP_FIND_LINKS": "find-links",
        "PIP_NO_INDEX": "no-index",
    }
    return "\n".join(
        f":env:.{name}={os.environ[variable]!r}"
        for variable, name in names.items()
        if os.environ.get(variable)
    )

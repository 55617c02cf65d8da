"""Where things lie in a checkout: the one place that knows its folders."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from benchpaper.core.errors import UserError

T = TypeVar("T")

CODE = Path(__file__).resolve().parents[1]  # the code that runs
REFERENCE = "reference"
REMEDY = "remove it, and run ./reproduce again"
VERDICTS, GATHERED = "verdicts.json", "exhibits.tex"  # below the build folder


@dataclass(frozen=True)
class Project:
    """A checkout, given by its top folder."""

    root: Path

    @classmethod
    def find(cls, start: Path | str | None = None) -> "Project":
        """Return the project around `start`.

        That is `$BENCHPAPER_PROJECT`, or the nearest folder upwards that has a Snakefile and
        experiments/. Raises `UserError` if there is none, or if code other than the project's own
        runs.
        """
        named = os.environ.get("BENCHPAPER_PROJECT")
        start = Path(named or start or Path.cwd()).resolve()
        for folder in [start, *start.parents]:
            if (folder / "Snakefile").is_file() and (folder / "experiments").is_dir():
                project = cls(folder)
                project.check_code()
                return project
        raise UserError(
            f'no project found from "{start}" upwards: '
            "run this inside a checkout (it has a Snakefile)"
        )

    def check_code(self) -> None:
        """Raise `UserError` if this checkout has its own code, but other code runs.

        A folder that was copied with its .venv still runs the original's code. A project without
        ./reproduce does not set itself up, and runs on any installed benchpaper.
        """
        own = self.root / "src" / "benchpaper"
        if (self.root / "reproduce").is_file() and own.is_dir() and own.resolve() != CODE:
            path = " (and unset PYTHONPATH)" if os.environ.get("PYTHONPATH") else ""
            raise UserError(
                f'the code that runs is "{CODE}", but this project has its own, "{own}"; '
                "run ./reproduce in the project: it makes .venv anew, with a benchpaper that runs "
                f"the project's code{path}"
            )

    def check_writable(self) -> None:
        """Raise `UserError` if this user cannot write where results and figures go."""
        for folder in (self.root, self.state, self.root / "results", self.root / "build"):
            if folder.exists() and not os.access(folder, os.W_OK, effective_ids=True):
                raise UserError(
                    f'"{folder}" cannot be written by this user, and results, figures and logs go '
                    "there; copy the repository to a folder of yours, and run ./reproduce in that"
                )

    @property
    def experiments(self) -> Path:
        return self.root / "experiments"

    @property
    def analysis(self) -> Path:
        return self.root / "analysis"

    @property
    def paper(self) -> Path:
        return self.root / "paper"

    @property
    def state(self) -> Path:
        """The folder of the program's own files: locks, logs, scratch folders."""
        return self.root / ".benchpaper"

    @property
    def home(self) -> Path:
        """The home folder of notebooks and LaTeX, without configuration; made on first use."""
        folder = self.state / "home"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def results(self, site: str, source: str) -> Path:
        """Return the folder of one site's results: measured at scale `source`, or "reference"."""
        if source == REFERENCE:
            return self.root / "artifacts" / "reference" / site
        return self.root / "results" / site / source

    def build(self, site: str, source: str) -> Path:
        """Return the folder of what derives from those results: notebooks, exhibits, PDF."""
        return self.root / "build" / f"{site}-{source}"

    def programs(self, experiment_name: str) -> Path:
        """Return the folder of one experiment's compiled programs."""
        return self.root / "build" / "programs" / experiment_name

    def notebook(self, experiment_name: str) -> Path:
        return self.analysis / f"{slug(experiment_name)}.ipynb"


def derived(path: Path, form: type[T]) -> T:
    """Return the JSON of a file below the build folder.

    `form` is `list` or `dict`. Raises `UserError` if the file holds anything else, or cannot be
    read.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path.name} of {path.parent.name} cannot be read ({error}); {REMEDY}"
        ) from None
    if not isinstance(content, form):
        raise UserError(f"{path.name} of {path.parent.name} holds no {form.__name__}; {REMEDY}")
    return content


def slug(experiment_name: str) -> str:
    """Return the experiment's name as a file name: `net/latency` becomes `net_latency`."""
    return experiment_name.replace("/", "_")

"""Where things lie in a checkout: one place that knows the folders, so that nobody else joins paths."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from benchpaper.core.errors import UserError

CODE = Path(__file__).resolve().parents[1]  # the code that runs
REFERENCE = "reference"
REMEDY = "remove it, and run ./reproduce again"
VERDICTS, GATHERED = "verdicts.json", "exhibits.tex"  # below the build folder


@dataclass(frozen=True)
class Project:
    """A checkout, given by its top folder."""

    root: Path

    @classmethod
    def find(cls, start=None):
        """Return the project around `start`: `$BENCHPAPER_PROJECT`, or the nearest folder upwards that has a
        Snakefile and experiments/. Raises `UserError` when there is none, or when other code than its own runs."""
        named = os.environ.get("BENCHPAPER_PROJECT")
        start = Path(named or start or Path.cwd()).resolve()
        for folder in [start, *start.parents]:
            if (folder / "Snakefile").is_file() and (folder / "experiments").is_dir():
                project = cls(folder)
                project.check_code()
                return project
        raise UserError(
            f'no project found from "{start}" upwards: run this inside a checkout (it has a Snakefile)'
        )

    def check_code(self) -> None:
        """Raise `UserError` when this checkout has its own code but other code runs: a folder that was copied with its
        .venv still runs the code of the original. A project without ./reproduce does not set itself up, and runs on any
        installed benchpaper."""
        own = self.root / "src" / "benchpaper"
        if (self.root / "reproduce").is_file() and own.is_dir() and own.resolve() != CODE:
            path = " (and unset PYTHONPATH)" if os.environ.get("PYTHONPATH") else ""
            raise UserError(
                f'the code that runs is "{CODE}", but this project has its own, "{own}"; run ./reproduce in the '
                f"project: it makes .venv anew, with a benchpaper that runs the project's code{path}"
            )

    def check_writable(self) -> None:
        """Raise `UserError` when this user cannot write where results and figures go."""
        for folder in (self.root, self.state, self.root / "results", self.root / "build"):
            if folder.exists() and not os.access(folder, os.W_OK, effective_ids=True):
                raise UserError(
                    f'"{folder}" cannot be written by this user, and results, figures and logs go there; '
                    "copy the repository to a folder of yours, and run ./reproduce in that"
                )

    @property
    def experiments(self):
        return self.root / "experiments"

    @property
    def analysis(self):
        return self.root / "analysis"

    @property
    def paper(self):
        return self.root / "paper"

    @property
    def state(self):
        """What the program keeps for itself: locks, logs, scratch folders."""
        return self.root / ".benchpaper"

    @property
    def home(self) -> Path:
        """The home folder of notebooks and LaTeX, which holds nobody's configuration files; made when asked for."""
        folder = self.state / "home"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def results(self, site, source):
        """Results of one site: measured here at scale `source`, or committed when `source` is "reference"."""
        if source == REFERENCE:
            return self.root / "artifacts" / "reference" / site
        return self.root / "results" / site / source

    def build(self, site, source):
        """Everything derived from those results: executed notebooks, exhibits, PDF."""
        return self.root / "build" / f"{site}-{source}"

    def programs(self, experiment_name):
        """Compiled programs of one experiment."""
        return self.root / "build" / "programs" / experiment_name

    def notebook(self, experiment_name):
        return self.analysis / f"{slug(experiment_name)}.ipynb"


def derived(path: Path, form: type):
    """Return the JSON of a file below the build folder, a `form` (list or dict). Raises `UserError` for anything else."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path.name} of {path.parent.name} cannot be read ({error}); {REMEDY}"
        ) from None
    if not isinstance(found, form):
        raise UserError(f"{path.name} of {path.parent.name} holds no {form.__name__}; {REMEDY}")
    return found


def verdict_rows(build: Path) -> list:
    """Return the verdicts in a build folder; none before they were judged."""
    return derived(build / VERDICTS, list) if (build / VERDICTS).exists() else []


def slug(experiment_name):
    """Return the experiment's name as a file name: `rdma/fabric` becomes `rdma_fabric`."""
    return experiment_name.replace("/", "_")

"""Finds the experiments in experiments/, and says clearly what is wrong with one."""

import hashlib
import importlib
import json
import sys
import traceback
from pathlib import Path

from benchpaper.core import syntax
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import slug
from benchpaper.core.revision import committed
from benchpaper.design.spec import Experiment

ENTRY = "experiment.py"


def names(project):
    """Return the experiments' names, sorted: the folders below experiments/ that hold an experiment.py.

    Raises `UserError` when two names share one notebook name (`a/b_c` and `a_b/c`).
    """
    found = sorted(
        path.parent.relative_to(project.experiments).as_posix()
        for path in project.experiments.rglob(ENTRY)
    )
    seen = {}
    for name in found:
        key = slug(name).lower()
        if key in seen:
            raise UserError(
                f'experiments "{seen[key]}" and "{name}" both claim the name "{key}"; rename one folder'
            )
        seen[key] = name
    return found


def known(project, name):
    """Return the name of an experiment that there is; raises `UserError` for any other."""
    return one_of("experiment", name, names(project), 'run "benchpaper list" to see all')


def load(project, name):
    """Import experiments/NAME/experiment.py and return its `Experiment`, with its name set.

    Raises `UserError` for an unknown name, an import that fails, or a module without an experiment.
    """
    known(project, name)
    path = project.experiments / name / ENTRY
    where = path.relative_to(project.root)
    if str(project.root) not in sys.path:
        sys.path.insert(0, str(project.root))
    try:
        module = importlib.import_module(".".join(["experiments", *name.split("/"), "experiment"]))
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except (Exception, SystemExit) as error:
        what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise UserError(
            f"{where} does not import: {_at(error, project.root)}{type(error).__name__}: {what}"
        ) from error
    experiment = getattr(module, "experiment", None)
    if not isinstance(experiment, Experiment):
        raise UserError(f"{where} has no `experiment = Experiment(...)`; see experiments/README.md")
    if experiment._trial is None:
        raise UserError(
            f"{where} has no function under @experiment.trial; nothing could be measured"
        )
    experiment.name = name
    return experiment


def _at(error, root):
    """Return `file:line: ` of the deepest frame inside the project."""
    if (
        isinstance(error, SyntaxError)
        and error.filename
        and Path(error.filename).is_relative_to(root)
    ):
        return f"{Path(error.filename).relative_to(root)}:{error.lineno}: "
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(f.filename).is_relative_to(root)
    ]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}: " if frames else ""


def sources(project, name):
    """Return the files that decide what the experiment measures: its folder, and all below experiments/ that it runs
    (see `syntax.reached`)."""
    folder = project.experiments / name
    own = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(syntax.reached(own, project.root, project.experiments.name))


def source_digests(project, name):
    """Return {path below the project: digest} of `sources`: with the results, they tell later what has changed."""
    return {
        path.relative_to(project.root).as_posix(): syntax.file_digest(path)
        for path in sources(project, name)
    }


def digest(project, name):
    """Return the SHA-256 over the names and digests of `sources`, as 64 hex digits."""
    return combined(source_digests(project, name))


def combined(digests):
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def changed(project, name, described, commits=()):
    """Return the sources that differ from those that results, with their description, were measured by at `commits`."""
    now = source_digests(project, name)
    return differing(as_digested_now(project, described.get("sources", {}), commits, now), now)


def as_digested_now(project, recorded, commits, other):
    """Return the digests that results recorded by the present scheme, for comparison with `other` digests. Earlier
    results recorded digests over bytes, and not of all files: they are looked up here, and, where git has them, at the
    `commits` that were measured."""
    if any(value.startswith(syntax.SCHEME) for value in recorded.values()):
        return dict(recorded)
    found = {}
    for path, value in recorded.items():
        here = project.root / path
        same = here.is_file() and syntax.bytes_digest(here.read_bytes()) == value
        found[path] = syntax.file_digest(here) if same else value
    differ = [path for path in {**found, **other} if found.get(path) != other.get(path)]
    for commit in commits if differ else ():
        for path, content in committed(project, commit, differ).items():
            if recorded.get(path) in (None, syntax.bytes_digest(content)):
                found[path] = syntax.digest(path, content)
    # What was not recorded, and is unknown to git, counts as unchanged.
    return {**{path: value for path, value in other.items() if path not in recorded}, **found}


def differing(one, other):
    """Return the paths whose digests differ between two of `source_digests`. Results from before those left out what a
    package compiles into its __pycache__ may hold such a file, which says nothing."""
    found = sorted(path for path in {*one, *other} if one.get(path) != other.get(path))
    return [path for path in found if "/__pycache__/" not in path]

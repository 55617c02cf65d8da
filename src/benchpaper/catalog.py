"""Finds the experiments in experiments/, and says clearly what is wrong with one."""

import ast
import hashlib
import importlib
import json
import sys
import traceback
from functools import cache
from pathlib import Path

from benchpaper.errors import UserError, one_of
from benchpaper.project import slug
from benchpaper.spec import Experiment

ENTRY = "experiment.py"


def names(project):
    """Return the experiments' names, sorted: the folders below experiments/ that hold an experiment.py.

    Raises `UserError` when two names share one notebook name (`a/b_c` and `a_b/c`).
    """
    found = sorted(
        path.parent.relative_to(project.experiments).as_posix() for path in project.experiments.rglob(ENTRY)
    )
    seen = {}
    for name in found:
        key = slug(name).lower()
        if key in seen:
            raise UserError(f'experiments "{seen[key]}" and "{name}" both claim the name "{key}"; rename one folder')
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
        raise UserError(f"{where} does not import: {_at(error, project.root)}{type(error).__name__}: {what}") from error
    experiment = getattr(module, "experiment", None)
    if not isinstance(experiment, Experiment):
        raise UserError(f"{where} has no `experiment = Experiment(...)`; see experiments/README.md")
    if experiment._trial is None:
        raise UserError(f"{where} has no function under @experiment.trial; nothing could be measured")
    experiment.name = name
    return experiment


def _at(error, root):
    """Return `file:line: ` of the deepest frame inside the project."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_relative_to(root):
        return f"{Path(error.filename).relative_to(root)}:{error.lineno}: "
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(root)]
    return f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}: " if frames else ""


def sources(project, name):
    """Return the files that decide what the experiment measures: its folder, and the modules below experiments/ that
    it imports, directly or not, each with the sources of the same name beside it (store.py and store.c); a package (a
    folder with an __init__.py) with all in it that is not Python."""
    folder = project.experiments / name
    own = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    seen, queue = set(own), [path for path in own if path.suffix == ".py"]
    while queue:
        path = queue.pop()
        about = path.stat()
        # The size too: what is written within one tick of the files' clock has one time.
        for found in _imports(project.root, path, (about.st_mtime_ns, about.st_size)):
            if found not in seen:
                new = set(_beside(found)) - seen
                seen |= new
                queue += [file for file in new if file.suffix == ".py"]
    return sorted(seen)


def _beside(module):
    """Return the module's file and the sources that belong to it."""
    if module.name == "__init__.py":  # but not what a program compiled into its __pycache__
        others = [file for file in module.parent.rglob("*") if file.suffix != ".py" and "__pycache__" not in file.parts]
    else:
        others = module.parent.glob(f"{module.stem}.*")
    return [module, *(file for file in others if file.is_file())]


def source_digests(project, name):
    """Return {path below the project: SHA-256} of `sources`: with the results, they tell later what has changed."""
    return {
        path.relative_to(project.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sources(project, name)
    }


def digest(project, name):
    """Return the SHA-256 over the names and contents of `sources`, as 64 hex digits."""
    return hashlib.sha256(json.dumps(source_digests(project, name)).encode()).hexdigest()


def changed(project, name, described):
    """Return the sources that differ from those that results (with their description) were measured by."""
    return differing(described.get("sources", {}), source_digests(project, name))


def differing(one, other):
    """Return the paths whose digests differ between two of `source_digests`. Results from before those left out what a
    package compiles into its __pycache__ may hold such a file, which says nothing."""
    found = sorted(path for path in {*one, *other} if one.get(path) != other.get(path))
    return [path for path in found if "/__pycache__/" not in path]


@cache
def _imports(root, path, changed):
    """Return the files below experiments/ that the module at `path`, last `changed` then (time and size), imports; a
    package's __init__.py runs with each module in it."""
    try:
        tree = ast.parse(path.read_text())
    except SyntaxError:
        return ()  # loading it names the mistake
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = path.relative_to(root).with_suffix("").parts[: -node.level] if node.level else ()
            base = ".".join([*package, *([node.module] if node.module else [])])
            modules.update([base, *(f"{base}.{alias.name}" for alias in node.names)])
    inside = [m.split(".") for m in modules if m.split(".")[0] == "experiments"]
    packages = {root.joinpath(*m[:depth]) / "__init__.py" for m in inside for depth in range(1, len(m) + 1)}
    files = packages | {root.joinpath(*m).with_suffix(".py") for m in inside}
    return tuple(file for file in files if file.is_file())

"""Find the experiments in experiments/, and say clearly what is wrong with a broken one."""

import hashlib
import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchpaper.core import capabilities, settings, syntax
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.own_modules import mistakes_of
from benchpaper.core.project import Project, slug
from benchpaper.core.revision import committed
from benchpaper.design.spec import Experiment

ENTRY = "experiment.py"
NONE_YET = "experiments/ holds no experiment.py yet; benchpaper new FAMILY/NAME writes one"


def names(project: Project) -> list[str]:
    """Return the experiments' names, sorted: the folders in experiments/ with an experiment.py.

    Raises `UserError` if two names share one notebook name (`a/b_c` and `a_b/c`).
    """
    all_names = sorted(
        path.parent.relative_to(project.experiments).as_posix()
        for path in project.experiments.rglob(ENTRY)
    )
    by_key: dict[str, str] = {}
    for name in all_names:
        key = slug(name).lower()
        if key in by_key:
            raise UserError(
                f'experiments "{by_key[key]}" and "{name}" both claim the name "{key}"; '
                "rename one folder"
            )
        by_key[key] = name
    return all_names


def known(project: Project, name: str) -> str:
    """Return the name of an existing experiment; raises `UserError` for any other name."""
    return one_of("experiment", name, names(project), 'run "benchpaper list" to see all')


def load(project: Project, name: str) -> Experiment:
    """Import experiments/NAME/experiment.py and return its `Experiment`, with its name set.

    Raises `UserError` for an unknown name, an import that fails, or a module without an experiment.
    """
    known(project, name)
    load_capabilities(project)
    path = project.experiments / name / ENTRY
    where = path.relative_to(project.root)
    with mistakes_of(project.root, path):
        module = importlib.import_module(".".join(["experiments", *name.split("/"), "experiment"]))
    experiment = getattr(module, "experiment", None)
    if not isinstance(experiment, Experiment):
        raise UserError(
            f"{where} has no `experiment = Experiment(...)`; benchpaper new FAMILY/NAME writes one "
            "that runs, to compare with"
        )
    if experiment._trial is None and not experiment.is_imported:
        raise UserError(
            f"{where} has no function under @experiment.trial; nothing could be measured "
            "(if all its results are imported, leave out the scales)"
        )
    names = settings.scales(project.root).names
    if experiment._trial is not None and experiment.is_imported:
        others = "".join(f", {name}=..." for name in names[1:])
        raise UserError(
            f"{where} has a trial, but no scales say how much it measures; "
            f"give scales=dict({names[0]}=Scale(blocks=2){others})"
        )
    try:
        experiment.check_scales(names)
    except UserError as error:
        raise UserError(f"{where}: {error} ([scales] in {settings.FILE} can name others)") from None
    experiment.name = name
    return experiment


def load_capabilities(project: Project) -> None:
    """Register the project's own capabilities. Raises `UserError` if their module is broken."""
    if str(project.root) not in sys.path:
        sys.path.insert(0, str(project.root))
    capabilities.load_own()


def sources(project: Project, name: str) -> list[Path]:
    """Return the files that decide what the experiment measures.

    These are its folder, and everything below experiments/ that it runs (see `syntax.reached`).
    """
    folder = project.experiments / name
    own = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return sorted(syntax.reached(own, project.root, project.experiments.name))


def source_digests(project: Project, name: str) -> dict[str, str]:
    """Return {path below the project: digest} of `sources`.

    Stored with the results, they show later what has changed.
    """
    return {
        path.relative_to(project.root).as_posix(): syntax.file_digest(path)
        for path in sources(project, name)
    }


def digest(project: Project, name: str) -> str:
    """Return the SHA-256 over the names and digests of `sources`, as 64 hex digits."""
    return combined(source_digests(project, name))


def combined(digests: Mapping[str, str]) -> str:
    """Return the SHA-256 over {path: digest}, as 64 hex digits."""
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def changed(
    project: Project, name: str, described: Mapping[str, Any], commits: Iterable[str] = ()
) -> list[str]:
    """Return the sources that differ from those that produced some results.

    `described` is the experiment's description in these results; `commits` were measured.
    """
    now = source_digests(project, name)
    return differing(as_digested_now(project, described.get("sources", {}), commits, now), now)


def as_digested_now(
    project: Project,
    recorded: Mapping[str, str],
    commits: Iterable[str],
    other: Mapping[str, str],
) -> dict[str, str]:
    """Convert recorded digests to the present scheme, to compare them with `other` digests.

    Old results recorded digests over bytes, and not of all files. Such files are looked up here
    and, if git has them, at the `commits` that were measured.
    """
    if any(value.startswith(syntax.SCHEME) for value in recorded.values()):
        return dict(recorded)
    digests = {}
    for path, value in recorded.items():
        here = project.root / path
        same = here.is_file() and syntax.bytes_digest(here.read_bytes()) == value
        digests[path] = syntax.file_digest(here) if same else value
    differ = [path for path in {**digests, **other} if digests.get(path) != other.get(path)]
    for commit in commits if differ else ():
        for path, content in committed(project, commit, differ).items():
            if recorded.get(path) in (None, syntax.bytes_digest(content)):
                digests[path] = syntax.digest(path, content)
    # A file that was not recorded, and that git does not have, counts as unchanged.
    return {**{path: value for path, value in other.items() if path not in recorded}, **digests}


def differing(digests: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Return the paths whose digests differ between two results of `source_digests`.

    Files in __pycache__ do not count: old results may have recorded what a package compiled there.
    """
    return sorted(
        path
        for path in {*digests, *others}
        if digests.get(path) != others.get(path) and "/__pycache__/" not in path
    )

"""Print as JSON what `doctor` and the experiments report while a package is missing.

    without_a_package.py NAME ...

Each package has its own process, forked before any experiment is imported.
"""

import json
import multiprocessing
import sys
from dataclasses import dataclass
from importlib import metadata

from benchpaper import results
from benchpaper.cli import views
from benchpaper.cli.common import each
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.workflow import pipeline


def hide(package, modules):
    """Hide a package: neither its version nor its modules are found."""
    from_name = metadata.Distribution.from_name.__func__

    def found_by_name(cls, name):
        if name == package:
            raise metadata.PackageNotFoundError(name)
        return from_name(cls, name)

    class Missing:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name.split(".")[0] in modules:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    metadata.Distribution.from_name = classmethod(found_by_name)
    sys.meta_path.insert(0, Missing)


@dataclass(frozen=True)
class Apart(Project):
    """The project with separate results for each package, so that two can measure at once."""

    package: str

    def results(self, site, source):
        return super().results(site, source) / self.package


def without(package, modules):
    """Return doctor's findings, those that are wrong, and the records of untestable experiments."""
    hide(package, modules)
    run = pipeline.Pipeline(Apart(Project.find().root, package), "local", "smoke", 1)
    _, mistakes = each(
        run.available, lambda name: run.block(name, 0).key
    )  # what every run asks for before it begins
    diagnosis, wrong = views.diagnosis(run)
    recorded = {}
    for name, experiment in diagnosis["experiments"].items():
        if experiment["runnable"] == 0:
            run.block(name, 0).measure()
            trials, _ = results.read(results.block_file(run.folder / name, 0, results.TRIALS))
            recorded[name] = sorted(
                {(trial["state"], trial["reason"]) for trial in trials.to_pylist()}
            )
    return {"doctor": diagnosis, "recorded": recorded, "mistakes": [*mistakes, *wrong]}


if __name__ == "__main__":
    chosen, packages_of = sys.argv[1:], metadata.packages_distributions()
    modules = [
        {module for module, packages in packages_of.items() if name in packages} for name in chosen
    ]
    for name in catalog.names(Project.find()):  # what each would work out for itself
        catalog.digest(Project.find(), name)
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        print(
            json.dumps(dict(zip(chosen, pool.starmap(without, zip(chosen, modules), chunksize=1))))
        )

"""Measures an experiment whose trials yield several observations."""

from benchpaper import results
from benchpaper.analysis.estimates import load
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.plan import make_plan
from benchpaper.hosts import facts, probe
from benchpaper.hosts import site as sites
from benchpaper.hosts.probed import ProbedHost, ProbedSite
from benchpaper.measure.block import Block


def measured(root, text, name="toy/series"):
    """Return the `Results` of an experiment, measured at scale quick."""
    project = Project(root)
    folder = project.experiments / name
    folder.mkdir(parents=True)
    (folder / "experiment.py").write_text(text)
    experiment = catalog.load(project, name)
    probed = ProbedSite(ProbedHost.of(probe.probe(), facts.identity()))
    plan = make_plan(experiment, "quick")
    for number in range(len(plan.blocks)):
        Block(project, experiment, plan, number, sites.load(project, "local"), probed).measure()
    results.collect(project.results("local", "quick") / name, len(plan.blocks))
    return load(name, project.results("local", "quick"))

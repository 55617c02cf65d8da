"""Results of one experiment on several sites, side by side.

Blocks of two sites are not pairs, so nothing here divides one site's values by another's: each
estimate belongs to one site.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import pandas as pd

from benchpaper.analysis import estimates
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.summary import Summary
from benchpaper.analysis.values import Estimate
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import REFERENCE, Project
from benchpaper.results import stored_sites

SITE = "site"  # the factor that a summary gains


class Sites:
    """The results of the run, `own`, and stored results of `others`, {site: results}.

    `results["cloudlab"]` are the results of one site. `estimate`, `ratio`, `pooled_share`, and
    `noise_floor` take the arguments that they take there, and return {site: estimate}, which
    `Exhibits.number` saves for each site.
    """

    def __init__(self, own: Results, others: Mapping[str, Results]):
        self.own, self.others = own, dict(others)

    @property
    def by_site(self) -> dict[str, Results]:
        """All results by site, those of the run first."""
        return {self.own.site: self.own, **self.others}

    def __getitem__(self, site: str) -> Results:
        """Return the results of a site; raises `UserError` for an unknown one."""
        return self.by_site[one_of(f"{self.own.experiment}: site", site, self.by_site)]

    @property
    def source(self) -> str:
        """Which results these are, in a phrase."""
        return ", next to ".join(results.source for results in self.by_site.values())

    def warnings(self) -> list[str]:
        """Return the warnings about the trials of all sites; each names its site."""
        return [
            f"{site}: {warning}"
            for site, results in self.by_site.items()
            for warning in results.warnings()
        ]

    def each(self, function: Callable[[Results], Estimate]) -> dict[str, Estimate]:
        """Return {site: the estimate that `function` makes of its results}."""
        return {site: self._of(site, function(results)) for site, results in self.by_site.items()}

    def estimate(self, metric: str, **arguments: Any) -> dict[str, Estimate]:
        """Return {site: `Results.estimate`}."""
        return self.each(lambda results: results.estimate(metric, **arguments))

    def ratio(self, metric: str, **arguments: Any) -> dict[str, Estimate]:
        """Return {site: `Results.ratio`}: of two cells of that site."""
        return self.each(lambda results: results.ratio(metric, **arguments))

    def pooled_share(self, metric: str, **arguments: Any) -> dict[str, Estimate]:
        """Return {site: `Results.pooled_share`}."""
        return self.each(lambda results: results.pooled_share(metric, **arguments))

    def noise_floor(self, metric: str, **arguments: Any) -> dict[str, Estimate]:
        """Return {site: `Results.noise_floor`}."""
        return self.each(lambda results: results.noise_floor(metric, **arguments))

    def summary(self, metric: str, q: float = 0.5, **levels: Any) -> Summary:
        """Return the `Summary` of a metric on all sites; its first factor is the site."""
        frames, estimates, gaps = [], list[Estimate](), list[Estimate]()
        for site, results in self.by_site.items():
            summary = results.summary(metric, q, **levels)
            frame = summary.levels.reset_index(drop=True)
            frame.insert(0, SITE, site)
            frames.append(frame)
            tagged = [self._of(site, estimate) for estimate in summary.estimates]
            estimates += tagged[: len(frame)]
            gaps += tagged[len(frame) :]
        levels_of_all = pd.concat([frame for frame in frames if len(frame)] or frames[:1])
        return Summary(levels_of_all.reset_index(drop=True), [*estimates, *gaps])

    def _of(self, site: str, estimate: Estimate) -> Estimate:
        return estimate if site == self.own.site else replace(estimate, site=site)


@overload
def load(experiment: str, results_dir: str | Path | None = None) -> Results: ...


@overload
def load(
    experiment: str, results_dir: str | Path | None = None, *, sites: Sequence[str]
) -> Sites: ...


def load(
    experiment: str, results_dir: str | Path | None = None, *, sites: Sequence[str] | None = None
) -> Results | Sites:
    """Return the `Results` of an experiment from a results directory.

    A relative directory is below the project; the default is the reference of site "local". With
    `sites`, return `Sites`: these results, and next to them the reference results of each other
    site that `sites` names. Raises `ResultsError`, naming the file, if a file is missing, broken,
    or of another schema, and `UserError` for a site without stored results.
    """
    own = estimates.load(experiment, results_dir)
    if sites is None:
        return own
    if isinstance(sites, str):
        raise UserError(f'{experiment}: sites={sites!r} must be a list of names: ["{sites}"]')
    project = Project.find()
    stored = stored_sites(project, experiment)
    remedy = f"store its results in artifacts/{REFERENCE}/SITE/{experiment}"
    known = [own.site, *(site for site in stored if site != own.site)]
    names = [one_of(f"{experiment}: stored site", site, known, remedy) for site in sites]
    return Sites(
        own,
        {site: estimates.load(experiment, stored[site]) for site in names if site != own.site},
    )

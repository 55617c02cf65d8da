"""Results of one experiment on several sites, side by side.

Blocks of two sites are not pairs, so nothing here divides one site's values by another's: each
estimate belongs to one site.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from benchpaper.analysis.estimates import Results
from benchpaper.analysis.summary import Summary
from benchpaper.analysis.values import Estimate
from benchpaper.core.errors import one_of

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

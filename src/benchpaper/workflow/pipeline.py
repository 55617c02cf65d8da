"""The pipeline of one run: what the Snakefile needs to know."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.artifact import importing
from benchpaper.core import settings
from benchpaper.core.capabilities import CAPABILITIES
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import REFERENCE, Project, slug
from benchpaper.design import catalog
from benchpaper.design.plan import Plan, make_plan
from benchpaper.design.spec import Experiment
from benchpaper.hosts import facts, presence, probe
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.probed import Presence, ProbedHost, ProbedSite
from benchpaper.measure.block import Block
from benchpaper.results import journal
from benchpaper.workflow import pilot, reasons, times
from benchpaper.workflow.ownership import announce, hold_lock
from benchpaper.workflow.records import Remeasured, TrialCount

# The Snakefile takes these from here.
__all__ = ["TARGETS", "Pipeline", "announce", "hold_lock", "profiles"]

TARGETS = ("all", "results", "figures", "paper", "report", "bundle")


def _silent(event: str, **facts: Any) -> None:
    """Report nothing."""


class Pipeline:
    """One run: a site, a source (a scale to measure at, or "reference"), and a seed.

    It loads and probes everything on first use, and keeps it.
    """

    def __init__(
        self, project: Project, site: str, source: str, seed: int, profile: str = "default"
    ) -> None:
        self.profile = one_of(
            "profile", profile, profiles(project), "a profile is a folder profiles/NAME"
        )
        self.project, self.seed = project, seed
        self.source = one_of("scale", source, (*settings.scales(project.root).names, REFERENCE))
        self.site_name = site
        self.folder = project.results(site, source)
        self.kept: tuple[str, ...] = ()  # experiments whose results from elsewhere stay as they are
        self._fleet: Fleet | None = None

    @cached_property
    def site(self) -> sites.Site:
        """The site as its file describes it."""
        return sites.load(self.project, self.site_name)

    @cached_property
    def probed(self) -> ProbedSite:
        """Facts and capabilities of this machine, and of the site's hosts if they may measure.

        Experiments load first, because the systems that they use can register capabilities. This
        skips a broken experiment; loading it for its own sake raises the error.
        """
        catalog.load_capabilities(self.project)
        for name in self.available:
            with suppress(UserError):
                self.experiment(name)
        here = ProbedHost.of(probe.probe(), facts.identity())
        if self.source == REFERENCE or all(host.kind == "local" for host in self.site.hosts):
            return ProbedSite(here)
        with self.connected() as fleet:
            return ProbedSite(here, fleet.probe())

    @contextmanager
    def connected(self, names: list[str] | None = None) -> Iterator[Fleet]:
        """Hold connections to the site's hosts, or to those in `names`; nested calls share them."""
        if self._fleet is not None:
            yield self._fleet
            return
        with Fleet(self.project, self.site, names) as self._fleet:
            try:
                yield self._fleet
            finally:
                self._fleet = None

    @cached_property
    def available(self) -> list[str]:
        """All experiments, or those with reference results if the source is the reference."""
        names = catalog.names(self.project)
        if self.source == REFERENCE:
            return [name for name in names if (self.folder / name / results.TRIALS).exists()]
        return names

    def choose(self, text: str) -> list[str]:
        """Return the experiments named in `text`, separated by blanks; without names, all."""
        if not catalog.names(self.project):
            raise UserError(catalog.NONE_YET)
        for name in text.split():
            catalog.known(self.project, name)
            one_of(f"{self.source} results of", name, self.available)
        if not self.available:
            raise UserError(
                f'no {self.source} results for site "{self.site_name}"; measure first (./reproduce)'
            )
        return text.split() or self.available

    def named(self, notebook: str) -> str:
        """Return the experiment of a notebook, such as "net/latency" of "net_latency"."""
        return {slug(name): name for name in self.available}[notebook]

    @cache  # noqa: B019  (pipelines live as long as their process)
    def experiment(self, name: str) -> Experiment:
        """Load an experiment. Raises `UserError` if it is broken."""
        return catalog.load(self.project, name)

    def measures(self, name: str) -> bool:
        """Return whether this run measures an experiment: neither the reference nor an import."""
        return self.source != REFERENCE and not self.experiment(name).is_imported

    def flaw_of_import(self, name: str) -> str:
        """Return why an experiment's imported results are not what was imported; else ""."""
        return importing.flaw(self.project, self.site_name, self.experiment(name))

    @cache  # noqa: B019  (pipelines live as long as their process)
    def plan(self, name: str) -> Plan:
        """Return an experiment's plan, priced by measured times as far as there are any."""
        experiment, present = self.experiment(name), self.present(name)
        seconds = self.times(name).known
        for cell in experiment.cells(self.source):
            if any(need not in present for need in experiment.capabilities(cell)):
                seconds[cell.id] = 0.0  # "not testable here" takes no time
        fixed = self.blocks_fixed(name)
        return make_plan(
            experiment, self.source, self.seed, seconds, fixed["blocks"] if fixed else None
        )

    @cache  # noqa: B019  (pipelines live as long as their process)
    def times(self, name: str) -> times.Times:
        """Return how long the trials of an experiment took, here and in the reference."""
        return times.measured(self.project, self.site_name, self.folder / name, name, self.source)

    def blocks_fixed(self, name: str) -> dict[str, Any] | None:
        """Return the number of blocks that a pilot fixed, and its reasons; None without a pilot."""
        return pilot.fixed(self.folder / name, self.experiment(name), self.source)

    @cache  # noqa: B019  (pipelines live as long as their process)
    def capabilities(self, name: str) -> dict[str, Presence]:
        """Return {capability: presence} on the hosts that play an experiment's roles."""
        experiment = self.experiment(name)
        return presence.capabilities(
            self.probed,
            sites.assign(self.site, experiment.roles),
            CAPABILITIES,
            experiment.environments.roles_of(),
        )

    def present(self, name: str) -> set[str]:
        """Return the names of the capabilities that an experiment has here."""
        return {need for need, state in self.capabilities(name).items() if state.present}

    def check_site(self) -> None:
        """Load and probe the site, so that its errors appear once, and not for each experiment."""
        _ = self.probed

    def check(self, names: list[str]) -> None:
        """Load site and plans, so that their errors appear before anything runs."""
        for name in names:
            if self.measures(name):
                self.block(name, 0)
            elif why := self.flaw_of_import(name):
                raise UserError(why)

    def block(self, name: str, number: int, report: Callable[..., None] = _silent) -> Block:
        """Return block `number` of an experiment; `report(event, **facts)` hears of progress."""
        experiment, plan = self.experiment(name), self.plan(name)
        return Block(self.project, experiment, plan, number, self.site, self.probed, report)

    def finished(self, name: str) -> TrialCount:
        """Return how many trials of an experiment are planned and done, or none."""
        if not self.measures(name):
            return TrialCount(0, 0, 0.0)
        plan = self.plan(name)
        done = sum(journal.finished(block.journal_path) for block in self.blocks(name))
        trials = len(plan.trials)
        return TrialCount(trials, done, plan.seconds / trials)

    def reopen(self, name: str, failed: bool = False) -> None:
        """Have those trials measured again that can now succeed.

        These are trials whose missing capability is there again, and trials that failed because the
        machine lacked something. With `failed`, they are also all other failed trials.
        """
        for block in self.blocks(name):
            block.reopen(failed)

    def starved(self, name: str) -> dict[str, int]:
        """Return {what the machine lacked: failed trials}; the next run measures them again."""
        entries = [
            entry for block in self.blocks(name) for entry in journal.entries(block.journal_path)
        ]
        return dict(Counter(entry.cause for entry in entries if entry.cause))

    def again(self, name: str) -> Remeasured | None:
        """Return which blocks are measured again although they were measured before.

        It is None if no block is measured again.
        """
        count, why, moved, grown = 0, dict[str, None](), "", False
        for block in self.blocks(name):
            if then := block.before():
                count += 1
                grown = grown or reasons.levels_added(then, block.depends)
                why |= dict.fromkeys(reasons.reasons(then, block.depends))
                moved = moved or _moved(then, block.depends)
        if not count:
            return None
        return Remeasured(count, len(self.plan(name).blocks[0]), tuple(why), grown, moved)

    def results_of_elsewhere(self, names: list[str]) -> dict[str, str]:
        """Return {experiment: both machines} if its results come from another machine."""
        measured = {name: self.again(name) for name in names if (self.folder / name).exists()}
        return {
            name: again.elsewhere for name, again in measured.items() if again and again.elsewhere
        }

    def block_key(self, name: str, number: int) -> str:
        """Return the key under which Snakemake measures a block.

        Raises `UserError` if Snakemake would measure over results from another machine.
        """
        block = self.block(name, number)
        if (then := block.before()) and (moved := _moved(then, block.depends)):
            raise UserError(
                f"the results of {name} come from {moved}; benchpaper run says what you can do"
            )
        return block.key

    def blocks(self, name: str) -> Iterator[Block]:
        """Yield the blocks of an experiment; the reference and an import have none to measure."""
        for number in range(len(self.plan(name).blocks) if self.measures(name) else 0):
            yield self.block(name, number)

    def tools(self, name: str) -> str:
        """Return the versions of an experiment's tools, as JSON."""
        return json.dumps(self.experiment(name).tools(), sort_keys=True)


def _moved(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Return the machine that measured a block and the present one; empty if they are the same."""
    if not reasons.elsewhere(then, now):
        return ""
    before, here = (reasons.machine(depends["facts"]) for depends in (then, now))
    return f"another machine ({before}), not from this one ({here})"


def profiles(project: Project) -> dict[str, Path]:
    """Return {name: folder} of the Snakemake profiles; the project's own come before ours."""
    folders = (Path(__file__).with_name("profiles"), project.root / "profiles")
    return {
        path.parent.name: path.parent
        for folder in folders
        for path in sorted(folder.glob("*/config.yaml"))
    }

"""What the Snakefile asks of the framework, and running Snakemake underneath `benchpaper run`."""

import json
import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, cached_property

from benchpaper import results
from benchpaper.core import environment, lock, syntax
from benchpaper.core.capabilities import CAPABILITIES
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import REFERENCE, slug
from benchpaper.design import catalog
from benchpaper.design.plan import make_plan
from benchpaper.design.spec import SCALES
from benchpaper.hosts import probe
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import Fleet
from benchpaper.measure.block import Block
from benchpaper.results import journal
from benchpaper.workflow import pilot, reasons

TARGETS = ("all", "results", "figures", "paper", "report", "bundle")


class Pipeline:
    """One run: a site, a source (a scale to measure at, or "reference"), a seed. Everything is found when asked."""

    def __init__(self, project, site, source, seed, profile=None):
        self.profile = profile and one_of(
            "profile", profile, profiles(project), "a profile is a folder profiles/NAME"
        )
        self.project, self.source, self.seed = (
            project,
            one_of("scale", source, (*SCALES, REFERENCE)),
            seed,
        )
        self.site_name = site
        self.folder = project.results(site, source)
        self._fleet = None
        self.kept = ()  # experiments whose results are analysed as they are, whatever was measured elsewhere

    @cached_property
    def site(self):
        return sites.load(self.project, self.site_name)

    @cached_property
    def probed(self):
        """Facts and capabilities of the site's hosts, found now. The experiments come first: the systems that they
        use may register capabilities of their own. One that does not load has none; who asks for it is told."""
        for name in self.available:
            with suppress(UserError):
                self.experiment(name)
        found = probe.probe()
        if any(host["kind"] != "local" for host in self.site["hosts"]):
            with self.connected() as fleet:
                found["hosts"] = fleet.probe()
        return found

    @contextmanager
    def connected(self, names=None):
        """Hold connections to the site's hosts (those with `names`); within, the same ones are handed out again."""
        if self._fleet is not None:
            yield self._fleet
            return
        with Fleet(self.project, self.site, names) as self._fleet:
            try:
                yield self._fleet
            finally:
                self._fleet = None

    @cached_property
    def available(self):
        """The experiments that this source can serve: all, or those that have reference results."""
        names = catalog.names(self.project)
        if self.source == REFERENCE:
            return [name for name in names if (self.folder / name / results.TRIALS).exists()]
        return names

    def choose(self, text):
        """Return the experiments named in `text` (separated by blanks), or all that are available."""
        for name in text.split():
            catalog.known(self.project, name)
            one_of(f"{self.source} results of", name, self.available)
        if not self.available:
            raise UserError(
                f'no {self.source} results for site "{self.site_name}"; measure first (./reproduce)'
            )
        return text.split() or self.available

    def named(self, notebook):
        """Return the experiment whose notebook's name is `notebook`."""
        return {slug(name): name for name in self.available}[notebook]

    @cache
    def experiment(self, name):
        return catalog.load(self.project, name)

    @cache
    def plan(self, name):
        known = reference_seconds(self.project, name)
        for cell in self.experiment(name).cells(self.source):
            if any(
                need not in self.present(name) for need in self.experiment(name).capabilities(cell)
            ):
                known[cell.id] = 0.0  # it is recorded as not testable here, which costs nothing
        found = self.blocks_fixed(name)
        return make_plan(
            self.experiment(name), self.source, self.seed, known, found and found["blocks"]
        )

    def blocks_fixed(self, name):
        """Return how many blocks were fixed after a pilot, and from what; None without one."""
        return pilot.fixed(self.folder / name, self.experiment(name), self.source)

    @cache
    def capabilities(self, name):
        """Return {capability: {present, detail}} for an experiment: on the hosts that play its roles here."""
        return sites.capabilities(
            self.probed, sites.assign(self.site, self.experiment(name).roles), CAPABILITIES
        )

    def present(self, name):
        """Return the names of the capabilities that an experiment has here."""
        return {need for need, found in self.capabilities(name).items() if found["present"]}

    def check_site(self):
        """Load and probe the site, so that what is wrong with it is said once, and not of each experiment."""
        return self.probed

    def check(self, names):
        """Load site and plans, so that what is wrong with them is said before anything runs."""
        for name in names:
            self.block(name, 0)

    def block(self, name, number, report=lambda event, **facts: None):
        """Return block `number` of an experiment, ready to be measured."""
        experiment, plan = self.experiment(name), self.plan(name)
        return Block(self.project, experiment, plan, number, self.site, self.probed, report)

    def finished(self, name):
        """Return {"trials": how many the plan has, "done": how many of them are in the journals, "trial_seconds": how
        long one takes by the plan, on average}."""
        if self.source == REFERENCE:
            return {"trials": 0, "done": 0, "trial_seconds": 0.0}
        plan = self.plan(name)
        done = sum(
            journal.finished(self.block(name, number).journal_path)
            for number in range(len(plan.blocks))
        )
        return {
            "trials": len(plan.trials),
            "done": done,
            "trial_seconds": plan.seconds / len(plan.trials),
        }

    def reopen(self, name, failed=False):
        """Have those trials of an experiment measured again that lacked a capability which is there again, those that
        failed for want of something, and, with `failed`, all that failed."""
        for number in range(len(self.plan(name).blocks) if self.source != REFERENCE else 0):
            self.block(name, number).reopen(failed)

    def starved(self, name: str) -> dict[str, int]:
        """Return {what the machine lacked: trials that failed for it}; the next run measures them again."""
        if self.source == REFERENCE:
            return {}
        blocks = [
            self.block(name, number).journal_path for number in range(len(self.plan(name).blocks))
        ]
        return dict(
            Counter(
                entry["cause"]
                for path in blocks
                for entry in journal.entries(path)
                if entry.get("cause")
            )
        )

    def again(self, name):
        """Return why blocks of an experiment that were measured before are to be measured again: {"blocks": how many,
        "why": [texts], "elsewhere": the machines then and now, if they are not the same, else ""}; None when none is."""
        found, why, moved = 0, {}, ""
        for number in range(len(self.plan(name).blocks) if self.source != REFERENCE else 0):
            block = self.block(name, number)
            if then := block.before():
                found += 1
                why |= dict.fromkeys(reasons.reasons(then, block.depends))
                moved = moved or _moved(then, block.depends)
        return {"blocks": found, "why": list(why), "elsewhere": moved} if found else None

    def results_of_elsewhere(self, names):
        """Return {experiment: the machines} of those whose results here were measured on another machine."""
        found = {name: self.again(name) for name in names if (self.folder / name).exists()}
        return {
            name: again["elsewhere"]
            for name, again in found.items()
            if again and again["elsewhere"]
        }

    def block_key(self, name, number):
        """Return the key of a block, to be measured. Raises `UserError` rather than have Snakemake measure over what
        another machine measured."""
        block = self.block(name, number)
        if (then := block.before()) and (moved := _moved(then, block.depends)):
            raise UserError(
                f"the results of {name} are of {moved}; benchpaper run tells what can be done"
            )
        return block.key

    def block_files(self, name):
        """Return the Parquet files of all blocks of an experiment, relative to the project."""
        folder = (self.folder / name).relative_to(self.project.root)
        kinds = (results.OBSERVATIONS, results.TRIALS)
        return [
            results.block_file(folder, block, kind)
            for block in range(len(self.plan(name).blocks))
            for kind in kinds
        ]

    def sources(self, name):
        return [path.relative_to(self.project.root) for path in catalog.sources(self.project, name)]

    @cache
    def code(self, module, *users):
        """Return the files of the framework that `module` runs, and that the files `users` of the project do."""
        source = self.project.root / "src"
        if not (
            source / "benchpaper"
        ).is_dir():  # the framework is installed, and only another version of it changes
            return []
        start = [*syntax.files(source, module), *(self.project.root / user for user in users)]
        found = syntax.reached(start, source, "benchpaper")
        return sorted(
            path.relative_to(self.project.root).as_posix()
            for path in found
            if path.is_relative_to(source)
        )

    def tools(self, name):
        return json.dumps(self.experiment(name).tools(), sort_keys=True)

    def paper_sources(self):
        kinds = (".tex", ".sty", ".bib")
        found = [path for path in self.project.paper.rglob("*") if path.suffix in kinds]
        return sorted(path.relative_to(self.project.root) for path in found)

    def snakemake(self, targets, experiments, *extra):
        """Return the command line that runs Snakemake on this pipeline."""
        config = [f"site={self.site_name}", f"source={self.source}", f"seed={self.seed}"]
        if experiments:
            config.append(f"experiments={' '.join(experiments)}")
        if self.kept:
            config.append(f"kept={' '.join(self.kept)}")
        profile = ["--profile", f"profiles/{self.profile}"] if self.profile else []
        return [sys.executable, "-m", "snakemake", *targets, *profile, *extra, "--config", *config]

    def unlock(self):
        """Remove the lock that a killed Snakemake left. Call it only while holding the run's own lock."""
        if any((self.project.root / ".snakemake" / "locks").glob("*")):
            command = self.snakemake([], [], "--unlock")
            subprocess.run(
                command,
                cwd=self.project.root,
                env=environment.of_snakemake(),
                capture_output=True,
                check=True,
            )
            return True
        return False


def _moved(then, now):
    """Return what another machine a block was measured on than would be now; nothing when it is the same."""
    if not reasons.elsewhere(then, now):
        return ""
    return "another machine ({}) than this ({})".format(
        *(reasons.machine(one["facts"]) for one in (then, now))
    )


RUN, STEPS_OF = (
    "BENCHPAPER_RUN",
    "BENCHPAPER_STEPS_OF",
)  # process ids: of `benchpaper run`, and of Snakemake below it
_locks = ExitStack()


def announce():
    """Have the steps that this Snakemake starts know whose they are: they end when it is gone."""
    os.environ[STEPS_OF] = str(os.getpid())


def hold_lock(project):
    """Hold the lock of a run until this Snakemake ends, unless the `benchpaper run` above it does."""
    if os.environ.get(RUN) == str(os.getppid()):
        return
    try:
        _locks.enter_context(lock.held(project.state / "run.lock", "snakemake"))
    except lock.Held as held:
        raise SystemExit(f"benchpaper: {held}") from None


def profiles(project):
    """Return the names of the Snakemake profiles: profiles/NAME/config.yaml."""
    return sorted(path.parent.name for path in (project.root / "profiles").glob("*/config.yaml"))


def reference_seconds(project, name, site="local"):
    """Return {cell: median seconds of a trial} from the reference results, to price a plan; empty without them."""
    path = project.results(site, REFERENCE) / name / results.TRIALS
    if not path.exists():
        return {}
    table, _ = results.read(path)
    frame = table.select(["cell", "state", "seconds"]).to_pandas()
    return frame[frame["state"] == results.MEASURED].groupby("cell")["seconds"].median().to_dict()

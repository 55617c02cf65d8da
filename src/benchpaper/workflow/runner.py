"""`benchpaper run`: owns Snakemake's lock, resume and progress, and ends with a summary."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from functools import partial

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from benchpaper.core import disk_space, environment, events, lock, output
from benchpaper.core.duration import duration
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.processes import descendants, die_with_parent
from benchpaper.core.project import REFERENCE
from benchpaper.core.revision import UNKNOWN, is_checkout, known_revision, revision
from benchpaper.hosts import cleanup
from benchpaper.paper import kernel_server, notebook
from benchpaper.results import OBSERVATIONS, TRIALS, read
from benchpaper.workflow import plans, summary
from benchpaper.workflow.pipeline import RUN, TARGETS

POLL_S = 0.1
STOP_GRACE_S = 2.0
SPEED_OVER_S = 600.0  # how far back progress is looked at to tell what is left
LAST_WORDS = 400  # characters
QUIET_STEPS = ("measure",)  # these have a progress bar of their own


def run(pipeline, words, dry_run=False, as_json=False, retry_failed=False, measure_again=False):
    """Run the pipeline for the targets and experiments in `words`. Returns the exit status."""
    console = output.console(stderr=as_json)
    pipeline.project.check_writable()
    targets, experiments = _sorted_out(pipeline, words)
    _tell_unknown_commit(pipeline, targets, console)
    if {"paper", "bundle"} & set(targets) and not _has_latex(pipeline):
        raise UserError(
            "the targets paper and bundle need LaTeX, which is not installed: install the packages in packages.apt"
        )
    if not measure_again:
        _spare_results_of_elsewhere(pipeline, words, experiments, console)
    if dry_run:
        return _dry_run(pipeline, targets, experiments, console, as_json)
    what = f"benchpaper run ({pipeline.site_name}, {pipeline.source})"
    with _terminable(), lock.held(pipeline.project.state / "run.lock", what):
        _sweep(pipeline, console)
        for name in experiments:
            if measure_again:
                _remove_results(pipeline, name, console)
            pipeline.reopen(name, retry_failed)
            if name not in pipeline.kept and (again := pipeline.again(name)):
                console.print(
                    f"{name}: {plans.told_again(again)}",
                    highlight=False,
                    markup=False,
                    soft_wrap=True,
                )
        begin = time.monotonic()
        watch = _Watch(pipeline, targets, experiments, console)
        status = watch.run() or 0
        if status == 0:
            watch.failures += summary.without_a_result(pipeline, experiments) or _lacking(
                pipeline, targets, experiments
            )
            status = 1 if watch.failures else 0
        found = summary.make(
            pipeline, experiments, watch.failures, time.monotonic() - begin, status
        )
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        summary.show(found, console)
    return status


def _sorted_out(pipeline, words):
    """Tell targets from experiments. Raises `UserError` for a word that is neither, and for a broken reference."""
    targets = [word for word in words if word in TARGETS]
    experiments = [word for word in words if word not in TARGETS]
    for word in experiments:
        one_of("target or experiment", word, [*TARGETS, *pipeline.available])
    # The paper needs the exhibits of all experiments, so a choice of experiments stops at the figures.
    default = ["figures"] if experiments else ["all"]
    chosen = pipeline.choose(" ".join(experiments))
    if pipeline.source != REFERENCE:
        pipeline.check(chosen)
    else:
        for path in [
            pipeline.folder / name / kind for name in chosen for kind in (OBSERVATIONS, TRIALS)
        ]:
            read(path)
    for name in chosen if targets != ["results"] else ():
        notebook.existing(pipeline.project, name)
    return targets or default, chosen


def _tell_unknown_commit(pipeline, targets: list[str], console: Console) -> None:
    """Say before anything runs that a checkout's commit is unknown; a bundle is refused then, for it names one."""
    if "bundle" in targets:
        known_revision(pipeline.project)
    elif is_checkout(pipeline.project) and (why := revision(pipeline.project).why):
        console.print(
            f"going on with commit {UNKNOWN}: {why}", highlight=False, markup=False, soft_wrap=True
        )


def _spare_results_of_elsewhere(pipeline, words, experiments, console):
    """Have results that were measured on another machine analysed as they are, where only that is asked for by name.
    Raises `UserError` where they would be measured over."""
    moved = pipeline.results_of_elsewhere(experiments)
    if not moved:
        return
    name, machines = next(iter(moved.items()))
    more = f" (and those of {len(moved) - 1} more)" if len(moved) > 1 else ""
    told = f"the results of {name} at scale {pipeline.source}{more} are of {machines}"
    asked = {word for word in words if word in TARGETS}
    whole = all(
        (pipeline.folder / one / kind).exists() for one in moved for kind in (OBSERVATIONS, TRIALS)
    )
    if not whole or not asked or asked & {"all", "results"}:
        as_they_are = (
            "name the target figures, paper or report to analyse them as they are, or "
            if whole
            else ""
        )
        raise UserError(
            f"{told}; {as_they_are}give --measure-again to measure here, which removes them first"
        )
    console.print(
        f"{told}: they are analysed as they are", highlight=False, markup=False, soft_wrap=True
    )
    pipeline.kept = tuple(moved)


def _remove_results(pipeline, name, console):
    folder = pipeline.folder / name
    if pipeline.source != REFERENCE and folder.exists():
        shutil.rmtree(folder)
        console.print(
            f"{name}: removed {folder.relative_to(pipeline.project.root)}; it is measured anew",
            highlight=False,
        )


def _sweep(pipeline, console):
    """Take away what an earlier run left that was killed, and say so."""
    found = cleanup.sweep(pipeline.project)
    if pipeline.unlock():
        found.append("Snakemake's lock")
    if found:
        console.print(
            f"an earlier run was killed; swept up: {cleanup.summarize(found)}", highlight=False
        )


def _has_latex(pipeline):
    return pipeline.probed["capabilities"]["latex"]["present"]


def _forced(pipeline, targets, experiments):
    """Return the options by which Snakemake makes again what it takes for done, and is not."""
    if targets == ["results"]:
        return []
    from benchpaper.workflow import completeness  # it loads pandas

    found = completeness.flaws(pipeline.project, pipeline.site_name, pipeline.source, experiments)
    again = [str(path.relative_to(pipeline.project.root)) for path in found if path.exists()]
    return ["--forcerun", *again] if again else []


def _lacking(pipeline, targets, experiments):
    """Return (step, why) of all that was asked for and is not there, or is of other results."""
    from benchpaper.workflow import completeness

    place = pipeline.project, pipeline.site_name, pipeline.source
    found = {} if targets == ["results"] else completeness.flaws(*place, experiments)
    if {"paper", "bundle"} & set(targets) or ("all" in targets and _has_latex(pipeline)):
        found |= completeness.without_pdf(*place)
    for target, name in (("report", "report/index.html"), ("bundle", "bundle.zip")):
        path = pipeline.project.build(*place[1:]) / name
        if target in targets and not path.exists():
            found[path] = "is missing"
    return [(str(path.relative_to(pipeline.project.root)), why) for path, why in found.items()]


def _dry_run(pipeline, targets, experiments, console, as_json):
    planned = (
        [plans.plan(pipeline, name) for name in experiments] if pipeline.source != REFERENCE else []
    )
    if not as_json:
        plans.show_plans(planned)
    forced = _forced(pipeline, targets, experiments)
    command = pipeline.snakemake(targets, experiments, "--dry-run", "--quiet", "rules", *forced)
    done = subprocess.run(
        command,
        cwd=pipeline.project.root,
        env=environment.of_snakemake(),
        capture_output=True,
        text=True,
    )
    text = (done.stdout + done.stderr).strip()
    jobs = re.search(r"^job\s+count.*?(?=\n\n|\Z)", text, re.M | re.S)
    if as_json:
        steps = dict(re.findall(r"^(\w+)\s+(\d+)$", jobs.group(), re.M)) if jobs else {}
        print(
            json.dumps(
                {
                    "plans": planned,
                    "steps": {name: int(count) for name, count in steps.items() if name != "total"},
                }
            )
        )
    elif done.returncode:
        console.print(text, highlight=False, markup=False)
    elif jobs:
        console.print("steps that would run:\n" + jobs.group(), highlight=False)
    else:
        console.print("nothing would run: everything is up to date")
    return done.returncode


class _Watch:
    """Runs Snakemake and shows what its steps tell."""

    def __init__(self, pipeline, targets, experiments, console):
        self._pipeline, self._console = pipeline, console
        forced = _forced(pipeline, targets, experiments)
        self._command = pipeline.snakemake(targets, experiments, "--nocolor", *forced)
        self._log = pipeline.project.state / "snakemake.log"
        self._events_path = pipeline.project.state / "events.jsonl"
        self.failures = []
        self._failed_trials = self._attempts = 0
        self._cell = ""
        finished = {name: pipeline.finished(name) for name in experiments}
        self._total, self._done = (
            sum(item[key] for item in finished.values()) for key in ("trials", "done")
        )
        self._done_before = self._done
        # In seconds by the plan: trials of one experiment take a hundred times as long as those of another.
        self._price = {name: item["trial_seconds"] for name, item in finished.items()}
        total, done = (
            sum(item[key] * item["trial_seconds"] for item in finished.values())
            for key in ("trials", "done")
        )
        self._progress = Progress(
            TextColumn("measuring"),
            BarColumn(),
            TextColumn("{task.description} trials"),
            TimeElapsedColumn(),
            TextColumn("elapsed,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            speed_estimate_period=SPEED_OVER_S,
        )
        self._task = self._progress.add_task(self._counted(), total=total, completed=done)

    def _counted(self):
        return f"{self._done}/{self._total}"

    def run(self):
        """Run to the end and return the exit status: Snakemake's, or 130 when interrupted."""
        with kernel_server.serving(self._pipeline.project) as server:
            return self._run(server)

    def _run(self, server):
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._events_path.unlink(missing_ok=True)
        reader = events.Reader(self._events_path)
        env = environment.of_snakemake(
            **{events.VARIABLE: str(self._events_path), RUN: str(os.getpid())}, **server
        )
        with open(self._log, "wb") as log:
            process = subprocess.Popen(
                self._command,
                cwd=self._pipeline.project.root,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
            try:
                with self._display() as live:
                    while process.poll() is None:
                        time.sleep(POLL_S)
                        self._take(reader.new(), live)
                    self._take(reader.new(), live)
            except KeyboardInterrupt:
                self._stop(process)
                self._take(reader.new(), None)
                return 130
            except BaseException:  # such as standard output closing
                self._stop(process)
                raise
        if process.returncode and not self.failures:
            self.failures.append(("snakemake", _last_words(self._log)))
        if process.returncode:
            self._tell_a_full_disk_once()
        return process.returncode

    def _tell_a_full_disk_once(self):
        """Whatever a full disk makes of the steps, it is told in one line."""
        starved = [(step, error) for step, error in self.failures if disk_space.full_disk_text(error)]
        if full := disk_space.complaint(self._pipeline.project):
            self.failures = [("disk", full)]
        elif starved:
            step, error = starved[0]
            told = error if disk_space.NEXT_STEP in error else f"{error}; {disk_space.NEXT_STEP}"
            self.failures = [
                (step, told),
                *(failure for failure in self.failures if failure not in starved),
            ]

    def _display(self):
        if not output.interactive(self._console):
            return contextlib.nullcontext()
        return Live(
            get_renderable=self._renderable,
            console=self._console,
            refresh_per_second=4,
            transient=True,
        )

    def _renderable(self):
        lines = [self._progress] if self._total > self._done_before else []
        if self._attempts or self._failed_trials:
            lines.append(
                Text(f"failed attempts: {self._attempts}, failed trials: {self._failed_trials}")
            )
        return Group(*lines, Text(self._cell, style="dim", overflow="ellipsis", no_wrap=True))

    def _take(self, new, live):
        for event in new:
            kind = event["event"]
            if kind == "start":
                self._cell = f"{event['experiment']}, block {event['block']}: {event['cell']}"
            elif kind == "trial":
                self._trial(event)
            elif kind == "attempt":
                self._attempts += 1
                self._say(f"attempt {event['number']} failed: {event['cell']}: {event['message']}")
            elif kind in ("waiting", "fetched", "reconnected", "damaged"):
                self._say(event["message"])
            elif kind == "step failed":
                self._fail(_named(event), event["error"])
            elif kind == "step" and event["name"] not in QUIET_STEPS:
                self._cell = _named(event)
            elif kind == "step done" and event["name"] not in QUIET_STEPS:
                self._say(f"{_named(event)}: done")

    def _trial(self, event):
        self._done += 1
        self._progress.update(
            self._task, advance=self._price[event["experiment"]], description=self._counted()
        )
        self._failed_trials += event["state"] == "failed"
        if not output.interactive(self._console) and (
            self._done == self._total or self._done % max(1, self._total // 10) == 0
        ):
            left = self._progress.tasks[0].time_remaining if self._done < self._total else None
            self._say(
                f"{self._done} of {self._total} trials"
                + (f", about {duration(left)} left" if left else "")
            )

    def _fail(self, step, error):
        """The same error, as of a host that is lost to all blocks, is told once, with the first step that it ended."""
        if all(error != told for _, told in self.failures):
            self.failures.append((step, error))

    def _say(self, text):
        self._console.print(text, highlight=False, markup=False)

    def _stop(self, process):
        """End Snakemake and everything below it, however often Ctrl-C is pressed. Finished trials are in the journals,
        so nothing is lost by force."""
        for pid in [process.pid, *descendants(process.pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_GRACE_S)
        for pid in [*descendants(process.pid), process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _terminable():
    """Treat SIGTERM like Ctrl-C, and have the first interrupt be the last: another one, at whatever moment, would cut
    short the tidying up or the last words. A Ctrl-C that is ignored (as it is in the background) stays ignored."""

    def interrupt(*_):
        for number in heard:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    heard = {number: before for number, before in heard.items() if before is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, before in heard.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, before)


def _named(event):
    block = f", block {event['block']}" if "block" in event else ""
    return f"{event['name']} {event.get('experiment', '')}{block}".strip()


def _last_words(log):
    """Return what Snakemake said from its first complaint on, as one line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    first = next(
        (n for n, line in enumerate(lines) if re.search(r"rror|Exception|^benchpaper:", line)),
        len(lines) - 1,
    )
    return " ".join(lines[first:])[:LAST_WORDS] or "it said nothing"

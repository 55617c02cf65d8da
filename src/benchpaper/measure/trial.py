"""Measures the trials of a block on connected hosts: attempts, lost connections, and failures."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core import disk_space
from benchpaper.core.capabilities import CAPABILITIES, find_capability
from benchpaper.core.deployment import Software
from benchpaper.core.project import Project
from benchpaper.core.redact import Redactor
from benchpaper.design import inputs
from benchpaper.design.declarations import Scale
from benchpaper.design.plan import PlannedTrial
from benchpaper.design.spec import Experiment
from benchpaper.hosts import HostLost, cleanup
from benchpaper.hosts.agent import disturbances
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.presence import needed_on
from benchpaper.hosts.probe import FRESH_KERNEL
from benchpaper.measure import lateness, mistakes, records
from benchpaper.measure.attempt import Attempt, attempt
from benchpaper.measure.keeper import Keeper
from benchpaper.measure.provenance import Provenance
from benchpaper.measure.provisions import Provisions, undeclared
from benchpaper.measure.worker import Task
from benchpaper.results.records import Disturbances, Observation, Origin, TrialRecord

DECLARE = "a change of it makes no result stale; declare it: inputs=[Input(...)]"
PAUSE_S = 5.0  # a longer gap within a block is worth showing


@dataclass(frozen=True)
class Setting:
    """What the trials of a block have in common.

    `folder` holds the results of the experiment; `report(event, **facts)` shows progress.
    `has_worked(cell)` says whether the same code has measured that cell before, and
    `expected_seconds` is {cell: planned seconds of its trial}.
    """

    project: Project
    experiment: Experiment
    block: int
    scale: Scale
    folder: Path
    redactor: Redactor
    provenance: Provenance
    report: Callable[..., None]
    has_worked: Callable[[str], bool]
    expected_seconds: Mapping[str, float]


class TrialRunner:
    """Measures trials of a block, one after the other."""

    def __init__(self, setting: Setting, fleet: Fleet, keeper: Keeper):
        self._setting, self._fleet, self._keeper = setting, fleet, keeper
        self._experiment, self._block = setting.experiment, setting.block
        self._provenance, self._redactor = setting.provenance, setting.redactor
        self._origin = setting.provenance.origin()
        self._said: set[str] = set()
        self.software: dict[str, Software] = {}  # by role
        self._lost = False  # a connection is lost, and the next trial has to restore it
        self._scratch_root = setting.project.state / "scratch"
        self._scratch_root.mkdir(parents=True, exist_ok=True)

    def prepare_hosts(self) -> None:
        """Send what trials run, and fetch what an earlier run left behind on a lost connection."""
        setting, present = self._setting, self._provenance.present
        # If this machine lacks a package, the cells that need it are not testable.
        packages = self._experiment.packages
        self._fleet.deploy([p for p in packages if p in present or p not in CAPABILITIES])
        self.software = self._provenance.environments_on(self._fleet)
        for link in self._fleet.links.values():
            self._redactor.hide_folders(link.folders)
        self._redactor.hide_folders(self._provenance.hidden_places)
        for host, trial, kept in self._fleet.conclude():
            path = setting.project.state / "fetched" / f"{trial}.log"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._redactor.text(kept["output"]))
            log = path.relative_to(setting.project.root)
            message = f"an earlier trial lost host {host}; what it printed there is in {log}"
            if kept["found"]:
                message += f"; swept up there: {cleanup.summarize(kept['found'])}"
            setting.report("fetched", message=message)

    def run(self, planned: PlannedTrial, last_end: float | None, given_up: str = "") -> TrialRecord:
        """Measure a trial and return its record.

        `last_end` is when the trial before ended. `given_up` is the reason not to run this trial,
        which then counts as failed without an attempt.
        """
        begin = time.monotonic()
        gap = time.time() - last_end if last_end else 0.0
        if self._lost:
            self._restore()
        self._setting.report("start", block=self._block, cell=planned.cell.id)
        state, reason, attempts, observations = self._ended(planned, given_up)
        last = attempts[-1] if attempts else None
        return TrialRecord(
            block=planned.block,
            position=planned.position,
            cell=planned.cell.id,
            twin=planned.cell.twin,
            levels=dict(planned.cell.levels),
            origin=self._origin_of(attempts),
            state=state,
            reason=reason,
            cause=last.cause if last and state == results.FAILED else "",
            seed=planned.seed,
            block_seed=planned.of_block.seed,
            block_level=planned.of_block.level,
            started=last.started if last else time.time(),
            seconds=last.seconds if last else 0.0,
            attempts=tuple(map(records.summary, attempts)),
            commands=last.commands if last else (),
            observations=observations,
            paused_s=gap if gap > PAUSE_S else 0.0,
            disturbances=self._disturbed(last),
            overhead_s=time.monotonic() - begin - sum(tried.seconds for tried in attempts),
        )

    def _ended(
        self, planned: PlannedTrial, given_up: str
    ) -> tuple[str, str, list[Attempt], tuple[Observation, ...]]:
        """Run a trial if it can run. Return its (state, reason, attempts, observations)."""
        if missing := self._provenance.missing(planned.cell):
            return results.NOT_TESTABLE, f"needs {', '.join(missing)}", [], ()
        if given_up:
            self._setting.report("given up", cell=planned.cell.id, message=given_up)
            return results.FAILED, given_up, [], ()
        attempts, observations = self._attempts(planned)
        return *self._conclusion(planned, attempts[-1]), attempts, observations

    def _origin_of(self, attempts: list[Attempt]) -> Origin:
        """Return the origin of a trial, with the undeclared inputs that its attempts sent."""
        origin = replace(self._origin, capabilities=tuple(self._provenance.present))
        if provided := {path for tried in attempts for path in tried.provided}:
            return replace(origin, tools={**origin.tools, **self._undeclared(provided)})
        return origin

    def _undeclared(self, paths: Collection[str]) -> dict[str, str]:
        """Return the undeclared inputs that a trial sent, with digests; say the new ones."""
        named = undeclared(sorted(paths), inputs.notes(self._setting.project))
        for name in sorted(set(named) - self._said):
            self._setting.report("undeclared", message=f"{name} was sent to a host; {DECLARE}")
        self._said.update(named)
        return named

    def _conclusion(self, planned: PlannedTrial, last: Attempt) -> tuple[str, str]:
        """Return state and reason of a trial by its last attempt.

        A trial that failed because the host lost a capability says nothing about the experiment.
        """
        if last.outcome == "ok":
            return results.MEASURED, ""
        answers = self._look_again(self._experiment.capabilities(planned.cell))
        gone = {name: detail for name, (present, detail) in answers.items() if not present}
        self._provenance.lose(gone)
        if gone:
            lost = ", ".join(f"{name} ({detail})" for name, detail in gone.items())
            reason = f"needs {lost}, which vanished during the run"
            return results.NOT_TESTABLE, self._redactor.text(reason)
        return results.FAILED, self._redactor.text(last.message)

    def _look_again(self, names: Collection[str]) -> dict[str, Any]:
        """Probe capabilities where they are needed; return {capability: (present, detail)}."""
        answers: dict[str, Any] = {}
        by_hosts: dict[frozenset[str], list[str]] = {}  # each answer takes hosts a while
        only = self._provenance.environments.roles_of()
        for name in names:
            capability = find_capability(name)
            if capability.on_controller:
                answers[name] = capability.check()
            else:
                hosts = needed_on(capability, self._provenance.assigned, only.get(name, ()))
                by_hosts.setdefault(frozenset(host.name for host in hosts), []).append(name)
        for chosen, together in by_hosts.items():
            answers |= self._fleet.has(together, chosen)
        return answers

    # ---- attempts ----

    def _attempts(self, planned: PlannedTrial) -> tuple[list[Attempt], tuple[Observation, ...]]:
        """Try up to `experiment.attempts` times.

        Returns the attempts, of which the last one decides, and its observations.
        """
        attempts: list[Attempt] = []
        described = self._experiment.describe()
        for number in range(1, self._experiment.attempts + 1):
            tried = records.redacted(self._fetched(self._watched(planned)), self._redactor)
            observations: tuple[Observation, ...] = ()
            if tried.outcome == "ok":
                tried, observations = records.checked(tried, described, self._redactor)
            attempts.append(tried)
            if tried.outcome == "ok":
                return attempts, observations
            self._check_room(tried)
            name = f"block{self._block:03d}-position{planned.position:03d}-attempt{number}.log"
            path = self._setting.folder / "failed" / name
            records.keep_output(tried, planned.cell.id, path)
            message = self._redactor.text(tried.message)
            if tried.is_mistake and not self._setting.has_worked(planned.cell.id):
                raise mistakes.TrialMistake(
                    f"{message} (in the cell {planned.cell.id}); the trial's own code is wrong, so "
                    "this stops the experiment: correct it, and run again"
                )
            self._setting.report(
                "attempt", block=self._block, cell=planned.cell.id, number=number, message=message
            )
        return attempts, ()

    def _watched(self, planned: PlannedTrial) -> Attempt:
        """Make an attempt, and note what disturbed the machines meanwhile.

        The boot of guests comes before, and does not count: neither its load nor its other effects.
        """
        before = self._fleet.disturbances()
        if FRESH_KERNEL in self._experiment.capabilities(planned.cell):
            self._fleet.renew()
            before = {**self._fleet.disturbances(), "load_1m": before["load_1m"]}
        tried = self._attempt(planned)
        return replace(tried, disturbed=disturbances.between(before, self._fleet.disturbances()))

    def _disturbed(self, last: Attempt | None) -> Disturbances:
        """Return what disturbed the attempt that decides; without one, the load of now."""
        if last:
            return Disturbances(**disturbances.with_standstill(last.disturbed, last.stood_still_s))
        now = self._fleet.disturbances()
        return Disturbances(**disturbances.between(now, now))

    def _attempt(self, planned: PlannedTrial) -> Attempt:
        roles = self._provenance.assigned
        task = Task(
            self._experiment,
            planned.cell,
            planned.seed,
            self._setting.scale,
            {role: self._fleet.links[host.name] for role, host in roles.items()},
            self._setting.project.programs(self._experiment.name),
            planned.of_block,
            Provisions.of(self._setting.project, self._provenance.places),
            self.software,
        )
        declared = self._setting.scale.trial_seconds
        planned_s = max(declared, self._setting.expected_seconds.get(planned.cell.id, 0.0))
        alarm = lateness.alarm(self._experiment, planned.cell.id, planned_s, self._setting.report)
        return attempt(task, self._scratch_root, self._keeper.kill, alarm)

    def _fetched(self, tried: Attempt) -> Attempt:
        """Add what the attempt has left on remote hosts; restore a lost connection before.

        A successful attempt needs no connection: its trial is finished, whatever the host does.
        """
        if tried.outcome != "ok":
            self._restore()
        try:
            leftovers = self._fleet.conclude(tried.name)
        except HostLost:
            if tried.outcome == "ok":
                self._lost = True
                return tried
            self._restore()
            leftovers = self._fleet.conclude(tried.name)
        for _, trial, kept in leftovers:
            role = trial.rpartition(f"{tried.name}-")[2]
            tried = replace(
                tried,
                output=tried.output + (f"\n=== {role}\n{kept['output']}" if kept["output"] else ""),
                shortage=tried.shortage or kept["shortage"],
                stood_still_s=max(tried.stood_still_s, kept["stood_still_s"]),
            )
        return tried

    def _restore(self) -> None:
        """Connect again to hosts whose connection is lost."""
        self._lost = False
        for host in self._fleet.restore():
            message = f'the connection to host "{host}" was lost and is made again'
            self._setting.report("reconnected", message=message)

    def _check_room(self, tried: Attempt) -> None:
        """End the block if a disk is full: such a failure says nothing about the experiment."""
        shortage = (
            tried.shortage
            or disk_space.shortage(self._setting.folder)
            or disk_space.full_disk_text(tried.message)
        )
        if shortage:
            raise disk_space.NoRoom(f"{shortage}, and a trial failed; {disk_space.NEXT_STEP}")

"""Measures one block: each cell once, in the plan's random order, journalled trial by trial."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.deployment import Software
from benchpaper.core.project import Project
from benchpaper.core.redact import Redactor
from benchpaper.design.plan import Plan
from benchpaper.design.spec import Experiment
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.probed import ProbedSite
from benchpaper.hosts.site import Site
from benchpaper.measure import repeats
from benchpaper.measure.keeper import Keeper
from benchpaper.measure.provenance import Provenance
from benchpaper.measure.trial import Setting, TrialRunner
from benchpaper.results import accepted, journal
from benchpaper.results.records import TrialRecord


class Block:
    """One block of a plan on one site, ready to be measured.

    `probed` is what this machine and the site's hosts are. `report(event,
    **facts)` shows progress. `depends` is what the block's trials depend on, and `key` stands for
    it in the name of the journal.
    """

    def __init__(
        self,
        project: Project,
        experiment: Experiment,
        plan: Plan,
        block: int,
        site: Site,
        probed: ProbedSite,
        report: Callable[..., None] = lambda event, **facts: None,
    ):
        self._project, self._experiment, self._site = project, experiment, site
        self._plan, self._planned = plan, plan.blocks[block]
        self._block, self._report = block, report
        self._folder = project.results(site.name, plan.scale) / experiment.name
        self._provenance = Provenance(project, experiment, plan, site, probed)
        self._setting = Setting(
            project,
            experiment,
            block,
            experiment.scale(plan.scale),
            self._folder,
            Redactor(project.root),
            self._provenance,
            report,
            self._has_worked,
            plan.cell_seconds,
        )
        self.depends = self._depends(block)
        self.key = journal.key(**self.depends)
        self.journal_path = self._journal(block, self.depends)

    def _depends(self, block: int) -> dict[str, Any]:
        """Return the dependencies of the journal of a block to go on with.

        That is the present code's, or the fullest of those whose code counts as the same.
        """
        planned = self._plan.blocks[block]
        depends = self._provenance.dependencies(block, planned, self._setting.scale)
        others = accepted.equals(accepted.read(self._folder), depends["sources"])
        if not others:
            return depends
        choices = [depends, *({**depends, "sources": sources} for sources in others)]
        return max(choices, key=lambda choice: journal.finished(self._journal(block, choice)))

    def _journal(self, block: int, depends: Mapping[str, Any]) -> Path:
        return self._folder / "journal" / f"{block:03d}-{journal.key(**depends)}.jsonl"

    def _other_journals(self) -> list[Path]:
        """Return the journals of the other blocks, as far as they depend on the same."""
        others = [number for number in range(len(self._plan.blocks)) if number != self._block]
        return [self._journal(number, self._depends(number)) for number in others]

    def _given_up(self) -> dict[str, str]:
        """Return {cell: why it is not tried again}, from the other blocks of the same code.

        Blocks over traces or seeds differ: what fails with one may succeed with the next.
        """
        if self._experiment.block.has_levels:
            return {}
        paths = self._other_journals()
        if not any(map(journal.holds_failures, paths)):
            return {}
        return repeats.given_up(record for path in paths for record in journal.entries(path))

    def _has_worked(self, cell: str) -> bool:
        """True if the same code has measured this cell before: in another block, or elsewhere."""
        here = (record for path in self._other_journals() for record in journal.entries(path))
        measured = any(record.cell == cell and record.state == results.MEASURED for record in here)
        return measured or repeats.in_reference(self._project, self._experiment.name, cell)

    def before(self) -> dict[str, Any] | None:
        """Return what this block's trials depended on when it was last measured.

        None means that it was never measured, or that some of its trials are still valid.
        """
        return None if self.journal_path.exists() else journal.noted(self.journal_path)

    @property
    def hosts(self) -> set[str]:
        """The names of the hosts that play a role."""
        return {host.name for host in self._provenance.assigned.values()}

    def measure(self, fleet: Fleet | None = None) -> int:
        """Measure the trials that the journal lacks, and write the block's Parquet files.

        `fleet` are the site's connected hosts; without it, connect to them. Returns the number of
        trials that were measured now.
        """
        if fleet is None:
            with Fleet(self._project, self._site, self.hosts) as fleet:
                return self.measure(fleet)
        with Keeper(self._project.state) as keeper:
            return self._measure(TrialRunner(self._setting, fleet, keeper))

    def _measure(self, runner: TrialRunner) -> int:
        if not self.is_finished:
            self._provenance.check_inputs()
        runner.prepare_hosts()
        measured_now, given_up = 0, self._given_up()
        with journal.Journal(self.journal_path) as done:
            last_end = self.journal_path.stat().st_mtime if len(done) else None
            if done.damaged:
                self._repair(done)
            for planned in self._planned:
                if planned.cell.id in done and not self._testable_again(done[planned.cell.id]):
                    continue
                record = runner.run(planned, last_end, given_up.get(planned.cell.id, ""))
                self._provenance.check_inputs()  # before the record: it may have read others
                done.append(record)
                # After the record, which has the first right to the rest of a full disk.
                journal.note(self.journal_path, self.depends)
                last_end = time.time()
                measured_now += 1
                state = results.shown_state(record.state, record.reason)
                self._report("trial", block=self._block, cell=planned.cell.id, state=state)
            self._write(done.entries, runner.software)
        return measured_now

    def _repair(self, done: journal.Journal) -> None:
        lines = ", ".join(map(str, done.damaged))
        name = self.journal_path.relative_to(self._project.root)
        done.repair()
        consequence = "skipped, and the trials that are missing now are measured again"
        self._report("damaged", message=f"{name} is damaged in line {lines}: {consequence}")

    def restore(self) -> int:
        """Return to the journal the trials that it lost and that the results still hold.

        Returns their number. A power cut or a bad disk damages one, but seldom both.
        """
        if self.journal_path.exists():
            journal.note(self.journal_path, self.depends)  # in case that file is damaged
        collected = [self._folder / kind for kind in (results.OBSERVATIONS, results.TRIALS)]
        restored = 0
        for files in (self.files, collected):
            if self.is_finished or not all(map(self._is_in, files)):
                continue
            with suppress(results.ResultsError):
                records = results.records_of(files, self._block)
                with journal.Journal(self.journal_path) as done:
                    for record in records:
                        if record.cell not in done:
                            done.append(record)
                            restored += 1
        return restored

    @property
    def is_finished(self) -> bool:
        """True if the journal holds every trial of the block."""
        return journal.finished(self.journal_path) >= len(self._planned)

    @property
    def files(self) -> list[Path]:
        """The block's Parquet files: observations and trials."""
        kinds = (results.OBSERVATIONS, results.TRIALS)
        return [results.block_file(self._folder, self._block, kind) for kind in kinds]

    def _is_in(self, path: Path) -> bool:
        """True if a file of results is whole, and holds what this block's journal held."""
        try:
            keys = results.read_description(path).get(results.JOURNALS, {})
        except results.ResultsError:
            return False
        return bool(keys.get(str(self._block)) == self.key)

    def reopen(self, failed: bool = False) -> None:
        """Forget trials that may end differently now, so that they are measured again.

        These are trials whose capability had vanished and is back, and trials that failed because
        the machine lacked something; with `failed`, all trials that failed.
        """
        if not self.journal_path.exists():
            return
        with journal.Journal(self.journal_path) as done:
            again = [
                record.cell
                for record in done.entries
                if self._testable_again(record)
                or record.cause
                or (failed and record.state == results.FAILED)
            ]
            if not again:
                return
            # The files first, the collected ones too: Snakemake makes only what is missing.
            for kind in (results.OBSERVATIONS, results.TRIALS):
                results.block_file(self._folder, self._block, kind).unlink(missing_ok=True)
                (self._folder / kind).unlink(missing_ok=True)
            done.forget(again)

    def _testable_again(self, record: TrialRecord) -> bool:
        """True if the trial lacked a capability when it was journalled, but has it now."""
        if record.state != results.NOT_TESTABLE:
            return False
        cells = (planned.cell for planned in self._planned if planned.cell.id == record.cell)
        return not self._provenance.missing(next(cells))

    def _write(self, entries: list[TrialRecord], software: Mapping[str, Software]) -> None:
        described = self._experiment.describe()
        described["sources"] = self.depends["sources"]
        described["counts"] = dict(self._setting.scale.counts)
        described[results.JOURNALS] = {str(self._block): self.key}
        if self._provenance.inputs:
            described[results.INPUTS] = [s.to_json() for s in self._provenance.inputs]
        if software:
            names = self._experiment.environments.names
            described[results.ENVIRONMENTS] = [
                {"role": role, "name": names[role], "identity": item.identity}
                | {"contents": list(item.contents)}
                for role, item in software.items()
            ]
        results.write_block(self._folder, self._block, entries, described)

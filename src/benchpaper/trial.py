"""Runs one block: each cell once, in the plan's random order, journalled trial by trial."""

import time

from benchpaper import catalog, disturbances, journal, leftovers, results, room
from benchpaper.errors import UserError
from benchpaper.hosts import HostLost, probe
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.processes import adopt_orphans
from benchpaper.hosts.site import assign, capabilities
from benchpaper.redact import Redactor
from benchpaper.revision import revision
from benchpaper.worker import attempt

PAUSE_S = 5.0  # a longer gap within a block is a pause worth showing


class Block:
    """One block of a plan on one site, ready to be measured.

    `probed` is what `Pipeline.probed` holds of this machine and the site's hosts; `report(event, **facts)` is told of
    progress.
    """

    def __init__(self, project, experiment, plan, block, site, probed, report=lambda event, **facts: None):
        self._experiment, self._plan, self._report = experiment, plan, report
        self._project = project
        self._planned = plan.blocks[block]
        self._block, self._scale = block, experiment.scale(plan.scale)
        self._site, self._assigned = site, assign(site, experiment.roles)
        found = capabilities(probed, self._assigned, probe.CAPABILITIES)
        self._present = sorted(name for name, one in found.items() if one["present"])
        self._about = {role: probed.get("hosts", {}).get(host["name"], probed) for role, host in self._assigned.items()}
        self._folder = project.results(site["name"], plan.scale) / experiment.name
        self._redactor = Redactor(project.root)
        self._sources = catalog.source_digests(project, experiment.name)
        self._common = self._provenance(site)
        self.depends = self._dependencies()
        self.key = journal.key(**self.depends)
        self.journal_path = self._folder / "journal" / f"{block:03d}-{self.key}.jsonl"

    def _dependencies(self):
        """What the block's trials depend on. A capability that no cell needs is none of it: installing LaTeX
        must not measure anything again."""
        needed = {name for trial in self._planned for name in self._experiment.capabilities(trial.cell)}
        for name in sorted(needed):
            self._known(name)
        levels = {}
        for trial in self._planned:
            for factor, level in dict(trial.cell.levels).items():
                levels.setdefault(factor, set()).add(level)
        return {
            "sources": self._sources,
            "plan": {"digest": self._plan.digest, "seed": self._plan.seed, "blocks": self._plan.known_blocks},
            "levels": {factor: sorted(found, key=str) for factor, found in levels.items()},
            "block": self._block,
            "hosts": {
                role: [journal.key(name=self._assigned[role]["name"]), about.get("identity", probe.identity())]
                for role, about in self._about.items()
            },
            "tools": self._common["tools"], "capabilities": sorted(needed.intersection(self._present)),
            "facts": {role: _of_the_machine(about["facts"]) for role, about in self._about.items()},
            "counts": self._scale.counts, "schema": results.SCHEMA_VERSION,
        }  # fmt: skip

    def before(self):
        """Return what the trials of this block depended on when it was last measured, if that was something else and
        nothing of it is measured as it would be now; else None."""
        return None if self.journal_path.exists() else journal.noted(self.journal_path)

    def _known(self, capability):
        try:
            probe.known(capability)
        except UserError as error:
            raise UserError(f"{self._experiment.name}: {error}") from None

    def _provenance(self, site):
        facts = {f"{role}.{k}": str(v) for role, about in self._about.items() for k, v in about["facts"].items()}
        return {
            "experiment": self._experiment.name, "site": site["name"], "scale": self._plan.scale,
            "code_digest": catalog.combined(self._sources), "plan_digest": self._plan.digest,
            "tools": self._experiment.tools(), "hosts": facts, "capabilities": self._present,
        }  # fmt: skip

    def measure(self, fleet=None):
        """Measure what the journal lacks, and write the block's Parquet files. Returns the number of trials that
        were measured now. `fleet` are the site's connected hosts; without it the block connects by itself."""
        if fleet is None:
            with Fleet(self._project, self._site, self.hosts) as fleet:
                return self.measure(fleet)
        adopt_orphans()
        self._fleet, self._lost = fleet, False
        self._prepare_hosts()
        code = revision(self._project)
        self._common["git_commit"], self._common["git_clean"] = code.commit, code.clean
        measured_now = 0
        scratch_root = self._project.state / "scratch"
        scratch_root.mkdir(parents=True, exist_ok=True)
        with journal.Journal(self.journal_path) as done:
            last_end = self.journal_path.stat().st_mtime if len(done) else None
            if done.damaged:
                self._repair(done)
            for planned in self._planned:
                if planned.cell.id in done and not self._testable_again(done[planned.cell.id]):
                    continue
                record = self._trial(planned, scratch_root, last_end)
                done.append(record)
                journal.note(self.journal_path, self.depends)  # after it, lest it take the last of a full disk
                last_end = time.time()
                measured_now += 1
                self._report("trial", block=self._block, cell=planned.cell.id, state=record["state"])
            self._write(done.entries)
        return measured_now

    def _repair(self, done):
        lines, name = ", ".join(map(str, done.damaged)), self.journal_path.relative_to(self._project.root)
        done.repair()
        what = f"{name} is damaged in line {lines}: skipped, and the trials that are missing now are measured again"
        self._report("damaged", message=what)

    @property
    def hosts(self):
        """The names of the hosts that play a role."""
        return {host["name"] for host in self._assigned.values()}

    def _prepare_hosts(self):
        """Send what the trials run, and fetch what an earlier run left there when its connection was lost."""
        packages = self._experiment.packages  # one that is missing here is missing in the cells that need it
        self._fleet.deploy([name for name in packages if name in self._present or name not in probe.CAPABILITIES])
        for link in self._fleet.links.values():
            self._redactor.hide_folders(link.folders)
        for host, trial, kept in self._fleet.conclude():
            folder = self._project.state / "fetched"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{trial}.log").write_text(self._redactor.text(kept["output"]))
            log = (folder / f"{trial}.log").relative_to(self._project.root)
            what = f"an earlier trial lost host {host}; what it printed there is in {log}"
            self._report(
                "fetched",
                message=what + (f"; swept up there: {leftovers.told(kept['found'])}" if kept["found"] else ""),
            )

    def reopen(self, failed=False):
        """Have the block measured again where a capability had vanished that is there again, where a trial failed for
        want of something that the machine may have by now, and, with `failed`, where any trial failed."""
        if self.journal_path.exists():
            with journal.Journal(self.journal_path) as done:
                again = [
                    entry["cell"] for entry in done.entries
                    if self._testable_again(entry) or entry.get("cause")
                    or (failed and entry["state"] == results.FAILED)
                ]  # fmt: skip
                # The files first, the joined ones too: Snakemake measures what is missing and still asked for.
                for kind in (results.OBSERVATIONS, results.TRIALS) if again else ():
                    results.block_file(self._folder, self._block, kind).unlink(missing_ok=True)
                    (self._folder / kind).unlink(missing_ok=True)
                if again:
                    done.forget(again)

    def _testable_again(self, entry):
        """Whether a capability that vanished when the journal was written is there again."""
        return entry["state"] == results.NOT_TESTABLE and not self._missing(entry["cell"])

    def _missing(self, cell_id):
        cell = next(planned.cell for planned in self._planned if planned.cell.id == cell_id)
        return [name for name in self._experiment.capabilities(cell) if name not in self._present]

    def _write(self, entries):
        described = self._experiment.describe()
        described["sources"] = self._sources
        results.write_block(self._folder, self._block, entries, described)

    def _trial(self, planned, scratch_root, last_end):
        """Return the finished trial's journal entry."""
        begin = time.monotonic()
        gap = time.time() - last_end if last_end else 0.0
        if self._lost:
            self._restore()
        before = self._fleet.disturbances()
        missing = self._missing(planned.cell.id)
        self._report("start", block=self._block, cell=planned.cell.id)
        if missing:
            attempts, observations = [], []
            state, reason, cause = results.NOT_TESTABLE, f"needs {', '.join(missing)}", ""
        else:
            attempts, observations = self._attempts(planned, scratch_root)
            state, reason = self._concluded(planned, attempts[-1])
            cause = attempts[-1].cause if state == results.FAILED else ""
        after = self._fleet.disturbances()
        return {
            **self._identity(planned), **self._common,
            "state": state, "reason": reason, "cause": cause, "seed": planned.seed,
            "started": attempts[-1].started if attempts else time.time(),
            "seconds": attempts[-1].seconds if attempts else 0.0,
            "attempts": [self._shown(a) for a in attempts],
            "commands": attempts[-1].commands if attempts else [],
            "observations": observations,
            "paused_s": gap if gap > PAUSE_S else 0.0,
            **disturbances.between(before, after, attempts[-1].stood_still_s if attempts else 0.0),
            "overhead_s": time.monotonic() - begin - sum(a.seconds for a in attempts),
        }  # fmt: skip

    def _concluded(self, planned, last):
        """Return state and reason of a trial by its last attempt. A trial that failed because the host lost a
        capability says nothing about what was measured."""
        if last.outcome == "ok":
            return results.MEASURED, ""
        checked = self._look_again(self._experiment.capabilities(planned.cell))
        gone = {name: detail for name, (present, detail) in checked.items() if not present}
        self._present = self._common["capabilities"] = [name for name in self._present if name not in gone]
        if gone:
            lost = ", ".join(f"{name} ({detail})" for name, detail in gone.items())
            return results.NOT_TESTABLE, self._redactor.text(f"needs {lost}, which vanished during the run")
        return results.FAILED, self._redactor.text(last.message)

    def _look_again(self, names):
        """Return {capability: (present, detail)}, as found now where it is needed."""
        here = {name for name in names if probe.known(name).on_controller}
        return {**{name: probe.known(name).check() for name in here}, **self._fleet.has(set(names) - here)}

    def _identity(self, planned):
        cell = planned.cell
        return {
            "block": planned.block, "position": planned.position, "cell": cell.id, "twin": cell.twin,
            **dict(cell.levels),
        }  # fmt: skip

    def _attempts(self, planned, scratch_root):
        """Try up to `experiment.attempts` times. Returns the attempts, the last one decisive, and its observations."""
        attempts = []
        links = {role: self._fleet.links[host["name"]] for role, host in self._assigned.items()}
        for number in range(1, self._experiment.attempts + 1):
            found = attempt(
                self._experiment, planned.cell, planned.seed, self._scale, links,
                self._project.programs(self._experiment.name), scratch_root,
            )  # fmt: skip
            attempts.append(found)
            self._fetch(found)
            self._redact(found)
            if found.outcome == "ok":
                observations = self._checked(found)
                if found.outcome == "ok":
                    return attempts, observations
            self._check_room(found)
            self._keep_output(planned, number, found)
            message = self._redactor.text(found.message)
            self._report("attempt", block=self._block, cell=planned.cell.id, number=number, message=message)
        return attempts, []

    def _fetch(self, found):
        """Fetch what the attempt has left on remote hosts. Where a connection is lost, make it again first, but not
        after an attempt that succeeded: its trial is finished, whatever becomes of the host."""
        if found.outcome != "ok":
            self._restore()
        try:
            left = self._fleet.conclude(found.name)
        except HostLost:
            if found.outcome == "ok":
                self._lost = True
                return
            self._restore()
            left = self._fleet.conclude(found.name)
        for _, trial, kept in left:
            role = trial.rpartition(f"{found.name}-")[2]
            found.output += f"\n=== {role}\n{kept['output']}" if kept["output"] else ""
            found.shortage = found.shortage or kept["shortage"]
            found.stood_still_s = max(found.stood_still_s, kept["stood_still_s"])

    def _restore(self):
        self._lost = False
        for host in self._fleet.restore():
            self._report("reconnected", message=f'the connection to host "{host}" was lost and is made again')

    def _check_room(self, found):
        """An attempt that fails on a full disk ends the block: it says nothing about what was measured."""
        if shortage := found.shortage or room.shortage(self._folder) or room.told(found.message):
            raise room.NoRoom(f"{shortage}, and a trial failed; {room.NEXT_STEP}")

    def _checked(self, found):
        """Check the observations; one that breaks the schema makes the attempt a failed one."""
        described = self._experiment.describe()
        try:
            checked = [results.check_observation(described, observation) for observation in found.observations]
        except results.InvalidObservation as error:
            found.outcome, found.message = "failed", self._redactor.told(str(error))
            return []
        return [
            {name: self._redactor.told(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in checked
        ]

    def _redact(self, found):
        """Take this machine and its secrets out of what an attempt tells. Commands first: they show the secrets that
        programs repeat in their output, and other commands under a harmless name."""
        for command in found.commands:
            self._redactor.learn(command["argv"])
        for command in found.commands:
            command["argv"] = self._redactor.command(command["argv"])
        found.message = self._redactor.told(found.message)
        found.output = self._redactor.text(found.output)

    def _keep_output(self, planned, number, found):
        folder = self._folder / "failed"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"block{self._block:03d}-position{planned.position:03d}-attempt{number}.log"
        path.write_text(f"{planned.cell.id}\n{found.outcome}: {found.message}\n{found.output}")

    def _shown(self, found):
        return {key: getattr(found, key) for key in ("started", "seconds", "outcome", "message")}


def _of_the_machine(facts: dict) -> dict:
    """Return the facts that trials depend on. Which folder is for temporary files is no reason to measure again."""
    return {name: value for name, value in facts.items() if name != "environment"}

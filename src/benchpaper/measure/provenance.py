"""Where a block's results come from: its hosts, tools and code, and what its trials depend on."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.core.capabilities import CAPABILITIES, find_capability
from benchpaper.core.deployment import Software
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import revision
from benchpaper.design import catalog, inputs
from benchpaper.design.declarations import Cell, Scale
from benchpaper.design.plan import Plan, PlannedTrial
from benchpaper.design.spec import Experiment
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.presence import capabilities
from benchpaper.hosts.probed import ProbedSite
from benchpaper.hosts.site import HostEntry, Site, assign
from benchpaper.results import journal
from benchpaper.results.records import Origin

ENVIRONMENT = "environment"  # begins the names of environments among the tools


def is_environment(tool: str) -> bool:
    """Return whether a tool of a trial's record is an environment."""
    return tool == ENVIRONMENT or tool.startswith(f"{ENVIRONMENT} of ")


class Provenance:
    """What is known about a block before it is measured.

    `assigned` is {role: host}, and `present` holds the capabilities that the hosts have.
    """

    def __init__(
        self,
        project: Project,
        experiment: Experiment,
        plan: Plan,
        site: Site,
        probed: ProbedSite,
    ):
        self._project, self._experiment = project, experiment
        self._plan, self._site = plan, site.name
        self.assigned: dict[str, HostEntry] = assign(site, experiment.roles)
        self.environments = experiment.environments
        answers = capabilities(probed, self.assigned, CAPABILITIES, self.environments.roles_of())
        self.present = sorted(name for name, answer in answers.items() if answer.present)
        self._probed_by_role = {
            role: probed.host(host.name) for role, host in self.assigned.items()
        }
        self.sources = catalog.source_digests(project, experiment.name)
        self._tools = {**experiment.tools(), **self._environment_tools()}
        self.inputs = inputs.states(project, site.name, experiment.name, experiment.inputs)

    def _environment_tools(self) -> dict[str, str]:
        """Return {tool: version} of the environments: what each is on the hosts that have it."""
        texts = {
            role: f"{name} = {self._probed_by_role[role].capabilities[name].detail}"
            for role, name in self.environments.names.items()
            if name in self.present
        }
        if len(texts) == len(self.assigned) and len(set(texts.values())) == 1:
            return {ENVIRONMENT: next(iter(texts.values()))}
        return {f"{ENVIRONMENT} of {role}": text for role, text in texts.items()}

    def environments_on(self, fleet: Fleet) -> dict[str, Software]:
        """Return {role: its environment}, as far as the hosts have them.

        Raises `UserError` if one is another than it was when the hosts were probed.
        """
        named = {
            role: name for role, name in self.environments.names.items() if name in self.present
        }
        wanted: dict[str, set[str]] = {}
        for role, name in named.items():
            wanted.setdefault(self.assigned[role].name, set()).add(name)
        there = fleet.environments(wanted)
        software = {}
        for role, name in named.items():
            probed = self._probed_by_role[role].capabilities[name].detail
            here = there[self.assigned[role].name].get(name)
            if here is None or here.identity != probed:
                now = here.identity if here else "gone"
                raise UserError(
                    f"{self._experiment.name}: {name} was {probed} a moment ago, and is {now} now; "
                    "leave it alone, and run the same command again"
                )
            software[role] = here
        return software

    @property
    def places(self) -> dict[str, Path]:
        """{input: where it lies on this machine}."""
        return {state.input.path: state.place for state in self.inputs}

    @property
    def hidden_places(self) -> dict[str, str]:
        """{place outside the project: what stands for it in results}."""
        return {
            str(place): f"$INPUTS/{name}"
            for name, place in self.places.items()
            if not place.is_relative_to(self._project.root)
        }

    def check_inputs(self) -> None:
        """Raise `UserError` unless every input is there, as declared, and as it was before.

        The second holds for inputs without a declared digest: they may not change within a block.
        """
        then = self.inputs
        now = inputs.states(
            self._project, self._site, self._experiment.name, self._experiment.inputs
        )
        for before, state in zip(then, now, strict=True):
            if state.problem:
                raise UserError(f"{self._experiment.name}: {state.problem}")
            if state.digest != before.digest:
                raise UserError(
                    f"{self._experiment.name}: input {state.input.path} changed while it was used; "
                    "leave it alone, and run the same command again"
                )

    def origin(self) -> Origin:
        """Return what all records of the block share: the state of the checkout is that of now.

        Only the capabilities change while a block is measured.
        """
        code = revision(self._project)
        return Origin(
            experiment=self._experiment.name,
            site=self._site,
            scale=self._plan.scale,
            code_digest=catalog.combined(self.sources),
            plan_digest=self._plan.digest,
            tools=self._tools,
            hosts={
                f"{role}.{name}": str(value)
                for role, probed in self._probed_by_role.items()
                for name, value in probed.facts.items()
            },
            capabilities=tuple(self.present),
            git_commit=code.commit,
            git_clean=code.clean,
        )

    def missing(self, cell: Cell) -> list[str]:
        """Return the capabilities that a cell needs and the hosts lack."""
        return [name for name in self._experiment.capabilities(cell) if name not in self.present]

    def lose(self, names: Collection[str]) -> None:
        """Record that the hosts have lost capabilities."""
        self.present = [name for name in self.present if name not in names]

    def dependencies(
        self, block: int, planned: Sequence[PlannedTrial], scale: Scale
    ) -> dict[str, Any]:
        """Return what the block's trials depend on, as plain data: a change makes them stale.

        Capabilities that no cell needs do not count: to install LaTeX must not make trials stale.
        """
        needed = {name for trial in planned for name in self._experiment.capabilities(trial.cell)}
        for name in sorted(needed):
            self._check_capability(name)
        return {
            "sources": self.sources,
            "plan": {
                "digest": self._plan.digest,
                "seed": self._plan.seed,
                "blocks": self._plan.known_blocks,
            },
            "levels": _levels(planned),
            "block": block,
            "hosts": {
                role: [
                    journal.key(name=self.assigned[role].name),
                    probed.identity,
                ]
                for role, probed in self._probed_by_role.items()
            },
            "tools": self._tools,
            "capabilities": sorted(
                needed.intersection(self.present).difference(self.environments.names.values())
            ),
            "facts": {
                role: _of_machine(probed.facts) for role, probed in self._probed_by_role.items()
            },
            "counts": scale.counts,
            "schema": results.schema_version(self._experiment.describe()),
            **({"environments": dict(names)} if (names := self.environments.names) else {}),
            # Without inputs there is no such part: earlier trials stay valid.
            **({"inputs": {s.input.path: s.digest for s in self.inputs}} if self.inputs else {}),
        }

    def _check_capability(self, name: str) -> None:
        try:
            find_capability(name)
        except UserError as error:
            raise UserError(f"{self._experiment.name}: {error}") from None


def _levels(planned: Sequence[PlannedTrial]) -> dict[str, list[Any]]:
    """Return {factor: its levels in the planned trials}."""
    levels: dict[str, set[Any]] = {}
    for trial in planned:
        for factor, level in dict(trial.cell.levels).items():
            levels.setdefault(factor, set()).add(level)
    return {factor: sorted(values, key=str) for factor, values in levels.items()}


def _of_machine(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that trials depend on: another temporary folder makes no trial stale."""
    return {name: value for name, value in known.items() if name != "environment"}

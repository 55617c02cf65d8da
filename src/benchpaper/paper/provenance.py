"""`benchpaper explain`: from an exhibit back to the commands that measured it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from benchpaper import results
from benchpaper.analysis.changes import changed_since
from benchpaper.analysis.manifests import Exhibit, Manifest, ResultsFile
from benchpaper.core.errors import UserError, first_few, one_of
from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import UNKNOWN
from benchpaper.design.inputs import Input
from benchpaper.paper import labels
from benchpaper.paper.gather import all_exhibits, read_files
from benchpaper.results import accepted
from benchpaper.results.accepted import AcceptedChange
from benchpaper.results.import_record import ImportRecord, record_of
from benchpaper.results.records import Command

if TYPE_CHECKING:
    import pyarrow as pa

REMEDY = "measure again, or see benchpaper accept-change --help"


@dataclass(frozen=True)
class TrialOfCell:
    """A trial in the trail of its cell. `started` is a time with its zone, as text."""

    block: int
    position: int
    state: str
    reason: str
    seconds: float
    started: str


@dataclass(frozen=True)
class CellTrail:
    """A cell's trials in the order of blocks, and one of them in detail.

    That is the first measured trial, or without one the first: `commands_of_block` is its block.
    """

    cell: str
    trials: tuple[TrialOfCell, ...]
    commands_of_block: int
    commands: tuple[Command, ...]
    code_digest: str
    git_commit: str
    git_clean: bool
    tools: Mapping[str, str]

    @property
    def states(self) -> str:
        """How many trials ended in which state, as text."""
        counts = results.count_states(trial.state for trial in self.trials)
        return ", ".join(f"{count} {state}" for state, count in counts.items())

    @property
    def tool_versions(self) -> str:
        """The tools with their versions, as text."""
        return ", ".join(f"{tool} {version}" for tool, version in self.tools.items())


@dataclass(frozen=True)
class InputOfResults:
    """An input that trials read, by its path below the project, its digest, and its origin.

    `site` is empty for the site of the run.
    """

    path: str
    sha256: str
    origin: str
    licence: str
    site: str = ""

    @classmethod
    def of(cls, row: Mapping[str, Any], site: str = "") -> "InputOfResults":
        """Return the input that a description of a site's results names."""
        item = Input(row["path"], row["sha256"], row["url"], row["doi"], row["licence"])
        return cls(item.path, item.sha256, item.origin, item.licence, site)

    def __str__(self) -> str:
        site = f"site {self.site}" if self.site else ""
        more = ", ".join(filter(None, (self.origin, self.licence, site)))
        return f"{self.path}  sha256 {self.sha256[:16]}…" + (f"  ({more})" if more else "")


@dataclass(frozen=True)
class EnvironmentOfResults:
    """What a role's commands ran in: its name, what it was there, its packages; `site` as above."""

    role: str
    name: str
    identity: str
    contents: tuple[str, ...]
    site: str = ""

    def __str__(self) -> str:
        site = f"  (site {self.site})" if self.site else ""
        return f"{self.role} in {self.name}  {self.identity}{site}"


@dataclass(frozen=True)
class Trail:
    """Where an exhibit comes from: its notebook, data files, cells, trials, and commands.

    `says` is what the exhibit shows. `stale` means that the results have changed since. `changed`
    names the sources and inputs that changed since the trials were measured. The paths of `files`
    are below the project.
    """

    name: str
    kind: str
    says: str
    source: str
    stale: bool
    changed: tuple[str, ...]
    notebook: str
    metrics: tuple[str, ...]
    warnings: tuple[str, ...]
    files: tuple[ResultsFile, ...]
    inputs: tuple[InputOfResults, ...]
    environments: tuple[EnvironmentOfResults, ...]
    accepted: tuple[AcceptedChange, ...]
    cells: tuple[CellTrail, ...]
    imported: Mapping[str, Any] | None = None  # the record of the import, if others measured

    def to_json(self) -> dict[str, Any]:
        """Return the trail as plain data, with the names of the fields as keys."""
        return asdict(self)


def explain(project: Project, name: str, site: str, source: str) -> Trail:
    """Return the trail of an exhibit: its text, notebook, data files, cells, trials, commands.

    `name` is that of an exhibit or a label in the PDF. Each file has its digest; each cell has the
    commands of one of its trials. Raises `UserError` when the name is unknown or nothing is built.
    """
    build = project.build(site, source)
    exhibits = all_exhibits(build)
    if not exhibits:
        raise UserError(
            f"nothing is built in build/{build.name}; run ./reproduce figures (or --from reference)"
        )
    if labels.is_printed(name) or ":" in name:
        [name, *_] = labels.exhibits(project, build, name)
    if name == "claims":
        raise UserError(
            "that is the table of all claims; "
            "benchpaper claims shows each with its value and verdict"
        )
    one_of("exhibit", name, exhibits)
    exhibit, manifest = exhibits[name].exhibit, exhibits[name].manifest
    folder = project.results(site, build.name.removeprefix(f"{site}-"))
    trials = folder / manifest.experiment / results.TRIALS
    table, described = results.read(trials)
    trails = by_cell(table)
    stored = {other: _stored(project, other, manifest.experiment) for other in exhibit.elsewhere}
    trails_elsewhere = [
        replace(stored[other][0][cell], cell=f"{cell}, site {other}")
        for other, cells in exhibit.elsewhere.items()
        for cell in cells
    ]
    shown = {"": described} if exhibit.cells or not stored else {}
    shown |= {other: its for other, (_, its) in stored.items()}
    files = list(read_files(project, manifest, folder))
    return Trail(
        name=name,
        kind=exhibit.kind,
        says=str(exhibit),
        source=_source(manifest, exhibit),
        stale=any(results.file_digest(path) != file.sha256 for path, file in files),
        changed=tuple(changed_since(project, manifest.experiment, trials)),
        notebook=manifest.notebook,
        metrics=exhibit.metrics,
        warnings=exhibit.warnings,
        files=tuple(
            ResultsFile(str(path.relative_to(project.root)), file.sha256) for path, file in files
        ),
        inputs=tuple(item for at, its in shown.items() for item in inputs_of(its, at)),
        environments=tuple(item for at, its in shown.items() for item in environments_of(its, at)),
        accepted=tuple(accepted.read(trials.parent)),
        cells=(*(trails[cell] for cell in exhibit.cells), *trails_elsewhere),
        imported=manifest.imported,
    )


def inputs_of(described: Mapping[str, Any], site: str = "") -> tuple[InputOfResults, ...]:
    """Return the inputs that a description of a site's results names."""
    return tuple(InputOfResults.of(row, site) for row in described.get(results.INPUTS, ()))


def environments_of(
    described: Mapping[str, Any], site: str = ""
) -> tuple[EnvironmentOfResults, ...]:
    """Return the environments that a description of a site's results names."""
    return tuple(
        EnvironmentOfResults(e["role"], e["name"], e["identity"], tuple(e["contents"]), site)
        for e in described.get(results.ENVIRONMENTS, ())
    )


def _source(manifest: Manifest, exhibit: Exhibit) -> str:
    """Return which results an exhibit shows: those of the run, of other sites, or both."""
    own = [manifest.source] if exhibit.cells or not exhibit.elsewhere else []
    return ", next to ".join([*own, *(manifest.sites[site].source for site in exhibit.elsewhere)])


def _stored(
    project: Project, site: str, experiment: str
) -> tuple[dict[str, CellTrail], dict[str, Any]]:
    """Return ({cell: its trail}, description) of the stored results of a site."""
    path = project.results(site, REFERENCE) / experiment / results.TRIALS
    table, described = results.read(path)
    return by_cell(table), described


def by_cell(table: "pa.Table") -> dict[str, CellTrail]:
    """Return {cell: its trail} from a table of trials."""
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist(maps_as_pydicts="strict"):
        cells.setdefault(row["cell"], []).append(row)
    return {cell: _of_cell(cell, rows) for cell, rows in cells.items()}


def _of_cell(cell: str, rows: list[dict[str, Any]]) -> CellTrail:
    rows = sorted(rows, key=lambda row: row["block"])
    shown = next((row for row in rows if row["state"] in results.WITH_VALUES), rows[0])
    return CellTrail(
        cell=cell,
        trials=tuple(
            TrialOfCell(
                row["block"],
                row["position"],
                results.shown_state(row["state"], row["reason"]),
                row["reason"],
                row["seconds"],
                str(row["started"]),
            )
            for row in rows
        ),
        commands_of_block=shown["block"],
        commands=tuple(map(Command.from_json, shown["commands"])),
        code_digest=shown["code_digest"],
        git_commit=shown["git_commit"],
        git_clean=shown["git_clean"],
        tools=shown["tools"],
    )


def show(trail: Trail) -> None:
    """Print a trail."""
    metrics = f" ({', '.join(trail.metrics)})" if trail.metrics else ""
    print(f"{trail.kind} {trail.name}: {trail.says}")
    print(f"  from      {trail.source}")
    if trail.stale:
        print("  STALE     the results have changed since; run ./reproduce figures")
    if trail.changed:
        print(f"  STALE     {first_few(trail.changed)} changed since it was measured; {REMEDY}")
    print(f"  notebook  {trail.notebook}{metrics}")
    for warning in trail.warnings:
        print(f"  beware    of {warning}")
    for file in trail.files:
        print(f"  data      {file.path}  sha256 {file.sha256[:16]}…")
    for item in trail.inputs:
        print(f"  input     {item}")
    for environment in trail.environments:
        print(f"  runs      {environment}")
    for change in trail.accepted:
        print(f"  accepted  {change}")
    if record := record_of({"imported": trail.imported} if trail.imported else {}):
        _show_import(record)
    for cell in trail.cells:
        others = all(trial.state == results.IMPORTED for trial in cell.trials)  # at that site
        print(f"  cell      {cell.cell}: {cell.states}") if others else _show_cell(cell)


def _show_import(record: ImportRecord) -> None:
    print("  IMPORTED  others measured this; nothing of it was measured here")
    for name, text in record.trail.items():
        print(f"    {name.ljust(8)} {text}")


def _show_cell(trail: CellTrail) -> None:
    first, last = trail.trials[0], trail.trials[-1]
    changes = "perhaps with changes" if trail.git_commit == UNKNOWN else "with changes"
    clean = "clean" if trail.git_clean else changes
    commit, digest = trail.git_commit[:12], trail.code_digest[:16]
    print(f"  cell      {trail.cell}")
    print(f"    trials   {trail.states}, {first.started[:19]} to {last.started[:19]} UTC")
    print(f"    code     commit {commit} ({clean}), digest {digest}…")
    print(f"    tools    {trail.tool_versions}")
    for command in trail.commands:
        print(f"    command  {command}")

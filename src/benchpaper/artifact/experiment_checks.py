"""`benchpaper check FAMILY/NAME`: whether an experiment follows the rules of the framework.

Each check yields problems as those of `checklist` do: "what is wrong; what to do". The last check
measures at the quickest scale, because only a run can show that a declaration is true.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator

from benchpaper import results
from benchpaper.analysis import claims
from benchpaper.analysis.changes import changed_since
from benchpaper.analysis.stats import MIN_BLOCKS
from benchpaper.artifact import checklist, importing, paper_checks
from benchpaper.core import environment, settings
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import Project, slug
from benchpaper.core.revision import git, is_checkout
from benchpaper.design import catalog, inputs
from benchpaper.results.import_record import RECORD

MAX_REFERENCE_MB = 3.0
TIMEOUT_S = 600
EXHIBIT_CALLS = ("figure", "table", "number")


def declaration(project: Project, name: str) -> Iterator[str]:
    """It loads, and declares what every experiment declares."""
    experiment = catalog.load(project, name)
    experiment.describe()
    if experiment.is_imported:
        return
    if experiment.twin is None:
        lacking = (
            "no noise floor, and only a claim on deterministic values is ever decided"
            if experiment.block.has_levels
            else "nothing shows whether two identical cells differ"
        )
        yield f"it has no twin, so {lacking}; name the noisiest real cell: twin=dict(...)"
    for metric in experiment.metrics:
        if not metric.meaning and metric.kept == "all samples":
            yield (
                f'metric "{metric.name}" does not say what it spans; '
                'give its meaning ("until the data have arrived")'
            )
    if not experiment.evidence:
        yield (
            "no trial proves that it did its work; "
            "declare Evidence, and compare it with the cell before yielding"
        )
    scales = settings.scales(project.root)
    blocks = {scale: experiment.scale(scale).blocks for scale in scales.names}
    if blocks[scales.default] < MIN_BLOCKS:
        yield (
            f"{scales.default} has {blocks[scales.default]} blocks; "
            f"give it {MIN_BLOCKS}, or nothing is decided on a reviewer's machine"
        )
    if list(blocks.values()) != sorted(blocks.values()):
        yield f"blocks do not grow with the scale: {blocks}; use {' <= '.join(scales.names)}"


def cells(project: Project, name: str) -> Iterator[str]:
    """Its cells are valid at each scale, and need what can be probed."""
    experiment = catalog.load(project, name)
    if experiment.is_imported:
        return
    scales = settings.scales(project.root)
    full = {cell.id for cell in experiment.cells(scales.paper)}
    for scale in scales.names[:-1]:
        if extra := [cell.id for cell in experiment.cells(scale) if cell.id not in full]:
            yield (
                f'scale "{scale}" has the cell "{extra[0]}", which {scales.paper} lacks; '
                "the reference cannot be compared there"
            )
    for cell in experiment.cells(scales.paper):
        for need in experiment.capabilities(cell):
            find_capability(need)


def declared_inputs(project: Project, name: str) -> Iterator[str]:
    """Its inputs are here, have their digests, and others can get them."""
    declared = catalog.load(project, name).inputs
    for state in inputs.states(project, "local", name, declared):
        item = state.input
        if state.problem:
            yield state.problem
        elif not item.sha256:
            yield f'input {item.path} has no digest; declare sha256="{state.digest}"'
        if not item.licence:
            yield f"input {item.path} has no licence, so others may not use it; name its licence"
        if not item.origin and is_checkout(project) and not git(project, "ls-files", item.path):
            yield f"input {item.path} is not in git, and has no url or doi; say where others get it"


def imports(project: Project, name: str) -> Iterator[str]:
    """It imports neither analysis nor another experiment."""
    for path in sorted((project.experiments / name).rglob("*.py")):
        for line, module in _imported(path.read_text()):
            if module.split(".")[0] == "analysis" or _is_other_experiment(project, name, module):
                yield (
                    f"{path.relative_to(project.root)}:{line} imports {module}; "
                    "what experiments share lies in experiments/systems "
                    "or in the folder of their family"
                )


def _imported(code: str) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of each import."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def _is_other_experiment(project: Project, name: str, module: str) -> bool:
    parts = module.split(".")[1:] if module.startswith("experiments.") else []
    return any(
        parts[: len(other.split("/"))] == other.split("/")
        for other in catalog.names(project)
        if other != name
    )


def notebook(project: Project, name: str) -> Iterator[str]:
    """Its notebook takes parameters, saves exhibits, and starts nothing."""
    import nbformat

    path = project.notebook(name)
    where = path.relative_to(project.root)
    if not path.exists():
        yield f"it has no notebook; add {where}"
        return
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1 or not all(
        word in tagged[0].source for word in ("results_dir", "exhibits_dir")
    ):
        yield (
            f'{where} needs one cell with the tag "parameters" '
            "that sets results_dir = None and exhibits_dir = None"
        )
    source = "\n".join(cell.source for cell in code)
    if not any(f".{call}(" in source for call in EXHIBIT_CALLS):
        yield f"{where} saves no exhibit; save through Exhibits: exhibits.figure, .table, .number"
    for word in ("import subprocess", "os.system", "experiments.", "plt.savefig", ".savefig("):
        if word in source:
            yield f'{where} has "{word}"; a notebook reads results and saves through Exhibits alone'


def judged(project: Project, name: str) -> Iterator[str]:
    """At least one claim is decided by its data."""
    if not any(claim.experiment == name for claim in claims.load_claims(project)):
        yield f"no claim is about it; add one to analysis/claims_{name.split('/')[0]}.py"


def tested(project: Project, name: str) -> Iterator[str]:
    """A test names it."""
    folder = project.root / "tests"
    if not any(name.split("/")[-1] in path.read_text() for path in folder.rglob("*.py")):
        yield f"no test is about it; add tests/experiments/test_{slug(name)}.py"


def reference(project: Project, name: str) -> Iterator[str]:
    """Its reference results, if it has any, are small and come from this code.

    Imported ones follow from the recorded table by the recorded map.
    """
    for path in sorted((project.root / "artifacts" / "reference").glob(f"*/{name}/{RECORD}")):
        site = path.relative_to(project.root / "artifacts" / "reference").parts[0]
        if why := importing.flaw(project, site, catalog.load(project, name)):
            yield why
    for path in sorted((project.root / "artifacts" / "reference").glob(f"*/{name}/*.parquet")):
        if (size := path.stat().st_size / 1e6) > MAX_REFERENCE_MB:
            yield (
                f"{path.relative_to(project.root)} has {size:.1f} MB; "
                f"keep it below {MAX_REFERENCE_MB:g} MB (fewer samples, or distributions)"
            )
        if path.name == results.TRIALS and (changed := changed_since(project, name, path)):
            yield (
                f"{', '.join(changed[:2])} changed since the reference was measured; "
                f"measure again at scale {settings.scales(project.root).paper}, and adopt"
            )


def measures(project: Project, name: str) -> Iterator[str]:
    """Quickly, every cell is measured or lacks a named capability, and its notebook runs.

    Imported results are not measured, but their notebook runs.
    """
    scale = settings.scales(project.root).quickest
    command = [sys.executable, "-m", "benchpaper.cli.main", "run", name, "--scale", scale]
    done = subprocess.run(
        command,
        cwd=project.root,
        env=environment.of_snakemake(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        error = next(iter(paper_checks.error_lines(done)), "the run failed").strip()
        yield f"{error}; benchpaper run {name} --scale {scale} shows all"
        return
    table, _ = results.read(project.results("local", scale) / name / results.TRIALS)
    tools = table.column("tools").to_pylist(maps_as_pydicts="strict")
    for tool in sorted({tool for row in tools for tool in row}):
        if tool.startswith(inputs.UNDECLARED):
            yield f"{tool} was sent to a host; declare it: inputs=[Input(...)]"
    failed = [
        row
        for row in table.select(["cell", "state", "reason"]).to_pylist()
        if results.shown_state(row["state"], row["reason"]) == results.FAILED
    ]
    if failed:
        yield (
            f"{len(failed)} trials failed, the first ({failed[0]['cell']}): "
            f"{failed[0]['reason']}; correct it, then run with --retry-failed"
        )


Check = Callable[[Project, str], Iterator[str]]

CHECKS: tuple[Check, ...] = (
    declaration,
    cells,
    declared_inputs,
    imports,
    notebook,
    judged,
    tested,
    reference,
    measures,
)


def run(project: Project, name: str, slow: bool = True) -> list[checklist.Outcome]:
    """Return the outcome of all checks of an experiment; `measures` runs only if `slow`.

    Raises an error if the experiment does not exist or does not load.
    """
    catalog.load(project, name)
    return [
        (
            checklist.rule(check),
            _problems(project, name, check) if slow or check is not measures else None,
        )
        for check in CHECKS
    ]


def _problems(project: Project, name: str, check: Check) -> list[str]:
    return checklist.problems(project, lambda project: check(project, name))

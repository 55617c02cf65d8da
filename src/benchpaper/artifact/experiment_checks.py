"""`benchpaper check FAMILY/NAME`: whether one experiment keeps what the framework and the paper count on.

Each check yields problems, "what is wrong; what to do", as those of `checklist` do. The last one measures at scale
smoke, for what a declaration promises only a run can show.
"""

import ast
import subprocess
import sys

from benchpaper import results
from benchpaper.analysis import claims
from benchpaper.analysis.changes import changed_since
from benchpaper.core import environment
from benchpaper.core.capabilities import find_capability
from benchpaper.core.project import slug
from benchpaper.design import catalog

LEAST_QUICK = 5  # blocks: the fewest that make an interval
LARGEST_MB = 3.0
TIMEOUT_S = 600
EXHIBIT_CALLS = ("figure", "table", "number")


def declaration(project, name):
    """It loads, and declares what every experiment declares."""
    experiment = catalog.load(project, name)
    experiment.describe()
    if experiment.twin is None:
        yield "it has no twin, so no noise floor, and no claim is ever decided; name the noisiest cell: twin=dict(...)"
    for metric in experiment.metrics:
        if not metric.meaning and metric.kept == "all samples":
            yield f'metric "{metric.name}" does not say what it spans; give its meaning ("until the data have arrived")'
    if not experiment.evidence:
        yield "no trial proves itself; declare Evidence, and compare it with what was asked before yielding"
    blocks = {scale: experiment.scale(scale).blocks for scale in experiment.scales}
    if blocks["quick"] < LEAST_QUICK:
        yield (
            f"quick has {blocks['quick']} blocks; give it {LEAST_QUICK}, or nothing is decided on a reviewer's machine"
        )
    if not blocks["smoke"] <= blocks["quick"] <= blocks["full"]:
        yield f"blocks do not grow with the scale: {blocks}; smoke at most quick at most full"


def cells(project, name):
    """Its cells are valid at each scale, and need what can be probed."""
    experiment = catalog.load(project, name)
    full = {cell.id for cell in experiment.cells("full")}
    for scale in ("smoke", "quick"):
        if extra := [cell.id for cell in experiment.cells(scale) if cell.id not in full]:
            yield (
                f'scale "{scale}" has the cell "{extra[0]}", which full has not; the reference cannot be compared there'
            )
    for cell in experiment.cells("full"):
        for need in experiment.capabilities(cell):
            find_capability(need)


def imports(project, name):
    """It imports neither analysis nor another experiment."""
    for path in sorted((project.experiments / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for module in modules:
                if module.split(".")[0] == "analysis" or _another(project, name, module):
                    where = path.relative_to(project.root)
                    yield (
                        f"{where}:{node.lineno} imports {module}; what experiments share lies in "
                        "experiments/systems or in the folder of their family"
                    )


def _another(project, name, module):
    parts = module.split(".")[1:] if module.startswith("experiments.") else []
    return any(
        parts[: len(other.split("/"))] == other.split("/")
        for other in catalog.names(project)
        if other != name
    )


def notebook(project, name):
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
        yield f'{where} needs one cell with the tag "parameters" that sets results_dir = None and exhibits_dir = None'
    source = "\n".join(cell.source for cell in code)
    if not any(f".{call}(" in source for call in EXHIBIT_CALLS):
        yield f"{where} saves no exhibit; save through Exhibits: exhibits.figure, .table, .number"
    for word in ("import subprocess", "os.system", "experiments.", "plt.savefig", ".savefig("):
        if word in source:
            yield f'{where} has "{word}"; a notebook reads results and saves through Exhibits alone'


def judged(project, name):
    """At least one claim is decided by its data."""
    if not any(claim.experiment == name for claim in claims.load_claims(project)):
        yield f"no claim is about it; add one to analysis/claims_{name.split('/')[0]}.py"


def tested(project, name):
    """A test names it."""
    folder = project.root / "tests"
    if not any(name.split("/")[-1] in path.read_text() for path in folder.rglob("*.py")):
        yield f"no test is about it; add tests/experiments/test_{slug(name)}.py"


def reference(project, name):
    """Its reference results, where there are some, are small and of this code."""
    for path in sorted((project.root / "artifacts" / "reference").glob(f"*/{name}/*.parquet")):
        if (size := path.stat().st_size / 1e6) > LARGEST_MB:
            yield (
                f"{path.relative_to(project.root)} has {size:.1f} MB; keep it below {LARGEST_MB:g} MB (fewer "
                "samples, or distributions)"
            )
        if path.name == results.TRIALS and (changed := changed_since(project, name, path)):
            yield (
                f"{', '.join(changed[:2])} changed since the reference was measured; measure again at scale "
                "full, and adopt"
            )


def measures(project, name):
    """At scale smoke every cell is measured or says which capability it lacks, and its notebook runs on that."""
    command = [sys.executable, "-m", "benchpaper.cli.main", "run", name, "--scale", "smoke"]
    done = subprocess.run(
        command,
        cwd=project.root,
        env=environment.of_snakemake(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    words = [
        line.strip()
        for line in (done.stdout + done.stderr).splitlines()
        if "FAILED" in line or line.startswith("benchpaper:")
    ]
    if done.returncode:
        yield f"{(words or ['the run failed'])[0]}; benchpaper run {name} --scale smoke shows all"
        return
    table, _ = results.read(project.results("local", "smoke") / name / results.TRIALS)
    failed = [
        row
        for row in table.select(["cell", "state", "reason"]).to_pylist()
        if row["state"] == results.FAILED
    ]
    if failed:
        yield (
            f"{len(failed)} trials failed, the first ({failed[0]['cell']}): {failed[0]['reason']}; mend it, "
            "then run with --retry-failed"
        )


CHECKS = (declaration, cells, imports, notebook, judged, tested, reference, measures)


def run(project, name, slow=True):
    """Return [(what is asked, problems)] of all checks of an experiment."""
    from benchpaper.artifact import checklist

    catalog.load(
        project, name
    )  # an unknown name, or one that does not load, is told as it always is
    found = []
    for check in CHECKS:
        asked = " ".join(check.__doc__.split())
        skip = check is measures and not slow
        found.append(
            (
                asked,
                None
                if skip
                else checklist.problems(project, lambda p, check=check: check(p, name)),
            )
        )
    return found

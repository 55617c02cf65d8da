"""The checks of the checklist that look at the paper, its experiments, and how it is rebuilt.

A check is a function of the project that yields its problems, each as "what is wrong; what to do".
Its docstring is what `benchpaper check` and the appendix print.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchpaper import results
from benchpaper.analysis import claims
from benchpaper.analysis.exhibits import NOTHING_ASKED
from benchpaper.core import environment, settings
from benchpaper.core.errors import did_you_mean
from benchpaper.core.project import GATHERED, REFERENCE, Project, slug
from benchpaper.core.revision import git, is_checkout, known_revision, revision
from benchpaper.design import catalog
from benchpaper.paper import gather, latex

CLAIM_USE = re.compile(r"\\claim(?:verdict|why|mark|written)?\{([^}]*)\}")
CLAIM_TABLE = re.compile(r"\\(claim|finding|check)stable\b")
TIMEOUT_S = 900


def linked_claims(project: Project) -> Iterator[str]:
    """Each claim is in the paper and has an experiment; each claim that the paper names exists."""
    made = {claim.id: claim.kind for claim in claims.load_claims(project)}
    texts = {
        path: "\n".join(latex.COMMENT.split(line)[0] for line in path.read_text().splitlines())
        for path in sorted(project.paper.rglob("*.tex"))
    }
    tables = {kind for text in texts.values() for kind in CLAIM_TABLE.findall(text)}
    used = {name: path for path, text in texts.items() for name in CLAIM_USE.findall(text)}
    for name in sorted(set(made) - set(used)):
        if not tables & {"claim", made[name]}:
            yield f"claim {name} is nowhere in the paper; add \\claim{{{name}}} or \\claimstable"
    for name in sorted(set(used) - set(made)):
        if not name.startswith("#"):
            yield (
                f'{used[name].relative_to(project.root)} names claim "{name}", which is not '
                f"made{did_you_mean(name, made, 'make it')}"
            )


def whole_experiments(project: Project) -> Iterator[str]:
    """Each experiment has a notebook, reference results, a claim and a test."""
    judged = {claim.experiment for claim in claims.load_claims(project)}
    folder = project.root / "tests"
    tests = "".join(path.read_text() for path in folder.rglob("*.py")) if folder.is_dir() else ""
    for name in catalog.names(project):
        if not project.notebook(name).exists():
            yield f"{name} has no notebook; add analysis/{slug(name)}.ipynb"
        if not any(project.results("*", REFERENCE).parent.glob(f"*/{name}/{results.TRIALS}")):
            yield (
                f"{name} has no reference results; "
                f"measure at scale {settings.scales(project.root).paper}, "
                f"then benchpaper adopt {name}"
            )
        if name not in judged:
            yield (
                f"{name} has no claim; "
                f"say in analysis/claims_{name.split('/')[0]}.py what its data can decide"
            )
        if name.split("/")[-1] not in tests:
            yield f"{name} is in no test; add one to tests/experiments/"


def committed(project: Project) -> Iterator[str]:
    """All that is here is committed."""
    if not is_checkout(project):
        return
    state = revision(project)
    if state.why:
        yield state.why
    elif not state.clean:
        yield "the work tree has uncommitted changes; commit them, or a reader has something else"


def trails(project: Project) -> Iterator[str]:
    """Every exhibit of the paper has a trail to the results that lie here."""
    builds = sorted(project.build("x", "y").parent.glob(f"*-{REFERENCE}"))
    if not builds or not (builds[0] / GATHERED).exists():
        yield (
            "nothing is built from the reference, so nothing has a trail yet; "
            "run ./reproduce --from reference"
        )
        return
    build = builds[0]
    folder = project.results(build.name.removesuffix(f"-{REFERENCE}"), REFERENCE)
    exhibits = gather.all_exhibits(build)
    for place, _, name in latex.uses(project.paper, exhibits):
        if name not in exhibits and name != "claims":
            yield f'{place} uses "{name}", which no notebook saves; save it, or take it out'
        elif name in exhibits and (problem := _trail_problem(project, folder, exhibits[name])):
            yield f'"{name}" ({place}): {problem}'


def _trail_problem(project: Project, folder: Path, saved: gather.Gathered) -> str:
    """Return what is wrong with the trail of an exhibit; empty if nothing is."""
    notebook = saved.manifest.notebook
    if not (project.root / notebook).exists():
        return f"its notebook {notebook} is gone; run ./reproduce --from reference"
    for path, file in gather.read_files(project, saved.manifest, folder):
        if not path.exists() or results.file_digest(path) != file.sha256:
            return f"it was made from another {file.path}; run ./reproduce --from reference"
    if saved.exhibit.cells or saved.exhibit.elsewhere or saved.exhibit.kind == "number":
        return ""
    if saved.exhibit.missing not in ("", NOTHING_ASKED):
        return ""  # a gap that says why it is one shows nothing that a trail could explain
    return "it names no cells of the results; pass the estimates that it was made from"


def clean_clone(project: Project) -> Iterator[str]:
    """A clean clone rebuilds the paper from the reference results; a second run changes nothing."""
    if not is_checkout(project):
        yield "this is no git checkout, so it cannot be cloned; run the check in one"
        return
    known_revision(project)
    with tempfile.TemporaryDirectory(prefix="benchpaper-clone-") as folder:
        clone = Project(Path(folder) / "clone")
        git(project, "clone", "-q", "--no-hardlinks", str(project.root), str(clone.root))
        times = []
        for ordinal in ("first", "second"):
            if error := _build_error(clone):
                yield (
                    f"the {ordinal} run in a clean clone fails: {error}; "
                    "is something not committed?"
                )
                return
            built = clone.build("local", REFERENCE).rglob("*.p[dn][fg]")
            times.append({path: path.stat().st_mtime_ns for path in built})
        if times[0] != times[1]:
            yield (
                "a second run in the clone built something again; "
                "declare the step's inputs and outputs (see the Snakefile)"
            )
        if status := git(clone, "status", "--porcelain").strip():
            yield (
                f"a run leaves changes in the checkout ({status.splitlines()[0]}); "
                "write to build/ or results/, which git ignores"
            )


def _build_error(clone: Project) -> str:
    """Build the paper, or without LaTeX the figures; return the first error, or an empty text."""
    target = "paper" if shutil.which("latexmk") else "figures"
    done = subprocess.run(
        [sys.executable, "-m", "benchpaper.cli.main", "run", "--from", REFERENCE, target],
        cwd=clone.root,
        env={
            **environment.of_snakemake(),
            "BENCHPAPER_PROJECT": str(clone.root),
            **environment.of_code(clone.root / "src"),
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    if not done.returncode:
        return ""
    return next(iter(error_lines(done)), "it said nothing")


def error_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines of `benchpaper run` that name an error."""
    return [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if "FAILED" in line or line.startswith("benchpaper:")
    ]

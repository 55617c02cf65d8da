"""`benchpaper check`: what an artifact committee looks for, each as one line with the remedy.

A check is a function of the project that yields its problems, each a text "what is wrong; what to do". Those of
`BADGES` are cheap and ask only the files; they also stand in the appendix.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchpaper import bundle, catalog, claims, results, typeset
from benchpaper.environment import of_code
from benchpaper.errors import UserError, did_you_mean
from benchpaper.pipeline import environment
from benchpaper.project import GATHERED, REFERENCE, Project, slug
from benchpaper.revision import git, is_checkout, known_revision, revision

LARGEST_FILE = 5_000_000
OWN_PATH = re.compile(r"(?<![\w./$])/(?:home|Users|root|mnt|scratch)/[\w.\-]+")
HOST = re.compile(r"https?://|--(?:extra-)?index-url|--find-links", re.I)
CLAIM_USE = re.compile(r"\\claim(?:verdict|why)?\{([^}]*)\}")
AUTHOR = {"name", "family-names", "given-names", "alias"}  # of these CFF wants one
TIMEOUT_S = 900


def readme(project):
    """There is a README that says how to run it."""
    path = project.root / "README.md"
    if not path.exists():
        yield "there is no README.md; write one: what it is, the commands, how long they take"
    elif "./reproduce" not in path.read_text() and (project.root / "reproduce").exists():
        yield "README.md does not name ./reproduce; say there how to run everything"


def licence(project):
    """There is a licence, and the metadata say the same one."""
    if not (project.root / "LICENSE").exists():
        yield "there is no LICENSE; add its text"
    cited = _cited(project).get("license")
    path = project.root / "pyproject.toml"
    declared = re.search(r'^license\s*=\s*"([^"]+)"', path.read_text(), re.M) if path.exists() else None
    if declared and cited and declared[1] != cited:
        yield f"pyproject.toml says {declared[1]}, CITATION.cff {cited}; make them one"


def citation(project):
    """CITATION.cff has what CFF 1.2.0 requires."""
    if not (project.root / "CITATION.cff").exists():
        yield "there is no CITATION.cff; add one, so that the artifact can be cited"
        return
    cited = _cited(project)
    for name in ("cff-version", "message", "title", "authors"):
        if not cited.get(name):
            yield f"CITATION.cff lacks {name}, which CFF requires; add it"
    for author in cited.get("authors") or []:
        if not isinstance(author, dict) or not AUTHOR.intersection(author):
            yield "CITATION.cff: an author has no name; give family-names and given-names, or name"


def _cited(project):
    path = project.root / "CITATION.cff"
    try:
        return yaml.safe_load(path.read_text()) or {} if path.exists() else {}
    except yaml.YAMLError:
        return {}


def lock(project):
    """Every package is locked with hashes, from no named host."""
    path = project.root / "requirements.lock"
    if not path.exists():
        yield "there is no requirements.lock; make it with uv pip compile --generate-hashes --universal"
        return
    text = path.read_text()
    if found := HOST.search(text):
        yield f"requirements.lock names a host ({found.group()}); leave it to the user's pip where packages come from"
    pins = re.split(r"\n(?=[A-Za-z0-9])", text)
    for pin in pins:
        if re.match(r"[A-Za-z0-9]", pin) and "--hash=sha256:" not in pin:
            yield f"requirements.lock: {pin.split()[0]} has no hash; compile it with --generate-hashes"
    declared = project.root / "pyproject.toml"
    locked = {_package(pin) for pin in pins}
    listed = re.search(r"^dependencies = \[(.*?)^\]", declared.read_text(), re.M | re.S) if declared.exists() else None
    for name in re.findall(r'^\s*"([A-Za-z0-9_.\-]+)', listed[1] if listed else "", re.M):
        if _package(name) not in locked:
            yield f"{name} is in pyproject.toml but not in requirements.lock; compile the lock again"


def _package(text):
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9_.\-]*", text)[0]).lower()


def linked_claims(project):
    """Each claim is in the paper and has an experiment; each claim that the paper names exists."""
    made = {claim.id for claim in claims.load_claims(project)}
    texts = {path: typeset.COMMENT.sub("", path.read_text()) for path in sorted(project.paper.rglob("*.tex"))}
    whole = any(r"\claimstable" in text for text in texts.values())
    used = {name: path for path, text in texts.items() for name in CLAIM_USE.findall(text)}
    for name in sorted(made - set(used)):
        if not whole:
            yield f"claim {name} is nowhere in the paper; add \\claim{{{name}}} or \\claimstable"
    for name in sorted(set(used) - made):
        if not name.startswith("#"):
            yield (
                f'{used[name].relative_to(project.root)} names claim "{name}", which is not '
                f"made{did_you_mean(name, made)}; make it"
            )


def whole_experiments(project):
    """Each experiment has a notebook, reference results, a claim and a test."""
    judged = {claim.experiment for claim in claims.load_claims(project)}
    tests = (
        "".join(path.read_text() for path in (project.root / "tests").rglob("*.py"))
        if (project.root / "tests").is_dir()
        else ""
    )
    for name in catalog.names(project):
        if not project.notebook(name).exists():
            yield f"{name} has no notebook; add analysis/{slug(name)}.ipynb"
        if not any(project.results("*", REFERENCE).parent.glob(f"*/{name}/{results.TRIALS}")):
            yield f"{name} has no reference results; measure at scale full, then benchpaper adopt {name}"
        if name not in judged:
            yield f"{name} has no claim; say in analysis/claims_{name.split('/')[0]}.py what its data can decide"
        if name.split("/")[-1] not in tests:
            yield f"{name} is in no test; add one to tests/experiments/"


def absolute_paths(project):
    """No text names a folder of one machine (tests may: they plant some)."""
    for name in tracked(project):
        if name.startswith("tests/"):
            continue
        data = (project.root / name).read_bytes()
        if b"\0" in data[:4096]:
            continue
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            if str(project.root) in line or OWN_PATH.search(line):
                yield f"{name}:{number} has an absolute path of one machine; make it relative"
                break


def small_files(project):
    """No file is too large for a repository."""
    for name in tracked(project):
        if (size := (project.root / name).stat().st_size) > LARGEST_FILE:
            yield f"{name} has {size / 1e6:.1f} MB; keep files below {LARGEST_FILE / 1e6:g} MB"


def committed(project):
    """All that is here is committed."""
    if not is_checkout(project):
        return
    state = revision(project)
    if state.why:
        yield state.why
    elif not state.clean:
        yield "the work tree has uncommitted changes; commit them, or a reader has something else"


def trails(project):
    """Every exhibit of the paper has a trail to the results that lie here."""
    builds = sorted(project.build("x", "y").parent.glob(f"*-{REFERENCE}"))
    if not builds or not (builds[0] / GATHERED).exists():
        yield "nothing is built from the reference, so nothing has a trail yet; run ./reproduce --from reference"
        return
    build = builds[0]
    folder = project.results(build.name.removesuffix(f"-{REFERENCE}"), REFERENCE)
    exhibits = typeset.all_exhibits(build)
    for where, _, name in typeset.uses(project.paper):
        if name not in exhibits and name != "claims":
            yield f'{where} uses "{name}", which no notebook saves; save it, or take it out'
        elif name in exhibits and (problem := _trail(project, folder, exhibits[name])):
            yield f'"{name}" ({where}): {problem}'


def _trail(project, folder, entry):
    if not (project.root / entry["notebook"]).exists():
        return f"its notebook {entry['notebook']} is gone; run ./reproduce --from reference"
    for about in entry["files"].values():
        path = folder / about["path"]
        if not path.exists() or results.file_digest(path) != about["sha256"]:
            return f"it was made from another {about['path']}; run ./reproduce --from reference"
    return (
        ""
        if entry["cells"] or entry["kind"] == "number"
        else "it names no cells of the results; pass the estimates that it was made from"
    )


def clean_clone(project):
    """A clean clone rebuilds the paper from the reference results, and doing so twice does nothing more."""
    if not is_checkout(project):
        yield "this is no git checkout, so it cannot be cloned; run the check in one"
        return
    known_revision(project)
    with tempfile.TemporaryDirectory(prefix="benchpaper-clone-") as folder:
        clone = Project(Path(folder) / "clone")
        git(project, "clone", "-q", "--no-hardlinks", str(project.root), str(clone.root))
        target = ["paper"] if shutil.which("latexmk") else ["figures"]
        command = [sys.executable, "-m", "benchpaper.cli", "run", "--from", REFERENCE, *target]
        env = {**environment(), "BENCHPAPER_PROJECT": str(clone.root), **of_code(clone.root / "src")}
        stamps = []
        for time in ("first", "second"):
            done = subprocess.run(command, cwd=clone.root, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)
            if done.returncode:
                last = [
                    line
                    for line in (done.stdout + done.stderr).splitlines()
                    if "FAILED" in line or line.startswith("benchpaper:")
                ]
                yield (
                    f"the {time} run in a clean clone fails: {(last or ['it said nothing'])[0]}; is something "
                    "not committed?"
                )
                return
            stamps.append(
                {path: path.stat().st_mtime_ns for path in clone.build("local", REFERENCE).rglob("*.p[dn][fg]")}
            )
        if stamps[0] != stamps[1]:
            yield (
                "a second run in the clone built something again; declare the step's inputs and outputs (see "
                "the Snakefile)"
            )
        if status := git(clone, "status", "--porcelain").strip():
            yield (
                f"a run leaves changes in the checkout ({status.splitlines()[0]}); write to build/ or "
                "results/, which git ignores"
            )


def tracked(project):
    """The names of the project's own files: those that git tracks, or an unpacked bundle lists, so that both give the
    same appendix; all files where neither is, or git refuses."""
    if not revision(project).why:
        return bundle.sources(project)
    kept = (".git", "build", "results", ".benchpaper", ".snakemake", ".venv")
    paths = (path.relative_to(project.root) for path in project.root.rglob("*") if path.is_file())
    return [path.as_posix() for path in paths if path.parts[0] not in kept and "__pycache__" not in path.parts]


FILES = (readme, licence, citation, lock, linked_claims, whole_experiments, absolute_paths, small_files)
ALL = (*FILES, committed, trails)
SLOW = (clean_clone,)
BADGES = {
    "Available": (licence, citation), "Functional": (readme, lock, absolute_paths), "Reproduced": (linked_claims,),
}  # fmt: skip


def problems(project, check):
    """Return what a check finds, as a list; a mistake that stops the check is one of them."""
    try:
        return list(check(project))
    except UserError as error:
        return [str(error)]


def run(project, slow=True):
    """Return [(what is asked, problems)] of all checks; `None` for problems that were not looked for."""
    found = [(_asked(check), problems(project, check)) for check in ALL]
    return found + [(_asked(check), problems(project, check) if slow else None) for check in SLOW]


def badges(project):
    """Return [{name, criteria: [(what is asked, the first problem or "")]}] for the appendix."""
    return [
        {
            "name": name,
            "criteria": [
                (_asked(check).rstrip("."), next(iter(problems(project, check)), "").split(";")[0]) for check in checks
            ],
        }
        for name, checks in BADGES.items()
    ]


def _asked(check):
    return " ".join(check.__doc__.split())


def show(found):
    """Print a line for each check, with its first problems; returns whether all hold."""
    for asked, wrong in found:
        if wrong is None:
            print(f"  --    {asked} (not checked: leave out --fast)")
        for problem in wrong or []:
            print(f"  FAIL  {problem}")
        if wrong == []:
            print(f"  ok    {asked}")
    return not any(wrong for _, wrong in found)


def as_json(found):
    return json.dumps([{"asked": asked, "problems": wrong} for asked, wrong in found], indent=1)

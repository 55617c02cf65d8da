"""A power cut damages files that looked finished: the next run notices, and makes them again."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import small_project
from checkout import ROOT
from damages import DAMAGES, damage, files
from toy_runs import HEAD, begun, notebook

from benchpaper import results
from benchpaper.core.project import Project
from benchpaper.results import journal
from benchpaper.workflow import completeness
from benchpaper.workflow import damage as damages
from benchpaper.workflow.pipeline import Pipeline

pytestmark = pytest.mark.slow

CELLS, BLOCKS = ["a", "b", "c"], 2
EXHIBITS = """
from matplotlib.figure import Figure
summary = results.summary("latency_us")
def draw(frame):
    figure = Figure()
    figure.subplots().bar(frame["way"], frame["value"])
    return figure
exhibits.figure("latency", draw, summary)
exhibits.table("latencies", summary.measured[["way"]], [summary])
exhibits.number("latency-a", results.estimate("latency_us", way="a"))
"""
CLAIM = '''
from benchpaper import claim

@claim("C1", experiment="toy/one")
def fast(results):
    """It is fast."""
    return results.estimate("latency_us", way="a").below(2.0)
'''
FIGURES = ("run", "figures", "--scale", "smoke")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A project that was measured and drawn once; each test leaves it whole again."""
    root = tmp_path_factory.mktemp("whole") / "project"
    for folder in ("analysis", "sites", "paper", "artifacts", "experiments/toy/one"):
        (root / folder).mkdir(parents=True)
    for name in ("Snakefile", "profiles", "src"):
        (root / name).symlink_to(ROOT / name)
    text = HEAD.format(levels=CELLS, blocks=BLOCKS, attempts=1, timeout_s=20, more="")
    (root / "experiments/toy/one/experiment.py").write_text(
        text + "    yield dict(latency_us=1.0)\n"
    )
    (root / "analysis/toy_one.ipynb").write_text(notebook(EXHIBITS))
    (root / "analysis/claims.py").write_text(CLAIM)
    command = [Path(sys.executable).with_name("benchpaper"), *FIGURES]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return Project(root)


def drawn(project):
    """Return what the exhibits show: the files' bytes, and the manifest without its digests."""
    build = project.build("local", "smoke")
    shown = {
        path.name: path.read_bytes()
        for path in (*build.glob("exhibits/*/*"), *build.glob("*.tex"), build / "verdicts.json")
        if path.suffix != ".json" or path.name == "verdicts.json"
    }
    for path in build.glob("exhibits/*/exhibits.json"):
        shown[path.name] = json.loads(path.read_text())["exhibits"]
    # The warnings tell how busy the machine was.
    for entry in shown["exhibits.json"].values():
        del entry["warnings"]
    return shown


def started(project):
    """Return {(block, cell): when its trial began} of the collected trials."""
    folder = project.results("local", "smoke") / "toy/one"
    rows = results.read(folder / results.TRIALS)[0].to_pylist()
    return {(row["block"], row["cell"]): row["started"] for row in rows}


def held(project):
    """Return the (block, cell) of the trials that a journal or whole files of results hold."""
    folder, kept = project.results("local", "smoke") / "toy/one", set()
    kinds = (results.OBSERVATIONS, results.TRIALS)
    for block in range(BLOCKS):
        for path in folder.glob(f"journal/{block:03d}-*.jsonl"):
            kept |= {(block, entry.cell) for entry in journal.entries(path)}
        blocks = [results.block_file(folder, block, kind) for kind in kinds]
        for both in (blocks, [folder / kind for kind in kinds]):
            with contextlib.suppress(results.ResultsError):
                kept |= {(block, record.cell) for record in results.records_of(both, block)}
    return kept


@pytest.mark.parametrize("turn", range(3))
def test_the_next_run_makes_damaged_files_again(whole, run_benchpaper, turn):
    """Two thirds of all files are damaged at once; over the turns each file in two ways."""
    exhibits, trials, measured = drawn(whole), started(whole), Counter(begun(whole))
    paths, kinds = files(whole), list(DAMAGES)
    for number, path in enumerate(paths):
        if number % 3 != turn:
            damage(path, kinds[(number + turn) % 3])
    lost = set(trials) - held(whole)
    done = run_benchpaper(whole, *FIGURES)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Traceback" not in said, said
    assert "not to be trusted, so made again: " in said, said
    assert drawn(whole) == exhibits
    again = started(whole)
    assert {trial for trial in trials if again[trial] != trials[trial]} == lost
    assert (Counter(begun(whole)) - measured).total() == len(lost)
    run = Pipeline(whole, "local", "smoke", 1)
    assert not damages.find(run, ["toy/one"])
    assert not completeness.flaws(whole, "local", "smoke", ["toy/one"])


def test_lost_trials_are_measured_again_and_only_these(whole, run_benchpaper):
    """The journal of a block loses a trial, and all files that hold it are damaged too."""
    trials, folder = started(whole), whole.results("local", "smoke") / "toy/one"
    (path,) = folder.glob("journal/001-*.jsonl")
    path.write_bytes(path.read_bytes()[:-20])
    for file in (*folder.glob("blocks/001.*"), *folder.glob("*.parquet")):
        damage(file, "zeroed tail")
    lost = set(trials) - held(whole)
    assert len(lost) == 1
    done = run_benchpaper(whole, *FIGURES)
    assert done.returncode == 0, done.stdout + done.stderr
    again = started(whole)
    assert {trial for trial in trials if again[trial] != trials[trial]} == lost


@pytest.mark.parametrize("others", ["*.parquet", "blocks/*"])
def test_a_lost_journal_comes_back_from_the_results(whole, others):
    """They come back from the blocks' files or from the collected ones, whichever are whole."""
    folder = whole.results("local", "smoke") / "toy/one"
    kept = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    for path in (*folder.glob("journal/*"), *folder.glob(others)):
        path.unlink()
    run = Pipeline(whole, "local", "smoke", 1)
    assert damages.restore(run, "toy/one") == [
        f"toy/one: restored {len(CELLS) * BLOCKS} trials to the journal from the results"
    ]
    assert not damages.restore(run, "toy/one")
    journals = [path for path in kept if path.suffix == ".jsonl"]
    assert [journal.finished(path) for path in journals] == [len(CELLS)] * BLOCKS
    for path, data in kept.items():
        path.write_bytes(data)


# No later run trusts these: they are made anew each time, or only people read them. The journals
# and the caches have tests of their own.
NOT_TRUSTED = (
    "results/*/*/*/*/journal/*",
    ".benchpaper/*",
    ".benchpaper/logs/**/*",
    ".benchpaper/home/**/*",
    ".benchpaper/cache/**/*",
    ".benchpaper/inputs/*",  # digests; one that cannot be read is computed again
    ".snakemake/log/*",
    ".snakemake/incomplete/**/*",
    "build/*/compare/*",  # drawn anew by each report and comparison
    "build/*/report-source/**/*",
    "build/*/jupyter_execute/*",
    "build/*/latex/*",
    "build/*/.sha256/latex",
    "build/programs/**/*",
)

# An archive holds neither of them, nor their checksums.
NOT_BUNDLED = re.compile(r"/report/|/bundle\.zip$|/\.sha256/(pages|pack)$")


@pytest.fixture(scope="module")
def complete(small, run_benchpaper, tmp_path_factory):
    """A copy of the small project, with paper, report, and archive, that may be changed."""
    root = tmp_path_factory.mktemp("complete") / "project"
    shutil.copytree(small.root, root, symlinks=True)
    packed = run_benchpaper(Project(root), "bundle", "--scale", "smoke")
    assert packed.returncode == 0, packed.stderr
    return Project(root)


@pytest.mark.parametrize("kind", DAMAGES)
def test_each_damaged_file_is_noticed_and_never_bundled(complete, kind):
    run = Pipeline(complete, "local", "smoke", 1)
    place, names = (complete, "local", "smoke"), [small_project.NAME]
    assert not damages.find(run, names) and not completeness.flaws(*place, names)
    untrusted = {path for pattern in NOT_TRUSTED for path in complete.root.glob(pattern)}
    trusted = [path for path in files(complete) if path not in untrusted and path.stat().st_size]
    assert len(trusted) > 40
    for path in trusted:
        status, before = path.stat(), path.read_bytes()
        damage(path, kind)
        name = path.relative_to(complete.root).as_posix()
        unseen = name.startswith(("results/", ".snakemake/")) and "build" not in name
        assert damages.find(run, names), name
        if not unseen and not NOT_BUNDLED.search(name):
            flaws = completeness.flaws(*place, names) | completeness.without_pdf(*place)
            assert flaws or name.startswith(".snakemake/"), name
        path.write_bytes(before)
        small_project.os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_paper_and_report_are_built_from_a_wholly_damaged_build(complete, run_benchpaper):
    """All is damaged but the results, LaTeX's files and the caches of libraries too."""
    exhibits, kinds = drawn(complete), list(DAMAGES)
    paths = [
        path for path in files(complete) if "results" not in path.relative_to(complete.root).parts
    ]
    for number, path in enumerate(paths):
        damage(path, kinds[number % len(kinds)])
    done = run_benchpaper(complete, "run", "paper", "report", "--scale", "smoke")
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Traceback" not in said, said
    assert drawn(complete) == exhibits
    assert not damages.find(Pipeline(complete, "local", "smoke", 1), [small_project.NAME])
    packed = run_benchpaper(complete, "bundle", "--scale", "smoke")
    assert packed.returncode == 0, packed.stderr

""" "Nothing to do" means all is there: failed, missing, cut or foreign results are not "done"."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_project

from benchpaper import results
from benchpaper.core.project import Project

NOTEBOOK = "analysis/toy_pipe_cost.ipynb"
AT = ("--scale", "smoke")
BARE = ("snakemake", "--cores", "1")


@pytest.fixture(scope="module")
def built(small, tmp_path_factory):
    """A copy of the small project that may be changed; its `build` is complete."""
    root = tmp_path_factory.mktemp("whole") / "project"
    shutil.copytree(small.root, root, symlinks=True)  # with the times of the files
    return Project(root)


@pytest.fixture
def run(built, run_benchpaper):
    return lambda *words, **environment: run_benchpaper(built, *words, **environment)


def broken(path):
    """Return a notebook's text whose last cell fails."""
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    cells[-1]["source"] = ["1 / 0"]
    return json.dumps(notebook)


def started(trials):
    """When each trial began: what was measured once is not measured again."""
    return results.read(trials)[0].column("started").to_pylist()


def test_a_complete_build_has_nothing_to_do(built, run):
    done = run("run", *AT, "-n")
    assert done.returncode == 0 and "nothing would run" in done.stdout, done.stdout


MIDDLE = [
    "exhibits/toy_pipe_cost/exhibits.json", "exhibits/toy_pipe_cost/toy-pipe-cost-latency.png",
    "notebooks/toy_pipe_cost.ipynb", "verdicts.json", "claims-history.json", "claims.tex",
    "exhibits.tex", "appendix.md", "appendix.tex", "paper.pdf",
]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["exhibits/toy_pipe_cost/toy-pipe-cost-latency.png", "verdicts.json", "appendix.md"]
)
def test_one_output_that_is_gone_is_something_to_do(built, run, name):
    path = built.build("local", "smoke") / name
    aside = built.root / "aside"
    path.rename(aside)
    try:
        done = run("run", *AT, "-n")
        assert done.returncode == 0 and "steps that would run" in done.stdout, done.stdout
        if name != "appendix.md":  # which lies in no archive's way
            refused = run("bundle", "--scale", "smoke")
            assert refused.returncode == 2 and "first" in refused.stderr, refused.stderr
    finally:
        aside.rename(path)


def test_all_that_is_gone_is_made_again(built, run):
    build = built.build("local", "smoke")
    for name in MIDDLE:
        (build / name).unlink()
    trials = built.results("local", "smoke") / small_project.NAME / results.TRIALS
    before = started(trials)
    trials.unlink()
    done = run("run", *AT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [name for name in MIDDLE if not (build / name).exists()] == []
    assert started(trials) == before


def test_a_failed_notebook_fails_each_run_until_it_is_mended(built, run):
    notebook = built.root / NOTEBOOK
    sound = notebook.read_text()
    notebook.write_text(broken(notebook))
    try:
        archive = built.build("local", "smoke") / "bundle.zip"
        archive.unlink(missing_ok=True)
        for target in ("figures", "bundle"):
            done = run("run", *AT, target)
            assert done.returncode == 1 and "ZeroDivisionError" in done.stdout, done.stdout
        assert "analyse" in run("run", *AT, "-n").stdout
        packed = run("bundle", "--scale", "smoke")
        assert (
            packed.returncode == 2
            and "exhibits.json is missing; run ./reproduce --scale smoke first" in packed.stderr
        )
        assert not archive.exists()
    finally:
        notebook.write_text(sound)
    done = run("run", *AT)
    assert done.returncode == 0 and "typeset: done" in done.stdout, done.stdout


def test_a_damaged_results_file_is_refused_by_readers_and_mended_by_the_next_run(built, run):
    path = built.results("local", "smoke") / small_project.NAME / results.OBSERVATIONS
    before = results.read(path)[0].to_pylist()
    path.write_bytes(path.read_bytes()[:-100])
    refused = run("claims", *AT)
    assert refused.returncode == 2 and "the next run rebuilds it from the journal" in refused.stderr
    done = run("run", *AT, "figures")
    assert done.returncode == 0, done.stdout + done.stderr
    name = path.relative_to(built.root)
    assert f"not to be trusted, so made again: {name} cannot be read" in done.stdout
    assert results.read(path)[0].to_pylist() == before


def test_exhibits_of_other_results_are_made_again_whatever_the_times_say(built, run):
    manifest = built.build("local", "smoke") / "exhibits/toy_pipe_cost/exhibits.json"
    status = manifest.stat()
    manifest.write_text(manifest.read_text().replace('"sha256": "', '"sha256": "0'))
    os.utime(manifest, ns=(status.st_atime_ns, status.st_mtime_ns))
    packed = run("bundle", "--scale", "smoke")
    assert packed.returncode == 2 and "was made from another" in packed.stderr
    done = run("run", *AT, "figures")
    assert done.returncode == 0 and "analyse toy/pipe_cost: done" in done.stdout, done.stdout


# --- why something is measured again -----------------------------------------------------------


def test_why_is_said_before_anything_is_measured_again(built, run):
    experiment = built.experiments / small_project.NAME / "experiment.py"
    sound = experiment.read_text()
    experiment.write_text(sound + "# a comment\n")
    assert "measured again" not in run("plan", *AT).stdout
    experiment.write_text(sound + "CHANGED = 1\n")
    try:
        line = (
            "blocks that were measured before are measured again: "
            f"experiments/{small_project.NAME}/experiment.py changed"
        )
        for words in (("plan", *AT), ("run", *AT, "results", "-n")):
            assert line in run(*words).stdout
    finally:
        experiment.write_text(sound)
    reseeded = run("run", *AT, "results", "-n", "--seed", "7")
    assert "seed 1 -> 7" in reseeded.stdout, reseeded.stdout


# --- one run at a time -------------------------------------------------------------------------


def test_snakemake_alone_and_a_run_refuse_each_other(built, run):
    """The lock is held by a process of this test, as either of them would."""
    held = (
        "import sys, time; from benchpaper.core import lock\nwith lock.held(sys.argv[1], "
        "'snakemake'):\n print(flush=True); time.sleep(600)"
    )
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    (built.build("local", "smoke") / "claims.tex").unlink(missing_ok=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", held, built.state / "run.lock"], stdout=subprocess.PIPE
    )
    try:
        holder.stdout.readline()
        bare = subprocess.run([*BARE, "figures", "--config", "source=smoke"], cwd=built.root,
            env=env,
                              capture_output=True, text=True, timeout=600)  # fmt: skip
        assert (
            bare.returncode != 0
            and f"(process {holder.pid}); wait for it" in bare.stdout + bare.stderr
        )
        assert not (built.build("local", "smoke") / "claims.tex").exists()
        second = run("run", *AT, "figures")
        assert second.returncode == 2 and "snakemake has been running since" in second.stderr
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    bare = subprocess.run([*BARE, "figures", "--config", "source=smoke"], cwd=built.root,
        env=env,
                          capture_output=True, text=True, timeout=600)  # fmt: skip
    assert bare.returncode == 0, bare.stdout + bare.stderr


def test_a_step_whose_snakemake_is_gone_measures_nothing(built):
    """The step starts as an orphan: kill -9 leaves no moment when it runs alone."""
    journal = built.results("local", "quick") / small_project.NAME / "journal"
    step = (
        f"benchpaper step measure {small_project.NAME} --block 0 "
        "--seed 1 --site local --source "
        "quick"
    )
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = f"{step} > orphan.log 2>&1 & echo $!"
    made = subprocess.run(["sh", "-c",
        f"BENCHPAPER_STEPS_OF=$$; export BENCHPAPER_STEPS_OF; {script}"], cwd=built.root, env=env,
                          capture_output=True, text=True)  # fmt: skip
    pid = int(made.stdout)
    end = time.monotonic() + 120
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < end, os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    assert not list(journal.glob("*.jsonl")), (built.root / "orphan.log").read_text()


# --- another machine: last, for it measures over what the tests before need ---------------------


@pytest.fixture
def elsewhere(built):
    """Return `call(words)`: run the command line as if on another machine."""
    if os.geteuid() != 0 or not Path("/etc/machine-id").exists():
        pytest.skip("passing for another machine needs root, and /etc/machine-id")
    (built.root / "machine-id").write_text("0" * 32 + "\n")

    def call(*words):
        mounted = 'mount --bind machine-id /etc/machine-id && exec "$@"'
        command = [
            "unshare",
            "-m",
            "sh",
            "-c",
            mounted,
            "sh",
            str(Path(sys.executable).with_name("benchpaper")),
            *words,
        ]
        env = {**os.environ, "COLUMNS": "200"}
        return subprocess.run(
            command, cwd=built.root, env=env, capture_output=True, text=True, timeout=600
        )

    return call


def test_results_of_another_machine_are_measured_over_only_when_asked(built, elsewhere):
    folder = built.results("local", "smoke") / small_project.NAME
    before = {path: path.read_bytes() for path in folder.rglob("*.parquet")}
    for words in ((), ("results",), (small_project.NAME,), ("-n",)):
        done = elsewhere("run", *AT, *words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stdout + done.stderr
        assert (
            "another machine" in done.stderr
            and "--measure-again" in done.stderr
            and "figures" in done.stderr
        )
    done = elsewhere("run", *AT, "figures")
    assert done.returncode == 0 and "analysed as they are" in done.stdout, done.stdout + done.stderr
    assert "another machine" in elsewhere("plan", *AT).stdout
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    alone = [
        "unshare",
        "-m",
        "sh",
        "-c",
        "mount --bind machine-id /etc/machine-id && "
        f"exec {' '.join(BARE)} results --config source=smoke",
    ]
    bare = subprocess.run(
        alone, cwd=built.root, env=env, capture_output=True, text=True, timeout=600
    )
    assert bare.returncode != 0 and "another machine" in bare.stdout + bare.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} == before
    done = elsewhere("run", *AT, "results", "--measure-again")
    assert done.returncode == 0 and "removed results/local/smoke/toy/pipe_cost" in done.stdout, (
        done.stdout + done.stderr
    )
    assert {path: path.read_bytes() for path in folder.rglob("*.parquet")} != before

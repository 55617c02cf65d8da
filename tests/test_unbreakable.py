"""Runs of the whole command line that are killed, interrupted, starved, misled and told secrets."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchpaper import events, results, runner

ROOT = Path(__file__).resolve().parents[1]
KILLS = 20
STOP_WITHIN_S = 30.0  # on any machine, and long before the trial that is interrupted would end
SLOW_START_S = 1.6  # on a busy machine; on a quiet one the first trial is done before

HEAD = '''
import os, signal, socket, subprocess, sys, time
from pathlib import Path
from benchpaper.spec import Evidence, Experiment, Factor, Metric, Scale

PROJECT = Path(__file__).parents[3]

experiment = Experiment(
    title="Toy", question="What does a toy cost?",
    factors=[Factor("way", {levels!r})],
    metrics=[Metric("latency_us", unit="µs", better="lower")],
    scales={{name: Scale(blocks={blocks}, trial_seconds=0.05) for name in ("smoke", "quick", "full")}},
    roles=("server", "client"), attempts={attempts}, timeout_s={timeout_s},
)

{more}

@experiment.trial
def trial(cell, site):
    with open(PROJECT / "begun", "a") as file:
        file.write(f"{{site.seed}}\\n")
'''


@pytest.fixture
def make_toy(make_project):
    """Return `make(body, ...)`: a project whose one experiment, toy/one, has `body` (indented) as its trial. Each trial
    that begins adds its seed to the file `begun`."""

    def make(body, levels=("a", "b"), blocks=1, attempts=1, timeout_s=20.0, more="", files=None):
        text = HEAD.format(levels=list(levels), blocks=blocks, attempts=attempts, timeout_s=timeout_s, more=more)
        return make_project({"experiments/toy/one/experiment.py": text + body, **(files or {})})

    return make


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """What killed runs leave in the temporary folder is found there."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))


def hear_interrupts():
    """In a child: a shell has what it runs in the background ignore them, this suite too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Run:
    """`benchpaper run ...` in the background, in a process group of its own."""

    def __init__(self, project, *words, **environment):
        self._project = project
        self._output = open(project.root / "output", "w+")
        command = [str(Path(sys.executable).with_name("benchpaper")), "run", *words]
        self.process = subprocess.Popen(
            command, cwd=project.root, env={**os.environ, "COLUMNS": "200", **environment}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, preexec_fn=hear_interrupts,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._output.close()

    def kill(self):
        """kill -9 of the whole group; returns when everything that belongs to the run is gone."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        within(30, lambda: not marked(self._project))

    @property
    def output(self):
        return (self._project.root / "output").read_text()


def within(seconds, true):
    """Wait until `true()`, for at most so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)  # often enough, and leaves the processor to what is waited for


def marked(project):
    """The processes that were started by a run in this project."""
    mark = f"{events.VARIABLE}={project.state / 'events.jsonl'}".encode()
    found = []
    for process in psutil.process_iter(["pid", "status", "cmdline"]):
        try:
            environ = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environ and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.info["cmdline"])
    return found


def journalled(project):
    """{(block, cell): entry} of all whole lines of all journals."""
    found = {}
    for path in sorted(project.root.glob("results/*/*/*/*/journal/*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                entry = json.loads(line)
                assert (entry["block"], entry["cell"]) not in found, "a trial was measured twice"
                found[entry["block"], entry["cell"]] = entry
    return found


def begun(project):
    path = project.root / "begun"
    return path.read_text().split() if path.exists() else []


def in_the_middle(project, trials=1):
    """Wait until a trial runs and at least `trials` are finished. It stays so where a file `hold` holds up the next."""
    within(120, lambda: len(journalled(project)) >= trials and any((project.state / "scratch").glob("trial-*/client")))


def trial_table(project, scale="quick"):
    table, _ = results.read(project.results("local", scale) / "toy/one" / results.TRIALS)
    return table.to_pylist(maps_as_pydicts="strict")


# While there is a file `hold`, a trial waits that begins after as many others as it says.
BRIEF = """
    site.client.start(["sleep", "60"])
    time.sleep(0.04)
    hold = PROJECT / "hold"
    if hold.exists() and len((PROJECT / "begun").read_text().split()) > int(hold.read_text()):
        while hold.exists():
            time.sleep(0.01)
    yield dict(latency_us=1.0)
"""
HOLDING = dict(timeout_s=100.0, files={"hold": "1"})
LEVELS = [f"w{number}" for number in range(12)]


def test_kill_9_at_twenty_random_moments_loses_nothing_and_the_next_run_goes_on(make_toy, run_benchpaper):
    levels, blocks = [f"w{number}" for number in range(15)], 7
    project = make_toy(BRIEF, levels=levels, blocks=blocks, **HOLDING)
    hold = project.root / "hold"
    moments, kept, seen, swept, start_s = random.Random(20), {}, 0, 0, 0.0
    for number in range(KILLS):
        begin = time.monotonic()
        waited = number in (0, KILLS - 1)  # the last one for what the next run has to tell
        hold.write_text(str(len(begun(project)) + (1 if waited else 5)))  # so that enough is left for so many kills
        with Run(project, "results") as run:
            if waited:
                in_the_middle(project, len(kept) + 1)
                start_s = start_s or min(time.monotonic() - begin, SLOW_START_S)
            else:
                time.sleep(moments.uniform(0.05, 1.6) * start_s)
            assert run.process.poll() is None, run.output
            run.kill()
            swept += "an earlier run was killed; swept up: " in run.output
        now = journalled(project)
        assert {key: now.get(key) for key in kept} == kept  # what was finished is still there, as it was
        finished = {str(entry["seed"]) for entry in kept.values()}
        assert not finished.intersection(begun(project)[seen:])  # and was not measured again
        kept, seen = now, len(begun(project))
        for path in project.root.glob("results/**/*.parquet"):
            if not path.name.startswith("."):
                results.read(path)
    assert 0 < len(kept) < len(levels) * blocks and swept > 0
    hold.unlink()
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0, done.stdout + done.stderr
    told = r"^an earlier run was killed; swept up: .*a trial's scratch folder.*Snakemake's lock$"
    assert re.search(told, done.stdout, re.M)
    assert f"toy/one: {len(levels) * blocks} trials measured, in {blocks} blocks" in done.stdout
    everything = journalled(project)
    assert {key: everything[key] for key in kept} == kept
    assert not {str(entry["seed"]) for entry in kept.values()}.intersection(begun(project)[seen:])
    table = trial_table(project)
    wanted = sorted((block, way) for block in range(blocks) for way in levels)
    assert sorted((trial["block"], trial["way"]) for trial in table) == wanted
    started = {(t["block"], t["cell"]): t["started"].timestamp() for t in table}
    assert all(abs(started[key] - entry["started"]) < 1e-3 for key, entry in kept.items())
    assert not list((project.state / "scratch").iterdir()) and not list(project.root.glob("results/**/.*"))


@pytest.mark.parametrize("number, whom", [
    (signal.SIGINT, "group"), (signal.SIGINT, "process"), (signal.SIGTERM, "group"), (signal.SIGTERM, "process"),
])  # fmt: skip
def test_ctrl_c_and_sigterm_end_soon_and_tell_how_to_go_on(make_toy, run_benchpaper, number, whom):
    project = make_toy(BRIEF, levels=LEVELS[:6], **HOLDING)
    with Run(project, "results") as run:
        in_the_middle(project)
        for again in (0, 0.2):  # people press Ctrl-C more than once
            time.sleep(again)
            (os.killpg if whom == "group" else os.kill)(run.process.pid, number)
        assert run.process.wait(STOP_WITHIN_S) == 130, run.output
        kept = journalled(project)
        assert 1 <= len(kept) < 6 and f"toy/one: not complete yet: {len(kept)} of 6 trials done" in run.output
        assert "interrupted: finished trials are kept; the same command goes on from here" in run.output
        assert "Traceback" not in run.output and "FAILED" not in run.output
        within(30, lambda: not marked(project))
    (project.root / "hold").unlink()
    if (number, whom) not in [(signal.SIGINT, "group"), (signal.SIGTERM, "process")]:
        return  # how the other two go on is no different, and takes seconds
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: 6 trials measured" in done.stdout
    everything = journalled(project)
    assert {key: everything[key] for key in kept} == kept and len(everything) == 6
    seeds = begun(project)
    assert all(seeds.count(str(entry["seed"])) == 1 for entry in kept.values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_before_anything_is_measured_ends_soon_too(make_toy, number):
    project = make_toy(BRIEF, **HOLDING)
    with Run(project, "results") as run:
        within(60, (project.state / "run.lock").exists)  # from then on it hears both
        time.sleep(0.05)
        os.killpg(run.process.pid, number)
        assert run.process.wait(STOP_WITHIN_S) == 130, run.output
        assert "the same command goes on from here" in run.output and "Traceback" not in run.output
        within(30, lambda: not marked(project))


def test_no_further_interrupt_cuts_short_what_follows_the_first():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    tidied_up = False
    try:
        with pytest.raises(KeyboardInterrupt), runner._terminable():
            try:
                signal.raise_signal(signal.SIGTERM)
            finally:
                for number in before:
                    signal.raise_signal(number)
                tidied_up = True
        assert tidied_up and all(signal.getsignal(number) is signal.SIG_IGN for number in before)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


LEAVING = """
    flag = PROJECT / "hung"
    if not flag.exists():
        import ctypes
        from multiprocessing import shared_memory
        folder = site.client.scratch()
        site.client.undo("a mount", ["umount", folder])
        site.client.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder])
        site.client.undo("a network namespace", ["ip", "netns", "delete", NAME])
        site.client.run(["ip", "netns", "add", NAME])
        cgroup = Path("/sys/fs/cgroup/pids") / NAME
        site.client.undo("a cgroup", ["rmdir", cgroup])
        cgroup.mkdir()
        libc = ctypes.CDLL(None)
        segment = libc.shmget(0, 4096, 0o1600)  # IPC_CREAT
        assert segment >= 0
        Path("/dev/shm", NAME).write_bytes(bytes(4096))
        flag.with_name("hung.part").write_text(f"{segment} {folder}")
        flag.with_name("hung.part").rename(flag)
        time.sleep(60)
    yield dict(latency_us=1.0)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts, namespaces and cgroups need root")
def test_the_next_run_sweeps_up_all_that_a_killed_trial_left(make_toy, run_benchpaper):
    if not os.access("/sys/fs/cgroup/pids", os.W_OK) or not shutil.which("ip"):
        pytest.skip("needs the cgroup controller pids of version 1, and ip")
    name = f"benchpaper-test-{os.getpid()}"
    project = make_toy(LEAVING, more=f"NAME = {name!r}", timeout_s=100)
    with Run(project, "results") as run:
        within(60, (project.root / "hung").exists)
        run.kill()
    segment, folder = (project.root / "hung").read_text().split()

    def left():
        return {
            "mount": folder in Path("/proc/mounts").read_text(),
            "namespace": Path("/run/netns", name).exists(),
            "cgroup": Path("/sys/fs/cgroup/pids", name).exists(),
            "System V": segment in [line.split()[1] for line in Path("/proc/sysvipc/shm").read_text().splitlines()],
            "POSIX": Path("/dev/shm", name).exists(),
            "scratch": Path(folder).exists(),
            "lock": any((project.root / ".snakemake/locks").glob("*")),
        }

    before = left()
    done = run_benchpaper(project, "run", "results")
    after = left()
    assert set(before.values()) == {True}, before
    assert set(after.values()) == {False}, (after, done.stdout)
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "swept up" in line]
    for what in ("a mount", "a network namespace", "a cgroup", "a System V shared-memory segment",
                 "a POSIX shared-memory object", "a trial's scratch folder", "Snakemake's lock"):  # fmt: skip
        assert what in line


def test_two_runs_at_once_in_one_checkout(make_toy, run_benchpaper):
    project = make_toy(BRIEF, levels=LEVELS, **HOLDING)
    with Run(project, "results") as run:
        in_the_middle(project)
        second = run_benchpaper(project, "run", "results")  # is refused and waits for nobody: the first is held up
        assert second.returncode == 2
        assert re.fullmatch(
            rf"benchpaper: benchpaper run \(local, quick\) has been running since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d "
            rf"\(process {run.process.pid}\); wait for it, or stop it\n", second.stderr,
        )  # fmt: skip
        assert second.stdout == "" and run.process.poll() is None
        before = len(journalled(project))
        (project.root / "hold").unlink()
        within(60, lambda: len(journalled(project)) > before)  # the first goes on undisturbed


# ---- bad input ----

REFUSED = [
    (["rum"], 'command "rum" not found; did you mean "run"?'),
    (["step", "mesure"], 'command "mesure" not found; did you mean "measure"?'),
    (["run", "figurs"], 'target or experiment "figurs" not found; did you mean "figures"?'),
    (["run", "toy/oen"], 'target or experiment "toy/oen" not found; did you mean "toy/one"?'),
    (["plan", "toy/oen"], 'experiment "toy/oen" not found; did you mean "toy/one"?'),
    (["run", "--scale", "smok"], 'scale "smok" not found; did you mean "smoke"?'),
    (["run", "--scale", "reference"], '"reference" is not a scale to measure at; use --from reference'),
    (["run", "--site", "loca"], 'site "loca" not found; did you mean "local"?'),
    (["doctor", "--site", "loca"], 'site "loca" not found; did you mean "local"?'),
    (["run", "--site", "broken"], "sites/broken.yaml:2 is not YAML: "),
    (["run", "--site", "mistyped"], 'sites/mistyped.yaml: host 1: unknown key "rols"; did you mean "roles"?'),
    (["run", "--from", "refrence"], '--from "refrence": the only other source is "reference"'),
    (["run", "--from", "reference"], 'no reference results for site "local"; measure first'),
    (["run", "--sale", "smoke"], "No such option"),
    (["run", "--seed", "x"], "Invalid value for '--seed'"),
    (["run", "--seed", "-1"], "seed -1 must be a whole number from 0 to 2**63 - 1"),
    (["plan", "--seed", "9" * 20], f"seed {'9' * 20} must be a whole number from 0 to 2**63 - 1"),
    (["explain", "latency"], 'nothing is built for site "local"'),
    (["explain", "latency", "--scale", "smok"], 'scale "smok" not found; did you mean "smoke"?'),
    (["claims", "--scale", "quik"], 'scale "quik" not found; did you mean "quick"?'),
    (["store", "toy/one"], 'reference results of "toy/one" not found (there are: none)'),
    (["adopt", "toy/one"], "file results/local/full/toy/one/observations.parquet does not exist; measure first"),
]


def refused_in_one_line(done, message):
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("benchpaper: "), done.stderr
    assert message in done.stderr and done.stdout == "", done.stderr


@pytest.fixture(scope="module")
def toy_project(tmp_path_factory):
    """A project that nothing is measured in. Do not change it."""
    from benchpaper.project import Project

    root = tmp_path_factory.mktemp("refusing") / "project"
    for folder in ("analysis", "sites", "experiments/toy/one"):
        (root / folder).mkdir(parents=True)
    for name in ("Snakefile", "profiles"):
        (root / name).symlink_to(ROOT / name)
    text = HEAD.format(levels=["a"], blocks=1, attempts=1, timeout_s=20, more="")
    (root / "experiments/toy/one/experiment.py").write_text(text + BRIEF)
    (root / "analysis/toy_one.ipynb").write_text(notebook(""))
    (root / "sites/broken.yaml").write_text("hosts:\n  - {name: here, roles: [client}\n")
    (root / "sites/mistyped.yaml").write_text("hosts: [{name: here, rols: [client]}]\n")
    return Project(root)


@pytest.mark.parametrize("words, message", REFUSED, ids=[" ".join(words) for words, _ in REFUSED])
def test_a_word_that_cannot_be_is_refused_in_one_line(toy_project, run_benchpaper, words, message):
    refused_in_one_line(run_benchpaper(toy_project, *words), message)
    assert not (toy_project.root / "results").exists() and not (toy_project.root / "build").exists()


BROKEN = [
    ("import no_such_thing", "experiments/toy/one/experiment.py:1: ModuleNotFoundError: No module named"),
    ("def f(:", "experiments/toy/one/experiment.py:1: SyntaxError: "),
    ("experiment = 1", "experiments/toy/one/experiment.py has no `experiment = Experiment(...)`"),
    (
        "from benchpaper.spec import *\nMetric('latency_us', unit='', better='lower')",
        'experiments/toy/one/experiment.py: metric "latency_us" has no unit',
    ),
]


@pytest.mark.parametrize("command", ["list", "run"])
@pytest.mark.parametrize("text, message", BROKEN, ids=[text.splitlines()[-1] for text, _ in BROKEN])
def test_an_experiment_that_cannot_be_loaded_is_refused(make_project, run_benchpaper, command, text, message):
    project = make_project({"experiments/toy/one/experiment.py": text, "analysis/toy_one.ipynb": notebook("")})
    refused_in_one_line(run_benchpaper(project, command), message)


@pytest.mark.parametrize("command", ["list", "plan", "doctor"])
def test_a_broken_experiment_hides_no_sound_one(make_project, run_benchpaper, pipe_experiment, command):
    broken = {f"experiments/a/{name}/experiment.py": "import no_such_thing" for name in ("one", "two")}
    project = make_project({"experiments/toy/pipe/experiment.py": pipe_experiment, **broken})
    done = run_benchpaper(project, command, "--json")
    assert done.returncode == 2 and "toy/pipe" in done.stdout and "a/one" not in done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 2 and all("No module named" in line for line in lines), done.stderr
    assert run_benchpaper(project, "plan", "toy/pipe").returncode == 0


def test_an_interrupt_during_the_imports_is_one_line(tmp_path):
    slow = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(10)\n"
    (tmp_path / "click.py").write_text(slow)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from benchpaper.cli import main; main()"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, preexec_fn=hear_interrupts)
    assert (done.returncode, done.stderr) == (130, "benchpaper: interrupted; the same command goes on from here\n")


def test_two_experiments_of_one_name_are_refused_in_one_line(make_project, run_benchpaper, pipe_experiment):
    project = make_project({f"experiments/{name}/experiment.py": pipe_experiment for name in ("a/b_c", "a_b/c")})
    refused_in_one_line(run_benchpaper(project, "run"), 'experiments "a/b_c" and "a_b/c" both claim the name "a_b_c"')


def test_outside_a_project_the_command_says_so(tmp_path, run_benchpaper):
    from benchpaper.project import Project

    refused_in_one_line(run_benchpaper(Project(tmp_path), "run"), "run this inside a checkout")


@pytest.mark.parametrize("words", ["list", "run -n", "step judge --site local --source smoke"])
def test_a_checkout_with_code_of_its_own_is_not_run_by_that_of_another(make_toy, run_benchpaper, words):
    project = make_toy("    yield dict(latency_us=1.0)", files={"reproduce": "#!/bin/sh\n"})
    assert run_benchpaper(project, "list").returncode == 0  # its src is a link to the code that runs
    (project.root / "src").unlink()
    shutil.copytree(ROOT / "src", project.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    message = f'"{project.root}/src/benchpaper"; run ./reproduce in the project'
    refused_in_one_line(run_benchpaper(project, *words.split()), message)
    own = run_benchpaper(project, "list", BENCHPAPER_CODE=str(project.root / "src"))
    assert own.returncode == 0 and "toy/one" in own.stdout, own.stderr


def test_snakemake_alone_does_not_run_the_code_of_another_checkout(make_toy, run_benchpaper):
    project = make_toy("    yield dict(latency_us=1.0)", files={"reproduce": "#!/bin/sh\n"})
    (project.root / "src").unlink()
    shutil.copytree(ROOT / "src", project.root / "src", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "snakemake", "-n"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True)
    assert done.returncode != 0 and "but this project has its own" in done.stdout + done.stderr


# ---- a project with reference results and a notebook ----

NOTEBOOK = """
from benchpaper.estimates import load
from benchpaper.exhibits import Exhibits
results = load("toy/one", results_dir)
exhibits = Exhibits(results, exhibits_dir)
"""


def notebook(code, first=NOTEBOOK):
    import nbformat.v4 as nb

    parameters = nb.new_code_cell('results_dir, exhibits_dir = "artifacts/reference/local", None')
    parameters.metadata["tags"] = ["parameters"]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    cells = [parameters, *(nb.new_code_cell(text) for text in (first, code))]
    return json.dumps(nb.new_notebook(cells=cells, metadata=kernel))


SAVING = """
for way in ("a", "b"):
    exhibits.number(f"latency-{way}", results.estimate("latency_us", way=way))
"""


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory):
    """The folder of a project measured in five blocks, whose results are its reference too. Copy it before use."""
    from benchpaper.project import Project

    root = tmp_path_factory.mktemp("measured") / "project"
    for folder in ("analysis", "sites", "paper", "artifacts", "experiments/toy/one"):
        (root / folder).mkdir(parents=True)
    for name in ("Snakefile", "profiles", "src"):
        (root / name).symlink_to(ROOT / name)
    text = HEAD.format(levels=["a", "b"], blocks=5, attempts=1, timeout_s=20, more="")
    (root / "experiments/toy/one/experiment.py").write_text(text + "    yield dict(latency_us=1.0)\n")
    (root / "analysis/toy_one.ipynb").write_text(notebook(SAVING))
    (root / "analysis/claims.py").write_text("")
    environment = {**os.environ, "TMPDIR": str(root.parent)}
    benchpaper = Path(sys.executable).with_name("benchpaper")
    for words in (["run", "results", "--scale", "full"], ["adopt"]):
        subprocess.run([benchpaper, *words], cwd=root, env=environment, check=True, capture_output=True, timeout=600)
    return Project(root)


@pytest.fixture
def measured(measured_once, tmp_path):
    from benchpaper.project import Project

    shutil.copytree(measured_once.root, tmp_path / "copy", symlinks=True)
    return Project(tmp_path / "copy")


def other_version(path):
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"benchpaper.schema": b"99"}), path)


DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), "cannot be read ("),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "cannot be read ("),
    "garbage": (lambda path: path.write_bytes(random.Random(1).randbytes(4000)), "cannot be read ("),
    "other version": (other_version, "has schema version 99, but this program reads 1"),
}


@pytest.mark.parametrize("damage, message", DAMAGES.values(), ids=DAMAGES)
def test_a_broken_reference_file_is_one_line_and_nothing_is_half_built(measured, run_benchpaper, damage, message):
    path = measured.results("local", "reference") / "toy/one" / results.TRIALS
    damage(path)
    before = path.read_bytes()
    done = run_benchpaper(measured, "run", "figures", "--from", "reference")
    refused_in_one_line(done, f"results file artifacts/reference/local/toy/one/{results.TRIALS} {message}")
    assert path.read_bytes() == before and not measured.build("local", "reference").exists()


def test_a_notebook_that_raises_is_named_and_its_traceback_kept(measured, run_benchpaper):
    """It raises, for TeX cannot hold the name of a number."""
    (measured.analysis / "toy_one.ipynb").write_text(notebook(SAVING.replace('f"latency-{way}"', 'f"latency_{way}"')))
    done = run_benchpaper(measured, "run", "figures", "--from", "reference")
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    failed = "build/local-reference/notebooks/toy_one.failed.ipynb"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    assert line.startswith(
        "FAILED  analyse toy/one: analysis/toy_one.ipynb, cell 3: ExhibitError: "
        'exhibit name "latency_a" must be lower-case words, digits and single hyphens'
    )
    assert line.endswith(f"the traceback is in {failed}")
    assert "Traceback (most recent call last)" in (measured.root / failed).read_text()
    assert not (measured.build("local", "reference") / "exhibits.tex").exists()


def test_changed_code_is_told_by_doctor_and_summary_and_fails_nothing(measured, run_benchpaper):
    told = "changed since the reference was measured: experiments/toy/one/experiment.py, experiments/toy/one/new.c"
    assert "changed since" not in run_benchpaper(measured, "doctor").stdout
    source = measured.experiments / "toy/one/experiment.py"
    source.write_text(source.read_text() + "another = 1\n")
    (source.parent / "new.c").write_text("")
    doctor = run_benchpaper(measured, "doctor")
    run = run_benchpaper(measured, "run", "results", "--from", "reference")
    assert (doctor.returncode, run.returncode) == (0, 0)
    assert told in doctor.stdout and told in run.stdout
    changed = ["experiments/toy/one/experiment.py", "experiments/toy/one/new.c"]
    doctor = json.loads(run_benchpaper(measured, "doctor", "--json").stdout)
    assert doctor["experiments"]["toy/one"]["changed_since_reference"] == changed
    run = json.loads(run_benchpaper(measured, "run", "results", "--from", "reference", "--json").stdout)
    assert run["changed_since_reference"] == {"toy/one": changed} and run["status"] == 0


# ---- what goes wrong while measuring ----

SERVER = """
import socket, sys, time
way, address, port = sys.argv[1:]
if way == "silent":
    time.sleep(60)
listener = socket.create_server((address, int(port)))
print("ready", flush=True)
caller, _ = listener.accept()
caller.recv(100)
if way == "dies":
    sys.exit("panic: out of luck")
caller.sendall(b"\\xff\\x00?!\\n" if way == "garbage" else b"pong\\n")
"""

CALLING = """
    way, port = cell.way, site.server.free_port()
    if way == "first":  # both attempts of the block that is measured first
        way = "dies" if begun(site.seed) <= 2 else "good"
    if way == "taken":
        taken = socket.create_server((site.server.address, port))
    command = [sys.executable, "-u", Path(__file__).with_name("server.py"), way, site.server.address, port]
    with site.server.start(command) as server:
        server.read_line(timeout=15.0 if way != "silent" else 0.2)
        with socket.create_connection((site.server.address, port), timeout=15) as connection:
            connection.sendall(b"ping")
            answer = connection.recv(100)
    if answer != b"pong\\n":
        raise RuntimeError(f"the server answered {answer}")
    yield dict(latency_us=1.0 + site.seed % 5)
"""

BEGUN = """
def begun(seed):
    (PROJECT / "firsts").open("a").write("x")
    return len((PROJECT / "firsts").read_text())
"""

SAVING_ALL = """
for way in ("good", "first", "dies", "garbage", "silent", "taken"):
    exhibits.number(f"latency-{way}", results.estimate("latency_us", way=way))
"""


def test_servers_that_fail_make_failed_trials_that_every_stage_shows_and_none_averages_in(make_toy, run_benchpaper):
    ways = ["good", "first", "dies", "garbage", "silent", "taken"]
    files = {
        "experiments/toy/one/server.py": SERVER, "analysis/toy_one.ipynb": notebook(SAVING_ALL),
        "analysis/claims.py": "",
    }  # fmt: skip
    project = make_toy(CALLING, levels=ways, blocks=2, attempts=2, more=BEGUN, files=files)
    done = run_benchpaper(project, "run", "figures", "--scale", "quick")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search("^toy/one: .*9 trials failed.*, in 2 blocks$", done.stdout, re.M)
    assert "3 trials measured" in done.stdout
    table = {way: [t for t in trial_table(project) if t["way"] == way] for way in ways}
    expected = {
        "dies": "the server answered b''", "garbage": "the server answered b'\\xff\\x00?!\\n'",
        "silent": "on server printed nothing for 0.2 s; it said nothing",
        "taken": "before it answered; it said: .*Address already in use",
    }  # fmt: skip
    for way, reason in expected.items():
        assert [t["state"] for t in table[way]] == ["failed"] * 2
        for trial in table[way]:
            assert [a["outcome"] for a in trial["attempts"]] == ["failed"] * 2
            assert reason in trial["reason"] or re.search(reason, trial["reason"]), trial["reason"]
            assert sum(a["seconds"] for a in trial["attempts"]) < 30
        assert f" trials failed: {table[way][0]['reason']}" in done.stdout
    table["first"].sort(key=lambda trial: trial["state"])  # the blocks may be measured in any order
    assert [trial["state"] for trial in table["first"]] == ["failed", "measured"]
    assert [trial["state"] for trial in table["good"]] == ["measured"] * 2
    logs = [path.read_text() for path in (project.results("local", "quick") / "toy/one/failed").iterdir()]
    assert len(logs) == 2 * 9 and sum("panic: out of luck" in log for log in logs) == 2 * 3
    exhibits = json.loads((project.build("local", "quick") / "exhibits/toy_one/exhibits.json").read_text())["exhibits"]
    assert {way: (exhibits[f"latency-{way}"]["n"], exhibits[f"latency-{way}"]["failed"]) for way in ways} == {
        "good": (2, 0), "first": (1, 1), **{way: (0, 2) for way in expected},
    }  # fmt: skip
    for way in expected:
        assert exhibits[f"latency-{way}"]["value"] is None
    assert exhibits["latency-first"]["value"] == 1.0 + table["first"][1]["seed"] % 5
    told = run_benchpaper(project, "explain", "latency-first", "--scale", "quick").stdout
    assert "1 failed, 1 measured" in told or "1 measured, 1 failed" in told
    assert "2 failed" in run_benchpaper(project, "explain", "latency-dies", "--scale", "quick").stdout
    unknown = run_benchpaper(project, "explain", "latncy-dies")
    refused_in_one_line(unknown, 'exhibit "latncy-dies" not found; did you mean "latency-dies"?')


LAMP = """
from benchpaper.hosts import probe

@probe.capability("lamp", "light", "light the lamp")
def _lamp():
    return (PROJECT / "lamp").exists(), "it is out"

experiment.needs(lambda cell: ["lamp"] if cell.way in ("b", "c") else [])
"""

DARKENING = """
    if cell.way in ("b", "c"):
        if not (PROJECT / "matches").exists():
            (PROJECT / "lamp").unlink()
        open(PROJECT / "lamp").read()
    yield dict(latency_us=1.0)
"""


def test_a_capability_that_vanishes_in_a_run_fails_nothing_and_is_tried_again_when_it_is_back(make_toy, run_benchpaper):
    project = make_toy(DARKENING, levels=["a", "b", "c"], attempts=2, more=LAMP, files={"lamp": ""})
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: " in done.stdout and "failed," not in done.stdout
    first, second = sorted((t for t in trial_table(project) if t["way"] != "a"), key=lambda t: t["position"])
    assert first["state"] == second["state"] == results.NOT_TESTABLE
    assert first["reason"] == "needs lamp (it is out), which vanished during the run" and len(first["attempts"]) == 2
    assert second["reason"] == "needs lamp" and second["attempts"] == []
    assert "1 trials not testable here: needs lamp (it is out), which vanished during the run" in done.stdout
    for name in ("lamp", "matches"):
        (project.root / name).write_text("")
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: 3 trials measured" in done.stdout, done.stdout
    assert len(begun(project)) == 1 + 2 + 2


def test_without_a_c_compiler_the_run_succeeds_and_says_what_is_missing(make_project, run_benchpaper, tmp_path):
    project = make_project({})
    shutil.rmtree(project.experiments)
    shutil.rmtree(project.analysis)
    for folder in ("experiments", "analysis"):
        shutil.copytree(ROOT / folder, project.root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "git", "ip", "env", "uname", "which"):
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    done = run_benchpaper(project, "run", "rdma/fabric", "--scale", "smoke", PATH=str(programs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^rdma/fabric: \d+ trials not testable here, in 2 blocks$", done.stdout, re.M)
    assert re.search(r"^    \d+ trials not testable here: needs cc", done.stdout, re.M), done.stdout
    built = json.loads((project.programs("rdma/fabric") / "built.json").read_text())
    assert built == {"built": False, "missing": ["cc"]}
    manifest = project.build("local", "smoke") / "exhibits/rdma_fabric/exhibits.json"
    exhibits = json.loads(manifest.read_text())["exhibits"]
    assert "needs cc" in exhibits["fabric-latency"]["missing"]
    assert all(entry["missing"] for entry in exhibits.values() if entry["cells"])


# ---- users without a name, and without rights ----


@pytest.fixture
def nameless(measured, tmp_path_factory):
    """Return (project, words): before a command they make its user one that the system does not know, who has no home.
    He may read everything, as if the program were not below root's home, and writes in the project alone."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("becoming another user needs root and setpriv")
    temporary = tmp_path_factory.mktemp("t")
    subprocess.run(["chown", "-R", "-h", "54321:54321", measured.root, temporary], check=True)
    rights = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    user = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups", *rights]
    forgotten = [word for name in ("USER", "LOGNAME", "LNAME", "USERNAME", "XDG_CACHE_HOME") for word in ("-u", name)]
    return measured, [*user, "env", *forgotten, "HOME=/", f"TMPDIR={temporary}"]


def test_a_user_without_a_name_and_a_home_builds_figures(nameless):
    project, words = nameless
    command = [*words, Path(sys.executable).with_name("benchpaper"), "run", "figures", "--from", "reference"]
    done = subprocess.run(command, cwd=project.root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project.build("local", "reference") / "exhibits.tex").exists()
    assert (project.state / "cache" / "snakemake").is_dir()


def test_a_checkout_that_cannot_be_written_is_read_and_all_else_is_refused_in_one_line(measured, run_benchpaper):
    if os.geteuid() != 0:
        pytest.skip("a read-only mount needs root")
    subprocess.run(["mount", "--bind", "-o", "ro", measured.root, measured.root], check=True)
    try:
        for words in (["plan", "toy/one"], ["claims", "--scale", "full"]):
            assert run_benchpaper(measured, *words).returncode == 0
        for words in (["run"], ["run", "-n", "--from", "reference"], ["new", "toy/two"]):
            message = f'"{measured.root}" cannot be written by this user'
            refused_in_one_line(run_benchpaper(measured, *words), message)
    finally:
        subprocess.run(["umount", measured.root], check=True)


# ---- full disks ----


def fill(folder):
    """Fill the file system of a folder to the last byte."""
    with pytest.raises(OSError, match="No space left"), open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            if not file.write(bytes(1 << 16)):
                file.write(b"0")


def one_line_about_the_disk(done, words="No space left on device"):
    told = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in told, told
    (line,) = [line for line in told.splitlines() if words in line]
    assert "make room, and run the same command again to go on" in line


FILLING = """
    if cell.way == "w7" and not (PROJECT / "room").exists():
        with open({where}, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
    yield dict(latency_us=1.0)
"""
WHERES = {
    "scratch": ("site.client.scratch() / 'data'", ".benchpaper"),
    "state": ("PROJECT / '.benchpaper' / 'ballast'", ".benchpaper"),
    "results": ("PROJECT / 'results' / 'ballast'", "results"),
}


@pytest.mark.parametrize("where, folder", WHERES.values(), ids=WHERES)
def test_a_disk_that_fills_while_measuring_is_no_failed_trial(make_toy, run_benchpaper, small_disk, where, folder):
    project = make_toy(FILLING.format(where=where), levels=LEVELS)
    small_disk(project.root / folder, 4096)
    done = run_benchpaper(project, "run", "results")
    one_line_about_the_disk(done)
    kept = journalled(project)
    assert {entry["state"] for entry in kept.values()} <= {"measured"} and len(kept) < len(LEVELS)
    (project.root / "room").write_text("")
    (project.root / folder / "ballast").unlink(missing_ok=True)
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and f"toy/one: {len(LEVELS)} trials measured" in done.stdout, done.stdout + done.stderr
    everything = journalled(project)
    assert {key: everything[key] for key in kept} == kept and len(everything) == len(LEVELS)


EXCEEDING = """
    if cell.way == "w7" and not (PROJECT / "room").exists():
        try:
            with open(site.client.scratch() / "data", "wb", buffering=0) as file:
                while True:
                    file.write(os.urandom(1 << 16))
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)  # without a word
    yield dict(latency_us=1.0)
"""


def test_a_quota_that_is_exceeded_while_measuring_is_no_failed_trial(make_toy, run_benchpaper, small_quota):
    project = make_toy(EXCEEDING, levels=LEVELS)
    small_quota(project.state, 8)
    done = run_benchpaper(project, "run", "results")
    one_line_about_the_disk(done, "Disk quota exceeded")
    assert {entry["state"] for entry in journalled(project).values()} <= {"measured"}
    (project.root / "room").write_text("")
    subprocess.run(["btrfs", "filesystem", "sync", project.state], check=True)
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and f"toy/one: {len(LEVELS)} trials measured" in done.stdout, done.stdout + done.stderr


STARVING = """
    if cell.way == "b" and not (PROJECT / "memory").exists():
        raise MemoryError
    yield dict(latency_us=1.0)
"""


def test_a_trial_that_lacked_memory_fails_the_run_and_the_next_run_measures_it(make_toy, run_benchpaper):
    project = make_toy(STARVING)
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED  measure toy/one: 1 trials failed: no memory was left; the next run measures them again" in done.stdout
    (project.root / "memory").write_text("")
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: 2 trials measured" in done.stdout, done.stdout + done.stderr
    assert len(begun(project)) == 3


@pytest.mark.parametrize("folder, target", [("results", "results"), ("build", "figures")])
def test_a_disk_that_is_full_when_collecting_or_writing_exhibits(measured, run_benchpaper, small_disk, folder, target):
    kept = {path: path.read_bytes() for path in (measured.root / "results").rglob("*.*") if path.is_file()}
    (measured.root / folder).mkdir(exist_ok=True)
    (measured.root / folder).rename(measured.root / "aside")
    small_disk(measured.root / folder, 4096)
    shutil.copytree(measured.root / "aside", measured.root / folder, dirs_exist_ok=True)
    for kind in (results.OBSERVATIONS, results.TRIALS) if target == "results" else ():
        (measured.results("local", "full") / "toy/one" / kind).unlink()
    fill(measured.root / folder)
    command = ["run", target, "--scale", "full"]
    done = run_benchpaper(measured, *command)
    one_line_about_the_disk(done)
    (measured.root / folder / "ballast").unlink()
    done = run_benchpaper(measured, *command)
    assert done.returncode == 0 and "toy/one: 10 trials measured, in 5 blocks" in done.stdout, done.stdout + done.stderr
    for path, data in kept.items():
        assert path.read_bytes() == data or path.name in (results.OBSERVATIONS, results.TRIALS)
    assert not [path for path in measured.root.glob("results/**/.*.tmp")]


# ---- secrets ----

ENVIRONMENT, OPTION, VARIABLE, LOGIN, FILE = (
    f"s3cr3t-{where}-xxxxxxxx" for where in ("environment", "option", "variable", "login", "file")
)

TELLING = f"""
    site.client.run(["true", "--password", {OPTION!r}, "http://alice:{LOGIN}@127.0.0.1/"])
    site.client.run(["true"], env={{"DB_TOKEN": {VARIABLE!r}}})
    print(os.environ["BENCHPAPER_SECRET_KEY"])
    if cell.way == "b":
        script = "echo no login as $2 with $BENCHPAPER_SECRET_KEY >&2; exit 1"
        site.client.run(["sh", "-c", script, "sh", "--password", {OPTION!r}])
    if cell.way == "c":
        raise ValueError(os.environ["BENCHPAPER_SECRET_KEY"])
    yield dict(latency_us=1.0)
"""
BLABBING = """
import os
print("with", os.environ["BENCHPAPER_SECRET_KEY"])
"""


def secrets_below(root):
    """Files below a project that hold a planted secret, apart from those in which they were planted."""
    planted = [root / "experiments", root / "sites", root / "src"]
    written = [path for path in root.rglob("*") if path.is_file() and not any(map(path.is_relative_to, planted))]
    assert len(written) > 20
    return [path for path in written if b"s3cr3t" in unpacked(path)]


def unpacked(path):
    """The bytes of a file; of a Parquet file, whose columns are compressed, its rows too."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    table, described = results.read(path)
    return path.read_bytes() + f"{table.to_pylist()} {described}".encode()


def test_planted_secrets_appear_in_no_output_and_no_file(make_toy, run_benchpaper):
    """The trials tell them in commands and errors, the notebook in what it prints, shows and raises."""
    told = SAVING + '\nos.environ["BENCHPAPER_SECRET_KEY"]'
    book = json.loads(notebook(told, NOTEBOOK + BLABBING))
    raising = "raise ValueError(os.environ['BENCHPAPER_SECRET_KEY'])"
    book["cells"].append({**book["cells"][-1], "id": "raising", "source": raising})
    files = {"analysis/toy_one.ipynb": json.dumps(book), "analysis/claims.py": ""}
    project = make_toy(TELLING, levels=["a", "b", "c"], attempts=2, files=files)
    done = run_benchpaper(project, "run", "figures", "--scale", "smoke", BENCHPAPER_SECRET_KEY=ENVIRONMENT)
    assert done.returncode == 1 and "ValueError: $SECRET" in done.stdout, done.stdout + done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr and not secrets_below(project.root)
    commands = str([trial["commands"] for trial in trial_table(project, "smoke")])
    for word in ("'--password', '$SECRET'", "DB_TOKEN=$SECRET", "http://$SECRET@127.0.0.1/"):
        assert word in commands
    logs = [path.read_text() for path in (project.results("local", "smoke") / "toy/one/failed").iterdir()]
    assert len(logs) == 4 and all("$SECRET" in log for log in logs)
    kept = (project.build("local", "smoke") / "notebooks/toy_one.failed.ipynb").read_text()
    assert kept.count("$SECRET") >= 4  # printed, shown, raised, in the traceback


@pytest.mark.parametrize("host, rule", [
    (f"{{name: here, roles: [client, server], password: {FILE}}}", 'unknown key "password"'),
    (f"{{name: here, roles: [client, server], address: 'http://bob:{FILE}@10.0.0.1'}}", "is not an IP address"),
    (f"{{name: here, roles: [client, server], address: {{token: {FILE}}}}}", "address must be a str"),
])  # fmt: skip
def test_a_secret_in_a_site_file_is_in_no_error(make_toy, run_benchpaper, host, rule):
    project = make_toy(BRIEF, files={"sites/lab.yaml": f"hosts: [{host}]"})
    for command in (["doctor"], ["run", "results"]):
        done = run_benchpaper(project, *command, "--site", "lab")
        assert "s3cr3t" not in done.stdout + done.stderr
        assert done.returncode == 2 and rule in done.stderr, done.stderr


RAISING = "raise ValueError(os.environ['BENCHPAPER_SECRET_KEY'])"
TELL_TALES = {
    "import": (RAISING, ["list"], 2),
    "build": (f"@experiment.build\ndef build(folder):\n    {RAISING}", ["run", "results"], 1),
    "bug": ("experiment.needs(lambda cell: {}[os.environ['BENCHPAPER_SECRET_KEY']])", ["list"], 1),
}


@pytest.mark.parametrize("more, words, status", TELL_TALES.values(), ids=TELL_TALES)
def test_a_mistake_in_an_experiment_shows_no_secret(make_toy, run_benchpaper, more, words, status):
    project = make_toy(BRIEF, more=more)
    done = run_benchpaper(project, *words, BENCHPAPER_SECRET_KEY=ENVIRONMENT)
    assert done.returncode == status and "s3cr3t" not in done.stdout + done.stderr, done.stdout + done.stderr
    assert "$SECRET" in done.stdout + done.stderr
    assert not [path for path in project.root.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


# ---- the machine is as before (tests/conftest.py looks after the whole suite) ----


def test_what_a_test_leaves_on_the_machine_is_noticed(left_behind, tmp_path):
    assert left_behind() == {}
    code = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('ready', flush=True); time.sleep(60)"
    server = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    server.stdout.readline()
    shared = Path("/dev/shm", f"benchpaper-test-{os.getpid()}")
    opened = shared.open("w")  # what is in use is taken away by nobody
    try:
        assert {"processes", "listening ports", "POSIX shared memory"} <= set(left_behind())
    finally:
        opened.close()
        shared.unlink()
        server.kill()
        server.wait()
        server.stdout.close()
    assert not {"processes", "listening ports"} & set(left_behind())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts and namespaces need root")
def test_a_mount_and_a_namespace_that_a_test_leaves_are_noticed(left_behind, tmp_path):
    name = f"benchpaper-test-{os.getpid()}"
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("mount is not allowed here")
    try:
        assert "mounts" in left_behind()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    if shutil.which("ip") and subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0:
        try:
            assert "network namespaces" in left_behind()
        finally:
            subprocess.run(["ip", "netns", "delete", name], check=True)

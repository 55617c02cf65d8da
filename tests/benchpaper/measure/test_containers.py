"""A trial's commands run in a container, which ends with its trial."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import images
import pytest

from benchpaper import results
from benchpaper.core import deployment
from benchpaper.core.deployment import containers
from benchpaper.core.processes import descendants
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.design.plan import make_plan
from benchpaper.hosts import cleanup
from benchpaper.hosts import site as sites
from benchpaper.hosts.probed import Presence, ProbedHost, ProbedSite
from benchpaper.measure.block import Block
from benchpaper.workflow import reasons

pytestmark = pytest.mark.skipif(not images.engines(), reason="needs podman, or docker's daemon")

DECLARE = """
from benchpaper.design.environments import Container, Environments
experiment.environments = Environments.of(Container({image!r}{more}), ["client"])
"""
MEASURE = """
import sys
from pathlib import Path
from benchpaper.core.project import Project
from benchpaper.workflow.pipeline import Pipeline
Pipeline(Project(Path(sys.argv[1])), "local", "smoke", 1).block("toy/one", 0).measure()
"""


@pytest.fixture(scope="module", params=images.engines())
def engine(request, tmp_path_factory):
    """An engine that has the image."""
    images.make(request.param, tmp_path_factory.mktemp("image"))
    _, detail = catalog.capabilities.find_capability(f"container:{images.NAME}").check()
    if "it cannot run the image" in detail:  # crun where both versions of cgroups are mounted
        images.remove(request.param)
        pytest.skip(detail)
    yield request.param
    images.remove(request.param)
    assert not images.containers(request.param, "--all")


@pytest.fixture
def toy(make_toy):
    """Return `make(body, ...)`: toy/one, whose commands run in the image."""

    def make(body, more="", **options):
        declared = DECLARE.format(image=images.NAME, more=more)
        return make_toy(body, more=declared, **{"timeout_s": 100.0, **options})

    return make


@pytest.fixture
def measure(probed_once, is_running):
    """Return `measure(project)`: the block of toy/one, measured where the image is looked for."""

    def measure(project, detail=None):
        name = f"container:{images.NAME}"
        there = Presence(True, detail or deployment.find(name).identity)
        here = probed_once.here
        known = {**here.capabilities, name: there}
        probed = ProbedSite(ProbedHost(here.facts, known, here.identity))
        experiment = catalog.load(project, "toy/one")
        plan = make_plan(experiment, "smoke", 1)
        block = Block(project, experiment, plan, 0, sites.load(project, "local"), probed)
        block.measure()
        return block

    yield measure
    # podman cleans up after looking at an image.
    within(60, lambda: not any(map(is_running, descendants(os.getpid()))))


def trials(block):
    table, described = results.read(block.files[1])
    return table.to_pylist(maps_as_pydicts="strict"), described


def within(seconds, true):
    end = time.monotonic() + seconds
    while not (answer := true()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
    return answer


WORK = """
    site.client.run(["touch", "made"])
    data = site.client.scratch() / "data"
    data.write_text("from outside")
    here = Path(__file__)
    words = site.client.provide(here.parents[2] / "words")
    read = site.client.run(["cat", "/etc/inside", data, words], env=dict(A="1")).stdout
    assert read == "in the image\\nfrom outsideprovided", read
    assert "A=1" in site.client.run(["env"], env=dict(A="1")).stdout.split()
    assert site.client.outside.run(["ls", "/etc/inside"], check=False).returncode == 2
    assert site.client.outside.run(["ls", here]).returncode == 0
    assert site.client.run(["ls", here], check=False).returncode == 2  # it was not provided
    own = site.client.outside.run(["id", "-u"]).stdout
    assert site.client.run(["id", "-u"]).stdout == own
    with site.client.start(["sh", "-c", "echo ready; exec sleep 300"]) as server:
        assert server.read_line() == "ready"
    yield dict(latency_us=1.0)
"""


def test_commands_run_in_the_image_and_the_trial_stays_outside(engine, toy, measure):
    block = measure(toy(WORK, files={"experiments/words": "provided"}))
    (trial,), described = trials(block)
    assert trial["state"] == "measured", trial["reason"]
    found = deployment.find(f"container:{images.NAME}")
    assert trial["tools"]["environment"] == f"container:{images.NAME} = {found.identity}"
    (environment,) = described[results.ENVIRONMENTS]
    assert environment["role"] == "client" and environment["identity"] == found.identity
    assert re.fullmatch("(image|file) sha256:[0-9a-f]{64}", environment["contents"][0])
    shown = [command["argv"] for command in trial["commands"]]
    assert shown[:2] == [["touch", "made"], ["env", "A=1", "cat", "/etc/inside", *shown[1][4:]]]
    assert not any(engine in word for argv in shown for word in argv)


FAILS = [
    ('site.client.run(["no-such-program"])', "no-such-program in a container on client ended with"),
    ('site.client.run(["ls", "/nowhere"])', "ls in a container on client ended with status 2"),
    ('site.client.run(["sleep", "300"], timeout=2)', "sleep in a container on client did not end"),
    ("site.client.python", "host.python is no program of the container of client"),
    ('site.client.start(["sleep", "300"]).read_line(1)', "sleep in a container on client printed"),
    ('site.client.provide("/usr/bin/../a:b"); site.client.run(["id"])', "holds a colon"),
]


def test_what_fails_in_a_container_names_the_command(engine, toy, measure):
    body = "\n".join(f"if cell.way == '{number}': {call}" for number, (call, _) in enumerate(FAILS))
    block = measure(toy(body + "\nyield {}", levels=tuple(map(str, range(len(FAILS))))))
    rows, _ = trials(block)
    for row in rows:
        assert FAILS[int(row["way"])][1] in row["reason"]
    assert not images.containers(engine, "--all")


LEFT = """
for n in range(2):
    server = site.client.start(["sh", "-c", "echo ready; exec sleep 300"])
    assert server.read_line(60) == "ready"
Path({sign!r}).write_text("on")
{end}
yield dict(latency_us=1.0)
"""


def test_forgotten_containers_end_with_their_trial(engine, toy, measure, tmp_path):
    measure(toy(LEFT.format(sign=str(tmp_path / "on"), end="")))
    assert not images.containers(engine, "--all")


@pytest.mark.parametrize("whom", ["controller", "controller and keeper"])
def test_no_container_outlives_a_killed_controller(engine, toy, tmp_path, whom):
    project = toy(LEFT.format(sign=str(tmp_path / "on"), end="time.sleep(300)"), timeout_s=300)
    controller = subprocess.Popen([sys.executable, "-c", MEASURE, project.root])
    try:
        within(120, (tmp_path / "on").exists)
        within(60, lambda: len(images.containers(engine)) == 2)
        (keeper,) = filter(waits_for_a_process, children(controller.pid))
        if whom == "controller and keeper":
            os.kill(keeper, 9)
    finally:
        controller.kill()
        controller.wait()
    if whom == "controller and keeper":
        what = "a process" if engine == "apptainer" else "a container"
        assert what in cleanup.sweep(Project(project.root))
    within(60, lambda: not images.containers(engine, "--all"))


def children(pid):
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return list(map(int, text.split()))


def waits_for_a_process(pid):
    try:
        return "pidfd" in os.readlink(f"/proc/{pid}/fd/3")
    except OSError:
        return False


def test_another_image_makes_trials_stale(engine, toy, measure):
    project = toy('site.client.run(["id"])\nyield dict(latency_us=1.0)')
    before = measure(project)
    now = {**before.depends, "tools": {"environment": "container:x = image 2"}}
    (why,) = reasons.reasons(before.depends, now)
    assert why.startswith("environment container:") and why.endswith("-> container:x = image 2")


def test_an_image_that_is_replaced_after_probing_stops_the_run(engine, toy, measure):
    with pytest.raises(Exception, match=r"was image 1 a moment ago, and is image \w+"):
        measure(toy("yield dict(latency_us=1.0)"), detail="image 1")


def test_an_image_that_is_not_there_is_named_with_its_remedy(engine):
    present, detail = catalog.capabilities.find_capability("container:localhost/none:1").check()
    none = "no ~/.local/share" if engine == "apptainer" else "no such image"
    assert not present and f"{engine}: {none}" in detail
    assert "podman build" in containers.remedy("localhost/none:1")
    assert "podman pull docker.io/a/b:1" in containers.remedy("docker.io/a/b:1")

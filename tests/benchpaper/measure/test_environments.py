"""A trial's commands run in a Conda environment or with modules, which its results name."""

import json
import shutil
from pathlib import Path

import pytest

from benchpaper import results
from benchpaper.cli import views
from benchpaper.cli.diagnosis_text import show_diagnosis
from benchpaper.core import deployment
from benchpaper.core.deployment import Software
from benchpaper.core.errors import UserError
from benchpaper.design import catalog
from benchpaper.hosts import presence
from benchpaper.hosts import site as sites
from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probed import Presence, ProbedHost, ProbedSite
from benchpaper.measure.inside import InsideContainer, Recorder
from benchpaper.workflow import plans, reasons
from benchpaper.workflow.pipeline import Pipeline

DECLARE = """
from benchpaper.design.environments import Conda, Environments, Module
experiment.environments = Environments.of({}, ["client"])
"""
TELLS = """
    told = site.client.run(["tells"], env=dict(MORE="2")).stdout.split()
    with site.client.start(["sh", "-c", "tells; exec sleep 300"]) as process:
        assert process.read_line().split()[0] == told[0]
    assert "CONDA_PREFIX" not in os.environ and "TELLS" not in os.environ
    outside = site.client.outside.run(["sh", "-c", "type tells"], check=False)
    assert outside.returncode != 0
    yield dict(latency_us=float(told[0]))
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder of one's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("CONDA_ENVS_PATH", "CONDA_ENVS_DIRS", "MAMBA_ROOT_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def make_conda(home, name, number="1", token=""):
    """Make what conda makes: a prefix with programs, metadata, variables, and scripts."""
    prefix = home / "elsewhere" / name
    shutil.rmtree(prefix, ignore_errors=True)
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "conda-meta/history").touch()
    for package in ("tells", "zlib"):
        url = f"https://conda.anaconda.org{token}/conda-forge/linux-64/{package}-{number}-0.conda"
        about = {"name": package, "version": number, "url": url, "md5": "0" * 32}
        (prefix / f"conda-meta/{package}-{number}-0.json").write_text(json.dumps(about))
    (prefix / "conda-meta/state").write_text(json.dumps({"env_vars": {"OF_STATE": "yes"}}))
    program(prefix / "bin/tells", f"echo {number} $CONDA_DEFAULT_ENV $OF_STATE $OF_SCRIPT $MORE")
    scripts = prefix / "etc/conda/activate.d"
    scripts.mkdir(parents=True)
    (scripts / "tells.sh").write_text("echo noise; export OF_SCRIPT=$CONDA_PREFIX/x\n")
    pip = prefix / "lib/python3.11/site-packages/pure-1.0.dist-info"
    pip.mkdir(parents=True)
    (pip / "INSTALLER").write_text("pip\n")
    known = home / ".conda/environments.txt"
    known.parent.mkdir(parents=True, exist_ok=True)
    known.write_text(f"/gone\n{prefix}\n")
    return prefix


def block(project):
    return Pipeline(project, "local", "smoke", 1).block("toy/one", 0)


def read(made):
    table, described = results.read(made.files[1])
    return table.to_pylist(maps_as_pydicts="strict"), described


def test_a_trial_runs_in_a_conda_environment(make_toy, home):
    make_conda(home, "tools", token="/t/ab-cdef-0123456789")
    project = make_toy(TELLS, more=DECLARE.format("Conda('tools')"))
    made = block(project)
    made.measure()
    (trial,), described = read(made)
    assert trial["state"] == "measured", trial["reason"]
    (environment,) = described[results.ENVIRONMENTS]
    assert environment["contents"] == [
        f"https://conda.anaconda.org/conda-forge/linux-64/{name}-1-0.conda#{'0' * 32}"
        for name in ("tells", "zlib")
    ] + ["pip: pure==1.0"]  # as conda lists it, without the token
    assert trial["tools"]["environment"].startswith("conda:tools = 3 packages, digest ")
    assert trial["commands"][0]["argv"] == ["env", "MORE=2", "tells"]


def test_the_variables_of_a_conda_environment(home):
    prefix = make_conda(home, "tools")
    variables = deployment.find("conda:tools").variables
    assert variables["PATH"].split(":")[0] == f"{prefix}/bin"
    assert variables["OF_STATE"] == "yes" and variables["OF_SCRIPT"] == f"{prefix}/x"
    assert not {"HOME", "LANG", "PWD", "_"} & set(variables)


@pytest.mark.parametrize("text", ["exit 0", "echo no licence >&2; exit 3"])
def test_a_conda_environment_that_cannot_be_activated_counts_as_absent(home, text):
    prefix = make_conda(home, "tools")
    (prefix / "etc/conda/activate.d/tells.sh").write_text(text)
    present, detail = catalog.capabilities.find_capability("conda:tools").check()
    said = "no licence" if "licence" in text else "nothing"
    assert (present, detail) == (False, f"its scripts for activation fail; they said: {said}")


def test_a_package_of_pip_is_listed_once(home):
    prefix = make_conda(home, "tools")
    (prefix / "lib/python3.1").symlink_to("python3.11")  # as conda-forge makes it
    assert deployment.find("conda:tools").contents[-2:].count("pip: pure==1.0") == 1


def test_another_package_makes_trials_stale(make_toy, home):
    make_conda(home, "tools")
    project = make_toy(TELLS, more=DECLARE.format("Conda('tools')"))
    before = block(project)
    before.measure()
    make_conda(home, "tools", number="2")
    after = block(project)
    assert after.key != before.key
    (why,) = reasons.reasons(after.before(), after.depends)
    assert why.startswith("environment conda:tools = 3 packages, digest ")
    assert after.measure() == 1
    make_conda(home, "tools")
    assert block(project).measure() == 0  # its trials were never lost


def test_a_missing_environment_is_a_gap_until_it_is_there(make_toy, home):
    files = {"envs/tools.yaml": "dependencies: [tells]\n"}
    declared = DECLARE.format("Conda('envs/tools.yaml')")
    project = make_toy(TELLS, more=declared, files=files)
    made = block(project)
    made.measure()
    (trial,), described = read(made)
    (name,) = catalog.load(project, "toy/one").environments.names.values()
    assert trial["state"] == "not testable here" and trial["reason"] == f"needs {name}"
    assert results.ENVIRONMENTS not in described
    called = "tools-" + name.partition("#")[2]
    capability = catalog.capabilities.find_capability(name)
    assert capability.remedy.startswith(f"conda env create --name {called} --file envs/tools.yaml ")
    assert capability.check() == (False, f'no Conda environment is named "{called}"')
    make_conda(home, called)
    again = block(project)
    assert again.measure() == 1
    assert read(again)[0][0]["state"] == "measured"
    (project.root / "envs/tools.yaml").write_text("dependencies: [tells, zlib]\n")
    other = block(project)  # another file, another environment
    assert other.key not in (made.key, again.key)
    why, *_ = reasons.reasons(again.depends, other.depends)
    assert why.startswith(f"environment of client {name} -> conda:envs/tools.yaml#")


def test_an_environment_that_vanishes_during_a_trial_makes_it_no_failure(make_toy, home):
    prefix = make_conda(home, "tools")
    body = f"import shutil; shutil.rmtree({str(prefix)!r})\nsite.client.run(['tells'])\nyield {{}}"
    made = block(make_toy(body, more=DECLARE.format("Conda('tools')")))
    made.measure()
    (trial,), _ = read(made)
    assert trial["state"] == "not testable here"
    reason = 'needs conda:tools (no Conda environment is named "tools"), which vanished'
    assert trial["reason"].startswith(reason)


def test_plan_and_doctor_name_what_is_missing_with_the_remedy(make_toy, home, capsys):
    project = make_toy(TELLS, more=DECLARE.format("Conda('tools')"), levels=("a", "b"))
    run = Pipeline(project, "local", "smoke", 1)
    plans.show_plans([plans.plan(run, "toy/one")])
    remedy = 'no Conda environment is named "tools"): make an environment of that name'
    assert f"  2 cells need conda:tools ({remedy}" in capsys.readouterr().out
    show_diagnosis(views.diagnosis(run)[0])
    shown = " ".join(capsys.readouterr().out.split())  # without its line ends
    assert "toy/one: 0 of 2 cells can run here" in shown
    assert f" 2 cells wait for conda:tools ({remedy}" in shown


def test_each_host_that_lacks_an_environment_is_named():
    """And no other: a role's environment is looked for on that role's host."""
    entries = {role: sites.HostEntry(name=f"h-{role}", roles=(role,)) for role in "abc"}
    known = {"conda:x": catalog.capabilities.find_capability("conda:x")}

    def host(present):
        return ProbedHost({}, {"conda:x": Presence(present, "here" if present else "none")}, "")

    there = {"h-a": host(False), "h-b": host(True), "h-c": host(False)}
    probed = ProbedSite(host(True), there)
    answer = presence.capabilities(probed, entries, known)["conda:x"]
    assert answer == Presence(False, "h-a: none; h-c: none")
    only = presence.capabilities(probed, entries, known, {"conda:x": {"b"}})["conda:x"]
    assert only == Presence(True, "here")


@pytest.mark.parametrize("declared, problem", [
    ("Container('gcc:13')", "must begin with its registry"),
    ("Container('docker.io/a/b@sha256:12')", "must begin with its registry"),
    ("Container('localhost/x:1', options='-t')", "must be a list of texts"),
    ("Conda('/opt/envs/x.yaml')", "must be a path below the project"),
    ("Conda('../x.yaml')", "must be a path below the project"),
    ("Conda('a b')", "must be a name, or a file"),
    ("Conda('envs/none.yaml')", "envs/none.yaml: No such file"),
    ("Module()", "must be a name such as gcc/13"),
    ("Module('--help')", "must be a name such as gcc/13"),
    ("'gcc'", "must be Container"),
    ("{'server': Conda('x')}", 'environment is for "server", which is no role'),
    ("{'client': 'x'}", "environment of client 'x' must be Container"),
])  # fmt: skip
def test_a_mistake_in_an_environment_is_named_in_one_line(make_toy, declared, problem):
    more = DECLARE.replace("import Conda", "import Container, Conda").format(declared)
    project = make_toy("yield dict(latency_us=1.0)", more=more)
    with pytest.raises(UserError) as refused:
        catalog.load(project, "toy/one")
    text = str(refused.value)
    assert problem in text and "\n" not in text and "experiments/toy/one/experiment.py" in text


def test_a_role_may_have_an_environment_of_its_own(make_toy, home):
    make_conda(home, "tools")
    body = """
        site.server.run(["tells"])
        assert site.client.run(["sh", "-c", "type tells"], check=False).returncode != 0
        yield dict(latency_us=1.0)
    """
    more = DECLARE.replace('["client"]', "['client', 'server']").format(
        "{'server': Conda('tools')}"
    )
    project = make_toy(body, more=more + "experiment.roles = ('client', 'server')")
    made = block(project)
    made.measure()
    (trial,), _ = read(made)
    assert trial["state"] == "measured", trial["reason"]
    assert "environment of server" in trial["tools"]


@pytest.mark.parametrize("host, context, elsewhere", [
    ("", "unix:///run/docker.sock", False),
    ("", "ssh://far.example", True),
    ("tcp://far.example:2375", "", True),
    ("unix:///run/user/1/docker.sock", "unix:///run/docker.sock", False),
    ("", "", False),  # podman's imitation of docker knows no contexts
])  # fmt: skip
def test_a_daemon_on_another_machine_runs_no_trial(tmp_path, monkeypatch, host, context, elsewhere):
    asked = f'[ "$1" != context ] || {{ echo {context}; exit {int(not context)}; }}; exit 1'
    program(tmp_path / "bin/docker", asked)
    (tmp_path / "bin/env").symlink_to(shutil.which("env"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no other engine
    monkeypatch.setenv("DOCKER_HOST", host)
    _, detail = catalog.capabilities.find_capability("container:localhost/none:1").check()
    assert ("docker: its daemon is on another machine" in detail) == elsewhere


def test_a_container_cannot_write_the_notes_of_what_is_undone(tmp_path):
    """The host runs what they say, as the user who measures."""
    program(tmp_path / "engine", 'printf "%s\\n" "$@"')
    (tmp_path / "role").mkdir()
    software = Software("x", engine=(str(tmp_path / "engine"),), kind="podman", image="x")
    recorder = Recorder(lambda host, argv: lambda status: None)
    host = InsideContainer(LocalHost(folder=tmp_path / "role"), software, recorder)
    data = host.scratch()
    words = host.run(["id"]).stdout.splitlines()
    seen = [word.split("=")[1].split(":")[0] for word in words if word.startswith("--volume=")]
    (note,) = (tmp_path / "role").glob("*.json")
    assert str(data) in seen and not any(note.is_relative_to(folder) for folder in seen)


# ---- modules ----

NEEDS_MODULES = pytest.mark.skipif(
    not (Path("/usr/share/modules/init/bash").exists() or Path("/usr/share/lmod").exists()),
    reason="needs environment-modules or lmod",
)


@pytest.fixture
def modulefiles(tmp_path, monkeypatch):
    """A folder of modulefiles with tells/1 and tells/2, on MODULEPATH."""
    for number in "12":
        program(tmp_path / f"tells-{number}/bin/tells", f"echo {number} $TELLS $MORE")
        file = tmp_path / "modules/tells" / number
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(
            f"#%Module1.0\nprepend-path PATH {tmp_path}/tells-{number}/bin\nsetenv TELLS yes\n"
        )
    monkeypatch.setenv("MODULEPATH", str(tmp_path / "modules"))
    return tmp_path / "modules"


@NEEDS_MODULES
def test_a_trial_runs_with_modules(make_toy, modulefiles):
    project = make_toy(TELLS, more=DECLARE.format("Module('tells/2')"))
    made = block(project)
    made.measure()
    (trial,), described = read(made)
    assert trial["state"] == "measured", trial["reason"]
    (environment,) = described[results.ENVIRONMENTS]
    (line,) = environment["contents"]
    assert line.startswith("tells/2 sha256:") and len(line) == len("tells/2 sha256:") + 64
    assert trial["tools"]["environment"].startswith("module:tells/2 = tells/2, digest ")
    (modulefiles / "tells/2").write_text((modulefiles / "tells/2").read_text() + "setenv A b\n")
    assert block(project).key != made.key


@NEEDS_MODULES
@pytest.mark.parametrize("name", ["tells", "tells/latest"])
def test_a_module_without_a_version_is_recorded_with_it(modulefiles, name):
    (modulefiles / "tells/.modulerc").write_text("#%Module1.0\nmodule-version tells/2 latest\n")
    found = deployment.find(f"module:{name}")
    assert found.identity.startswith("tells/2, digest ") and found.variables["TELLS"] == "yes"
    names = set(found.variables)
    assert "PATH" in names and not [name for name in names if name.startswith(("BASH_", "__"))]


@NEEDS_MODULES
def test_a_missing_module_is_named_with_its_remedy(modulefiles):
    capability = catalog.capabilities.find_capability("module:none/3+tells")
    present, detail = capability.check()
    assert not present and "none/3" in detail and "\n" not in detail
    assert "module avail none" in capability.remedy


def test_without_a_module_command_that_is_said(monkeypatch):
    modules = deployment.KINDS["module"]
    monkeypatch.setattr(modules, "LOAD", f"exit {modules.NO_COMMAND}")
    present, detail = catalog.capabilities.find_capability("module:gcc/13").check()
    assert (present, detail.split(":")[0]) == (False, "no command `module`")

"""`./reproduce` sets up only what its arguments need, on a small project and simulated machines."""

import shutil

import pytest
from entry_script import CURL, SIZES, TEX, Project, assert_one_line


@pytest.fixture
def bare(tmp_path):
    """A project where nothing is set up."""
    return Project(tmp_path)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("prepared"))
    done = project.run("test")  # it needs everything
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def ready(prepared):
    """A project that is set up; what a test changes about it and its machine is put back."""
    yield prepared
    prepared.write("packages.apt", CURL)
    prepared.program("id", "echo 1000")
    prepared.program("sudo", "exit 1")
    prepared.program("apt-get", "exit 100")
    (prepared.root / ".benchpaper" / "apt-failed").unlink(missing_ok=True)


FAMILIES = ["rdma", "streaming"]
GROUPS = ["paper", "bundle", "report", "measure", *FAMILIES, "guests", "hosts", "tests"]
NEEDED = {
    "--from reference": "paper",
    "--from=reference --site guests": "paper",
    "--from reference figures": "",
    "--from reference report": "report",
    "--from reference bundle": "paper bundle",
    "-n": "",
    "rdma/fabric": "paper measure rdma",
    "results rdma streaming": "measure rdma streaming",
    "results --scale smoke --seed 2": "measure rdma streaming",
    "results --site guests rdma": "measure rdma guests",
    "results --site=far rdma": "measure rdma hosts",
    "results no/such": "measure",
    "lint": "measure",
    "docs": "",
    "test": "paper bundle report measure rdma streaming guests hosts tests",
    "--for rdma,guests": "measure rdma guests",
    "--for all -n": "paper bundle report measure rdma streaming guests hosts tests",
}


@pytest.fixture(scope="module")
def grouped(prepared):
    """The project with more groups, each with a package of its name, and with two sites."""
    lines = [f"[{group}]  # 1 MB: what {group} needs\nthe-{group}\n" for group in GROUPS]
    prepared.write("packages.apt", CURL + "".join(lines))
    for folder in ("experiments/rdma", "experiments/streaming", "sites", "tests", "sphinx"):
        (prepared.root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("tests/lint.py", "sphinx/__main__.py"):
        prepared.write(name, "")
    for name, kind in {"guests": "uml", "far": "ssh"}.items():
        prepared.write(f"sites/{name}.yaml", f"hosts:\n  - {{name: a, kind: {kind}}}\n")
    yield prepared
    prepared.write("packages.apt", CURL)
    for folder in ("experiments", "sites", "tests", "sphinx"):
        shutil.rmtree(prepared.root / folder)


@pytest.mark.parametrize("words", NEEDED)
def test_only_the_groups_that_the_arguments_need_are_asked_for(grouped, words):
    done = grouped.run(*words.split())
    assert done.returncode == 0, done.stderr
    _, _, asked = done.stderr.partition("--no-install-recommends ")
    assert asked.split() == [f"the-{group}" for group in NEEDED[words].split()]
    if asked:
        assert f" for {', '.join(NEEDED[words].split())}; " in done.stderr


def test_a_group_that_does_not_exist_is_refused_and_help_lists_all(grouped):
    assert_one_line(grouped.run("--for", "rdam"), "--for rdam", "python paper bundle", '"all"')
    assert_one_line(grouped.run("rdma", "--for"), "--for needs a group", "python paper bundle")
    assert "  rdma              1 MB: what rdma needs\n" in grouped.run("--help").stdout


def test_with_for_alone_it_sets_up_and_runs_nothing(ready):
    assert ready.run("--for", "python").stdout == ""
    assert ready.run("--for", "python", "figures").stdout == "run|figures\n"


def test_each_group_is_named_with_its_size(ready):
    ready.write("packages.apt", CURL + TEX + "[bundle]\npoppler\n")
    ready.program("id", "echo 0")
    ready.program("apt-get", SIZES)
    size = "(12.3 MB to download, 45 MB on disk)"
    done = ready.run("bundle", "--from", "reference")
    assert f"installing system packages for paper {size}, bundle {size}," in done.stderr


def test_the_environment_holds_what_the_arguments_need_and_grows(bare):
    other = bare.make_wheel("other")
    lock = (bare.root / "requirements.lock").read_text()
    bare.write("requirements.lock", f"{lock}other==9 --hash=sha256:{other}\n")
    bare.write("requirements.extras", "# remark\nother core\npytest dev\n")

    def installed():
        (packages,) = (bare.root / ".venv" / "lib").glob("python3*/site-packages")
        return {path.name for path in packages.iterdir()} & {"pytest", "other"}

    done = bare.run("--from", "reference")
    assert done.stdout == "run|--from|reference\n" and "about 0.9 GB" in done.stderr
    assert installed() == {"other"}
    done = bare.run("test")
    assert done.stdout.startswith("pytest|") and "adding to the virtual env" in done.stderr
    assert installed() == {"other", "pytest"}
    assert bare.run("--from", "reference").stderr == ""

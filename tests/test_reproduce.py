"""The entry script, on a small project; stand-in programs on PATH simulate other machines."""

import os
import resource
import shutil
import subprocess
import sys

import pytest
from entry_script import CURL, SIZES, TEX, Project, assert_one_line
from test_docs import BUILD


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


def test_help_sets_nothing_up(bare):
    done = bare.run("figures", "--help")
    assert done.returncode == 0
    for word in (
        "./reproduce test",
        "--no-system",
        "--scale",
        "--site",
        "--from reference",
        ".venv/bin/benchpaper",
    ):
        assert word in done.stdout
    assert bare.calls.read_text() == ""
    assert not (bare.root / ".venv").exists()


def test_another_architecture_is_refused_in_one_line(bare):
    bare.program("uname", "echo Linux aarch64")
    assert_one_line(bare.run(), "Linux aarch64", "Linux x86_64")


def test_another_system_is_refused_in_one_line(bare):
    (bare.root.parent / "os-release").write_text("ID=fedora\nVERSION_ID=41\n")
    assert_one_line(bare.run(), "fedora 41", "Debian 12 and 13 and Ubuntu 24.04", "--no-system")


def test_an_ordinary_user_without_venv_gets_one_line_with_all_that_is_missing(bare):
    bare.take_python()
    bare.write("packages.apt", CURL + "python3-venv  # makes .venv\n" + TEX)
    assert_one_line(bare.run(), "apt-get install --no-install-recommends python3-venv texlive")


def test_without_venv_no_system_still_names_the_package(bare):
    bare.take_python()
    assert_one_line(bare.run("--no-system"), "apt-get install --no-install-recommends python3-venv")
    assert bare.called("apt-get") == bare.called("sudo") == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="a read-only mount needs root")
def test_a_checkout_that_cannot_be_written_is_refused_in_one_line(bare):
    subprocess.run(["mount", "--bind", "-o", "ro", bare.root, bare.root], check=True)
    try:
        assert_one_line(
            bare.run(),
            str(bare.root),
            "is not writable",
            "copy the repository to a folder of yours",
        )
    finally:
        subprocess.run(["umount", bare.root], check=True)


def test_a_python_that_was_asked_for_is_not_replaced(bare):
    bare.environment["PYTHON"] = "/no/such/python"
    assert_one_line(bare.run(), "PYTHON=/no/such/python", "3.11")


@pytest.mark.parametrize("arguments", [("list",), ("explain", "C1"), ("--no-system", "doctor")])
def test_other_commands_of_benchpaper_are_pointed_to(bare, arguments):
    assert_one_line(
        bare.run(*arguments),
        f".venv/bin/benchpaper {' '.join(arguments).removeprefix('--no-system ')}",
    )


def test_arguments_reach_benchpaper_as_they_were(ready):
    done = ready.run("figures", "--no-system", "--site", "two words")
    assert done.stdout == "run|figures|--site|two words\n"


def test_when_nothing_is_to_do_it_is_silent_and_quick(ready):
    """Allow a few times the CPU time of an empty Python run, however slow or busy the machine is.

    On an idle machine it takes 0.03 s, benchpaper's stand-in included.
    """

    def cost(act):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        act()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def silent():
        done = ready.run()
        assert (done.stdout, done.stderr) == ("run\n", "")

    nothing = min(
        cost(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)) for _ in range(5)
    )
    assert min(cost(silent) for _ in range(5)) < 8 * nothing


def test_a_folder_copied_with_its_environment_gets_one_of_its_own(ready, tmp_path):
    root, copy = ready.root, tmp_path / "the copy"
    shutil.copytree(root, copy, symlinks=True)
    ready.root = copy
    try:
        done = ready.run()
    finally:
        ready.root = root
    assert done.stdout == "run\n" and "making the virtual environment .venv" in done.stderr
    assert str(copy) in (copy / ".venv" / "bin" / "benchpaper").read_text()


def test_an_environment_whose_benchpaper_was_replaced_gets_its_own_again(ready):
    (packages,) = (ready.root / ".venv" / "lib").glob("python3*/site-packages")
    (packages / "__editable__.benchpaper-1.pth").write_text("/another/checkout/src\n")
    done = ready.run()
    assert done.stdout == "run\n" and "making the virtual environment" not in done.stderr
    installs = (
        (ready.root / ".benchpaper" / "setup.log")
        .read_text()
        .count("Successfully installed benchpaper-1")
    )
    (packages / "__editable__.benchpaper-1.pth").unlink()
    assert installs == 2
    assert ready.run().returncode == 0  # so that the next test finds a complete environment


def test_an_ordinary_user_gets_one_line_to_paste_and_goes_on(ready):
    ready.write("packages.apt", "# a remark\n" + CURL + TEX)
    done = ready.run()
    assert (done.returncode, done.stdout) == (0, "run\n")
    assert done.stderr.count("\n") == 1, done.stderr
    line = done.stderr.rstrip()
    assert line.endswith("sudo apt-get install --no-install-recommends texlive")


def test_packages_for_tests_are_asked_of_nobody_else(ready):
    ready.write("packages.apt", CURL + "[tests]\ntexlive  # a remark\n")
    assert (ready.run("figures").stderr, ready.called("apt-get")) == ("", [])
    assert ready.run("test").stderr.rstrip().endswith("--no-install-recommends texlive")


def test_no_system_leaves_the_system_alone(ready):
    ready.write("packages.apt", CURL + TEX)
    done = ready.run("--no-system")
    assert (done.stdout, done.stderr) == ("run\n", "")
    assert ready.calls.read_text() == ""


@pytest.mark.parametrize("user", ["root", "sudoer"])
def test_whoever_may_installs_what_is_missing_and_says_how_large_it_is(ready, user):
    ready.write("packages.apt", CURL + TEX)
    ready.program("apt-get", SIZES)
    if user == "root":
        ready.program("id", "echo 0")
    else:
        ready.program("sudo", 'shift; exec "$@"')
    done = ready.run()
    assert done.stdout == "run\n"
    assert "12.3 MB to download, 45 MB on disk" in done.stderr
    install = ready.called("apt-get")[-1]
    assert "--no-install-recommends" in install
    assert install.endswith(" texlive")
    assert bool(ready.called("sudo")) == (user == "sudoer")


UNITS = """
echo 'cron.service enabled enabled'
[ ! -e "$HOME/installed" ] || printf '%s enabled enabled\\n' nfs-server.service rpcbind.socket
"""


def test_what_is_installed_does_not_start_with_the_machine(ready):
    for tool in ("comm", "xargs", "touch"):
        (ready.bin / tool).symlink_to(shutil.which(tool))
    for stand_in in ("install", "rm"):  # of the policy that forbids starts during installation
        ready.program(stand_in, "exit 0")
    ready.write("packages.apt", CURL + TEX)
    ready.program("id", "echo 0")
    ready.program("systemctl", UNITS)
    ready.program("apt-get", 'case "$*" in *"-q -y "*" install "*) touch "$HOME/installed" ;; esac')
    assert ready.run().stdout == "run\n"
    asked = [line for line in ready.called("systemctl") if "list-unit-files" in line]
    assert asked and all("--type=service,socket" in line for line in asked)
    disabled = [line for line in ready.called("systemctl") if " disable " in line]
    assert disabled == ["systemctl disable nfs-server.service rpcbind.socket"]


def test_a_failing_apt_is_no_end_and_is_not_tried_on_every_run(ready):
    ready.write("packages.apt", CURL + TEX)
    ready.program("id", "echo 0")
    ready.program("apt-get", "echo 'E: no such luck'; exit 100")
    first = ready.run()
    assert first.stdout == "run\n"
    assert "E: no such luck" in first.stderr
    assert first.stderr.splitlines()[-1].endswith("apt-get install --no-install-recommends texlive")
    second = ready.run()
    assert second.stdout == "run\n"
    assert len(second.stderr.splitlines()) == 1
    assert ready.called("apt-get") == []


def test_the_tests_are_pytest_with_the_notebooks_unless_told_otherwise(ready):
    everything = "pytest|--nbval|-n|2|--dist|loadfile\n"
    assert ready.run("test").stdout == everything
    assert ready.run("test", "-k", "two words").stdout == "pytest|-k|two words\n"
    assert ready.run("test", "--fail").returncode == 3
    assert ready.run(script=".ci/run").stdout == everything


def test_the_linters_get_the_names_and_give_the_exit_status(ready):
    (ready.root / "tests").mkdir()
    ready.write(
        "tests/lint.py",
        "import sys\nprint('lint', *sys.argv[1:], sep='|')\nsys.exit(len(sys.argv))\n",
    )
    done = ready.run("lint", "ruff", "--no-system", "mypy")
    assert (done.stdout, done.returncode) == ("lint|ruff|mypy\n", 3)


def test_the_documentation_is_built_without_warnings(ready):
    (ready.root / "sphinx").mkdir()
    ready.write(
        "sphinx/__main__.py",
        "import os, sys\nprint(*sys.argv[1:])\nsys.exit(os.path.exists('broken'))\n",
    )
    done = ready.run("docs")
    assert done.stdout == f"{' '.join(BUILD)} docs build/docs\nbuild/docs/index.html\n"
    assert done.returncode == 0
    ready.write("broken", "")
    done = ready.run("docs")
    assert (done.returncode, "index.html" in done.stdout) == (1, False)
    assert_one_line(ready.run("docs", "api"), "takes no argument")


def test_a_package_that_does_not_match_its_hash_is_refused_and_the_next_run_recovers(bare):
    good = (bare.root / "requirements.lock").read_text()
    bare.write("requirements.lock", "pytest==9 --hash=sha256:" + "0" * 64 + "\n")
    done = bare.run()
    assert done.returncode != 0
    assert done.stdout == ""
    assert "HASH" in done.stderr
    assert "requirements.lock" in done.stderr.splitlines()[-1]

    bare.write("requirements.lock", good)
    done = bare.run()
    assert (done.returncode, done.stdout) == (0, "run\n")
    written = {path.name for path in bare.root.iterdir()}
    assert written - {"__pycache__", ".venv", ".benchpaper"} == {
        ".ci", "backend.py", "packages.apt", "pyproject.toml", "reproduce", "requirements.lock"
    }  # fmt: skip

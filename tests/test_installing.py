"""Installation on every supported Python; a package that cannot be installed is only a gap."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from checkout import ROOT
from packaging import tags
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from pip._internal.models.index import PyPI

from benchpaper.core.capabilities import CAPABILITIES
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.results import NOT_TESTABLE

PYTHONS = (11, 12, 13, 14)
GLIBC = 36  # of Debian 12, the oldest of the systems
OURS = {"numpy", "pyarrow"}  # which benchpaper itself cannot do without


def locked():
    """Return [(requirement, the digests of its files)] of the lock."""
    text = (ROOT / "requirements.lock").read_text().strip()
    pins = [re.split(r" \\\n", pin, maxsplit=1) for pin in re.split(r"\n(?=\S)", text)]
    return [
        (Requirement(first), set(re.findall(r"sha256:([0-9a-f]{64})", rest)))
        for first, rest in pins
    ]


def pip(*words, **more):
    return subprocess.run(
        [sys.executable, "-m", "pip", *words], capture_output=True, text=True, **more
    )


@pytest.fixture(scope="module")
def index():
    """Return where pip looks for packages; skip the tests that need it if it does not answer."""
    url = pip("config", "get", "global.index-url").stdout.strip()
    url = (os.environ.get("PIP_INDEX_URL") or url or PyPI.simple_url).rstrip("/")
    try:
        requests.get(
            f"{url}/pip/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}, timeout=10
        ).json()
    except (requests.RequestException, ValueError) as error:
        pytest.skip(f"pip's index does not answer, or not in JSON: {type(error).__name__}")
    return url


@pytest.fixture(scope="module")
def on_offer(index):
    """Return [(requirement, the names of its locked files)], as the index has them."""
    session = requests.Session()

    def files(requirement, digests):
        page = session.get(
            f"{index}/{canonicalize_name(requirement.name)}/", timeout=30,
            headers={"Accept": "application/vnd.pypi.simple.v1+json"},
        )  # fmt: skip
        page.raise_for_status()
        return requirement, [
            file["filename"]
            for file in page.json()["files"]
            if file["hashes"].get("sha256") in digests
        ]

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda pin: files(*pin), locked()))


def without_wheel(minor, on_offer):
    """Return the requirements that Python 3.`minor` on x86-64 Linux takes, and has no wheel of."""
    here = dict(
        python_version=f"3.{minor}", python_full_version=f"3.{minor}.2",
        implementation_name="cpython", os_name="posix",
        platform_machine="x86_64", platform_system="Linux", sys_platform="linux",
    )  # fmt: skip
    platforms = [f"manylinux_2_{glibc}_x86_64" for glibc in range(GLIBC, 4, -1)]
    platforms += [f"manylinux{year}_x86_64" for year in (2014, 2010, 1)] + ["linux_x86_64"]
    fitting = {
        *tags.cpython_tags((3, minor), platforms=platforms),
        *tags.compatible_tags((3, minor), f"cp3{minor}", platforms),
    }
    return {
        requirement.name: (requirement, files) for requirement, files in on_offer
        if requirement.marker is None or requirement.marker.evaluate(here)
        if not any(
            parse_wheel_filename(file)[3] & fitting for file in files if file.endswith(".whl")
        )
    }  # fmt: skip


def test_all_that_is_locked_has_a_wheel_or_a_source_for_each_python(on_offer):
    """A lock that resolves may not install: bytewax once had none for Python 3.13."""
    missing = {f"3.{minor}": without_wheel(minor, on_offer) for minor in PYTHONS}
    nothing = {
        python: [
            name
            for name, (_, files) in packages.items()
            if not any(file.endswith(".tar.gz") for file in files)
        ]
        for python, packages in missing.items()
    }
    assert nothing == {f"3.{minor}": [] for minor in PYTHONS}


def test_what_is_locked_as_source_builds_with_what_is_locked(on_offer, tmp_path):
    """Build as ./reproduce does: locked setuptools, nothing fetched. C needs Python's headers."""
    names = {name for minor in PYTHONS for name in without_wheel(minor, on_offer)}
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        pytest.skip("Python's headers are missing here; on Debian, install python3-dev")
    lock = "\n".join(
        f"{requirement.name}{requirement.specifier} "
        + " ".join(f"--hash=sha256:{digest}" for digest in digests)
        for requirement, digests in locked() if requirement.name in names
    )  # fmt: skip
    (tmp_path / "sources.lock").write_text(lock)
    built = pip(
        "wheel", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517",
        "--require-hashes",
        "--wheel-dir", tmp_path / "wheels", "-r", tmp_path / "sources.lock",
    )  # fmt: skip
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    assert {
        canonicalize_name(path.name.split("-")[0]) for path in (tmp_path / "wheels").iterdir()
    } == names


# ---- packages that are missing ----


UCX = "libucx-cu12"  # who has a UCX of his own needs no package: that capability is called ucx


def optional():
    """Return the packages that experiments or capabilities need, and benchpaper itself does not."""
    project = Project(ROOT)
    declared = {
        package
        for name in catalog.names(project)
        for package in catalog.load(project, name).packages
    }
    registered = {
        name
        for name, capability in CAPABILITIES.items()
        if capability.meaning == f"the Python package {name}"
    }
    return sorted({*declared, *registered, UCX} - OURS)


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """Return {package: findings while it is missing}. Needs a project, but no reference times."""
    root = tmp_path_factory.mktemp("project")
    for name in ("Snakefile", "requirements.lock"):
        shutil.copy(ROOT / name, root)
    for name in ("experiments", "sites"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, ROOT / "tests" / "without_a_package.py", *optional()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_a_missing_package_is_a_gap_of_the_cells_that_need_it_and_of_no_others(without):
    for package, machine in without.items():
        name = "ucx" if package == UCX else package
        assert machine["mistakes"] == [], package
        capability = machine["doctor"]["capabilities"][name]
        assert not capability["present"] and "./reproduce" in capability["remedy"], (
            package,
            capability,
        )
        assert any(
            name in state["waiting_for"] for state in machine["doctor"]["experiments"].values()
        ), f"who needs {package}?"
        lost = {
            other
            for other, state in machine["doctor"]["capabilities"].items()
            if not state["present"]
        }
        others = {
            other
            for other, state in without["bytewax"]["doctor"]["capabilities"].items()
            if not state["present"]
        }
        assert lost - others <= {name, "mooncake"}, (
            f"without {package} other capabilities are gone, too"
        )


def test_cells_whose_package_is_missing_are_recorded_as_not_testable(without):
    recorded = {
        name: trials for machine in without.values() for name, trials in machine["recorded"].items()
    }
    assert {
        "rdma/fabric",
        "caching/policies",
        "streaming/boundaries",
        "training_io/accelerator",
    } <= set(recorded)
    for package, machine in without.items():
        for name, trials in machine["recorded"].items():
            lacking = "ucx" if package == UCX else package
            for state, reason in trials:
                # Without guests, cells that cut the power or use a kernel's NFS lack these anyway.
                due = (lacking, "own_kernel", "nfsd")
                assert state == NOT_TESTABLE and any(word in reason for word in due), name


def test_the_remedy_names_a_python_that_the_package_is_locked_for():
    for requirement, _ in locked():
        capability = CAPABILITIES.get(requirement.name)
        if capability and requirement.marker:
            advised = re.search(r"PYTHON=/path/to/python(3\.\d+) ", capability.remedy)[1]
            assert requirement.marker.evaluate({"python_full_version": f"{advised}.1"}), requirement

"""`benchpaper lock`, and how a fresh project's ./reproduce makes and keeps its environment."""

import hashlib
import json
import os
import subprocess
import sysconfig
from pathlib import Path

import little_wheels
import pytest
from checkout import ROOT

from benchpaper.artifact import checklist, locking, start
from benchpaper.artifact.bundle.metadata import locked
from benchpaper.artifact.pip_settings import DEFAULT_INDEX, PipSettings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

OTHER_FILES = {
    "anvil-1.0-cp312-cp312-manylinux_2_28_x86_64.whl": "1" * 64,
    "anvil-1.0.tar.gz": "2" * 64,
    "anvil-1.0-cp312-cp312-win_amd64.whl": "3" * 64,
    "anvil-2.0-py3-none-any.whl": "4" * 64,
    "anvil-1.0.exe": "5" * 64,
}
FOR_LINUX = {"1" * 64, "2" * 64}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A project that needs anvil, which needs bellows; both are installed, with wheels.

    No test asks a real index.
    """
    wheels, installed = tmp_path / "wheels", tmp_path / "installed"
    little_wheels.write(wheels, "anvil", requires=["bellows", "cowl; extra == 'more'"])
    little_wheels.write(wheels, "bellows", "0.5")
    little_wheels.unpack(installed, *wheels.iterdir())
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)  # nor the tester's own settings
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    root = tmp_path / "project"
    root.mkdir()
    declare(root, "anvil>=1")
    return Project(root)


def declare(root, *names):
    (root / "pyproject.toml").write_text(f'[project]\nname = "x"\ndependencies = {list(names)}\n')


def pins(project):
    files = {locking.LOCK: (project.root / locking.LOCK).read_bytes()}
    return {pin.name: (pin.version, set(pin.hashes)) for pin in locked(files)}


def digest(project, name):
    [path] = (project.root.parent / "wheels").glob(f"{name}-*")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def report(project, *names):
    """Write what pip reports of an installation."""
    path = project.root / "report.json"
    items = [
        {
            "metadata": {"name": name, "version": version},
            "download_info": {"archive_info": {"hashes": {"sha256": digest(project, name)}}},
        }
        for name, version in (("anvil", "1.0"), ("bellows", "0.5")) if name in names
    ]  # fmt: skip
    path.write_text(json.dumps({"install": items}))
    return path


def test_the_lock_has_all_that_is_needed_with_every_file_for_linux(here, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    files = {"anvil": OTHER_FILES, "bellows": {"bellows-0.5-py3-none-any.whl": "6" * 64}}
    with little_wheels.index(files) as (address, asked_for):
        monkeypatch.setenv("PIP_INDEX_URL", address)
        done = locking.write(here, report(here, "anvil"), [])
    assert pins(here) == {
        "anvil": ("1.0", FOR_LINUX | {digest(here, "anvil")}),
        "bellows": ("0.5", {"6" * 64}),
    }
    assert done.changed and not done.notes and sorted(asked_for) == ["anvil", "bellows"]
    assert list(checklist.lock(here)) == []


def test_wheels_in_a_folder_need_no_index(here):
    done = locking.write(here, None, [here.root.parent / "wheels"])
    assert not done.notes
    assert pins(here) == {
        "anvil": ("1.0", {digest(here, "anvil")}),
        "bellows": ("0.5", {digest(here, "bellows")}),
    }


def test_a_complete_lock_stays_as_it_is_and_asks_nobody(here, monkeypatch):
    locking.write(here, report(here, "anvil", "bellows"), [])
    text = (here.root / locking.LOCK).read_text() + "elsewhere==3 --hash=sha256:" + "7" * 64 + "\n"
    (here.root / locking.LOCK).write_text(text)  # of another Python
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")  # nobody answers there
    assert not locking.write(here, None, []).changed
    assert (here.root / locking.LOCK).read_text() == text


def test_a_new_dependency_is_added_and_others_keep_their_digests(here):
    declare(here.root, "bellows")
    locking.write(here, report(here, "bellows"), [])
    before = pins(here)
    declare(here.root, "bellows", "anvil")
    locking.write(here, report(here, "anvil"), [])
    assert pins(here) == {**before, "anvil": ("1.0", {digest(here, "anvil")})}


def test_an_index_without_the_first_package_is_asked_for_the_others(here, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    with little_wheels.index({"bellows": {"bellows-0.5.tar.gz": "6" * 64}}) as (address, _):
        monkeypatch.setenv("PIP_INDEX_URL", address)
        done = locking.write(here, report(here, "anvil"), [])
    assert pins(here) == {"anvil": ("1.0", {digest(here, "anvil")}), "bellows": ("0.5", {"6" * 64})}
    [note] = done.notes
    assert "anvil: HTTPError" in note and note.endswith("and run benchpaper lock")


def test_what_another_system_needs_is_left_out(here):
    declare(here.root, "anvil", 'absent_thing; sys_platform == "win32"')
    locking.write(here, report(here, "anvil", "bellows"), [])
    assert list(pins(here)) == ["anvil", "bellows"]


@pytest.mark.parametrize("kind", ["dir_info", "vcs_info"])
def test_what_is_from_no_file_is_left_out(here, kind):
    """An index may have another package of that name and version."""
    [info] = (here.root.parent / "installed").glob("bellows-*.dist-info")
    (info / "direct_url.json").write_text(json.dumps({"url": "https://a.example/b", kind: {}}))
    done = locking.write(here, report(here, "anvil"), [])
    assert list(pins(here)) == ["anvil"]
    assert done.notes == ["left out bellows: it is from a folder or git; install a wheel"]


@pytest.mark.parametrize("answers", [False, True])
def test_without_a_digest_the_lock_has_versions_only_and_says_so(here, monkeypatch, answers):
    """One pin with a digest would make pip refuse all pins without."""
    monkeypatch.delenv("PIP_NO_INDEX")
    with little_wheels.index({"anvil": OTHER_FILES}) as (address, _):
        monkeypatch.setenv("PIP_INDEX_URL", address if answers else "http://127.0.0.1:9")
        done = locking.write(here, None, [])
    assert pins(here) == {"anvil": ("1.0", set()), "bellows": ("0.5", set())}
    assert (
        "did not give all digests" in done.notes[0] and "run benchpaper lock again" in done.notes[1]
    )
    [problem] = checklist.lock(here)
    assert problem.endswith("run benchpaper lock")
    locking.write(here, report(here, "anvil", "bellows"), [])
    assert list(checklist.lock(here)) == []


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda p: declare(p.root, "absent_thing"), "absent_thing is in pyproject.toml, or needed"),
        (lambda p: (p.root / "pyproject.toml").write_text('[project]\ndependencies = ["absent"]\n'
            '[project.optional-dependencies]\nmore = ["absent"]\n'), "absent is in pyproject.toml"),
        (lambda p: declare(p.root, "not a name!"), "not a valid dependency"),
        (lambda p: (p.root / "pyproject.toml").unlink(), "there is no pyproject.toml"),
        (lambda p: (p.root / "pyproject.toml").write_text("["), "not valid TOML"),
        (lambda p: (p.root / locking.LOCK).write_text(
            "bellows==0.5 --hash=sha256:" + "8" * 64 + "\n"), "lacks anvil, and another program"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_changes_nothing(here, change, words):
    change(here)
    before = {path: path.read_text() for path in here.root.iterdir()}
    with pytest.raises(UserError, match=words):
        locking.write(here, None, [])
    assert {path: path.read_text() for path in here.root.iterdir()} == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"install": [{}]}', '{"install": [1]}'])
def test_what_is_no_report_of_pip_is_refused(here, text):
    path = here.root / "report.json"
    path.write_text(text)
    with pytest.raises(UserError, match="is no report of pip"):
        locking.write(here, path, [])


def test_a_folder_of_wheels_that_is_not_there_is_refused(here):
    with pytest.raises(UserError, match="--find-links /absent is no folder; name one"):
        locking.write(here, None, [Path("/absent")])


def test_pip_says_where_packages_come_from(tmp_path):
    listed = (
        f":env:.index-url='https://env.example/s/'\nglobal.index-url='https://g.example'\n"
        f"global.find-links='{tmp_path}\\n/absent'\ninstall.no-index='false'\n"
    )
    assert PipSettings.parsed(listed) == PipSettings("https://env.example/s", (tmp_path,))
    assert PipSettings.parsed("") == PipSettings(DEFAULT_INDEX, ())
    assert PipSettings.parsed(":env:.no-index='1'").index == ""


# ---- ./reproduce of a fresh project ----

# In place of benchpaper: `lock` is the real one, of the environment that runs these tests.
STAND_IN = f"""
import sys

def main():
    if sys.argv[1] != "lock":
        return print("|".join(sys.argv[1:]))
    sys.path += [{sysconfig.get_path("purelib")!r}, {str(ROOT / "src")!r}]
    from benchpaper.cli.main import main
    main()
"""


@pytest.fixture
def fresh(tmp_path):
    """A fresh project, and a folder of wheels in which pip finds all that it needs."""
    house, root = tmp_path / "house", tmp_path / "my paper"
    little_wheels.write(
        house, "benchpaper", "9.9", requires=["anvil"], module=STAND_IN,
        script="benchpaper = little_benchpaper:main",
    )  # fmt: skip
    for name in ("pytest", "nbval"):
        little_wheels.write(house, name, "99.0")
    for name in ("anvil", "cowl"):
        little_wheels.write(house, name)
    start.init(root, start.Description("T", ("A",)))
    return root


def reproduce(root, *words):
    env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(root.parent / "house")}
    return subprocess.run(
        [root / "reproduce", *words], env=env, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
def test_a_fresh_project_is_locked_and_adding_a_package_keeps_its_environment(fresh):
    done = reproduce(fresh, "figures")
    assert (done.returncode, done.stdout) == (0, "run|figures\n"), done.stderr
    assert done.stderr.count("\n") == 1 and "making .venv" in done.stderr
    project = Project(fresh)
    assert {name: version for name, (version, _) in pins(project).items()} == {
        "anvil": "1.0", "benchpaper": "9.9", "nbval": "99.0", "pytest": "99.0",
    }  # fmt: skip
    assert list(checklist.lock(project)) == []
    assert not list(fresh.glob("*.egg-info"))

    log, sign = fresh / ".benchpaper/setup.log", fresh / ".venv/sign"
    size = log.stat().st_size
    sign.touch()
    assert reproduce(fresh).stderr == "" and log.stat().st_size == size  # nothing to do

    text = (fresh / "pyproject.toml").read_text()
    (fresh / "pyproject.toml").write_text(text.replace('"pytest>=8",', '"pytest>=8",\n    "cowl",'))
    done = reproduce(fresh)
    assert done.returncode == 0 and done.stderr == "" and sign.exists()
    added = log.read_text()[size:]
    assert "Successfully installed cowl-1.0\n" in added and "Uninstalling" not in added
    assert "cowl" in pins(project)

    # The lock's digests hold: another file under the same name and version is refused.
    little_wheels.write(fresh.parent / "house", "cowl", module="harm = True")
    (fresh / ".venv/.complete").unlink()
    done = reproduce(fresh)
    assert done.returncode == 1 and "HASHES" in done.stderr and "requirements.lock" in done.stderr

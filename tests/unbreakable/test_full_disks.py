"""A full disk, an exceeded quota or a lack of memory is no failed trial."""

import shutil
import subprocess

import pytest
from toy_runs import LEVELS, begun, journalled

from benchpaper import results

pytestmark = pytest.mark.slow

# ---- full disks ----


def fill(folder):
    """Fill the file system of a folder to the last byte."""

    def write_on(file):
        while True:
            if not file.write(bytes(1 << 16)):
                file.write(b"0")

    ballast = (folder / "ballast").open("wb", buffering=0)
    with ballast as file, pytest.raises(OSError, match="No space left"):
        write_on(file)


def one_line_about_the_disk(done, words="No space left on device"):
    output = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in output, output
    (line,) = [line for line in output.splitlines() if words in line]
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
def test_a_disk_that_fills_while_measuring_is_no_failed_trial(
    make_toy, run_benchpaper, small_disk, where, folder
):
    project = make_toy(FILLING.format(where=where), levels=LEVELS)
    small_disk(project.root / folder, 4096)
    done = run_benchpaper(project, "run", "results")
    one_line_about_the_disk(done)
    kept = journalled(project)
    assert {entry["state"] for entry in kept.values()} <= {"measured"} and len(kept) < len(LEVELS)
    (project.root / "room").write_text("")
    (project.root / folder / "ballast").unlink(missing_ok=True)
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and f"toy/one: {len(LEVELS)} trials measured" in done.stdout, (
        done.stdout + done.stderr
    )
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


def test_a_quota_that_is_exceeded_while_measuring_is_no_failed_trial(
    make_toy, run_benchpaper, small_quota
):
    project = make_toy(EXCEEDING, levels=LEVELS)
    small_quota(project.state, 8)
    done = run_benchpaper(project, "run", "results")
    one_line_about_the_disk(done, "Disk quota exceeded")
    assert {entry["state"] for entry in journalled(project).values()} <= {"measured"}
    (project.root / "room").write_text("")
    subprocess.run(["btrfs", "filesystem", "sync", project.state], check=True)
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and f"toy/one: {len(LEVELS)} trials measured" in done.stdout, (
        done.stdout + done.stderr
    )


STARVING = """
    if cell.way == "b" and not (PROJECT / "memory").exists():
        raise MemoryError
    yield dict(latency_us=1.0)
"""


def test_a_trial_that_lacked_memory_fails_the_run_and_the_next_run_measures_it(
    make_toy, run_benchpaper
):
    project = make_toy(STARVING)
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 1, done.stdout + done.stderr
    assert (
        "FAILED  measure toy/one: 1 trials failed: no memory was left; the next run measures "
        "them again"
    ) in done.stdout
    (project.root / "memory").write_text("")
    done = run_benchpaper(project, "run", "results")
    assert done.returncode == 0 and "toy/one: 2 trials measured" in done.stdout, (
        done.stdout + done.stderr
    )
    assert len(begun(project)) == 3


@pytest.mark.parametrize("folder, target", [("results", "results"), ("build", "figures")])
def test_a_disk_that_is_full_when_collecting_or_writing_exhibits(
    measured, run_benchpaper, small_disk, folder, target
):
    kept = {
        path: path.read_bytes()
        for path in (measured.root / "results").rglob("*.*")
        if path.is_file()
    }
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
    assert done.returncode == 0 and "toy/one: 10 trials measured, in 5 blocks" in done.stdout, (
        done.stdout + done.stderr
    )
    for path, data in kept.items():
        assert path.read_bytes() == data or path.name in (results.OBSERVATIONS, results.TRIALS)
    assert not list(measured.root.glob("results/**/.*.part"))

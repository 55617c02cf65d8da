"""All is made again from the archive alone, by code that may be anybody's."""

import contextlib
import io
import os
import re
import signal
import time
from importlib.metadata import version

import drawn_figures as drawn
import pytest
from changed_archives import again, needs_latex

from benchpaper.artifact.bundle import regenerate, sandbox
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project


def white(png):
    import matplotlib.image as images
    import numpy as np

    target = io.BytesIO()
    images.imsave(target, np.ones_like(images.imread(io.BytesIO(png))), format="png")
    return target.getvalue()


def saved_again(pdf, change=lambda pdf, page: None):
    """Return a PDF with other bytes, after `change` of its first page."""
    target = io.BytesIO()
    drawn.edit(io.BytesIO(pdf), target, change, linearize=True)
    return target.getvalue()


FIGURE = "exhibits/toy_pipe_cost/toy-pipe-cost-latency"
CHANGES = {  # name: (change of its bytes, or None if it is added; what is said of it)
    f"{FIGURE}.png": (white, r"\d+ of 576 pixels differ at"),
    f"{FIGURE}.pdf": (lambda data: saved_again(data, drawn.add("1 g 0 0 99 99 re f")), "page 1: "),
    "exhibits/toy_pipe_cost/exhibits.json": (lambda data: data.replace(b": 2", b": 3"), "line "),
    "notebooks/toy_pipe_cost.ipynb": (lambda data: data.replace(b"figure", b"table"), "has other"),
    "exhibits/toy_pipe_cost/more.tex": (None, "the archive's code does not make it"),
    "paper.pdf": (saved_again, ""),
}


@needs_latex
def test_all_is_made_again_from_the_archive_alone_and_what_differs_is_told(small_files, tmp_path):
    """Each changed file is named, with what it differs by; a PDF that is only rewritten passes."""
    if not (box := sandbox_here()):
        pytest.skip("no sandbox here")
    changed, steps = dict(small_files), []
    for name, (change, _) in CHANGES.items():
        path = f"build/local-smoke/{name}"
        changed[path] = change(changed[path]) if change else b"more"
    del changed["build/local-smoke/appendix.md"]
    report = regenerate.regenerate(
        again(tmp_path / "b.zip", changed), lambda *step: steps.append(step)
    )
    words = {name: word for name, word in report["files"].items() if word != regenerate.EQUAL}
    assert words.pop("paper.pdf") == regenerate.RENDERED
    assert words.pop("appendix.md") == regenerate.DIFFERENT
    assert report["reasons"].pop("appendix.md") == "the archive does not hold it"
    expected = {name: said for name, (_, said) in CHANGES.items() if said}
    assert words == dict.fromkeys(expected, regenerate.DIFFERENT)
    assert set(report["reasons"]) == set(expected)
    for name, said in expected.items():
        assert re.match(said, report["reasons"][name])
    assert report["sandbox"] == f"in a sandbox ({box.name})"
    assert [step[:2] for step in steps] == [(1, 3), (2, 3), (3, 3)] and steps[-1][2] == "paper.pdf"


def sandbox_here():
    with contextlib.suppress(sandbox.SandboxError):
        return sandbox.find()


def test_trusted_code_runs_without_a_sandbox_and_the_report_says_so(small_bundle, monkeypatch):
    monkeypatch.setattr(sandbox, "find", lambda: pytest.fail("it looked for a sandbox"))
    boxes = []
    monkeypatch.setattr(regenerate, "run", lambda *words: boxes.append(words[-1]))
    report = regenerate.regenerate(small_bundle, trust_code=True)
    assert boxes == [None] and report["sandbox"] == "WITHOUT A SANDBOX (--trust-code)"
    assert set(report["files"].values()) == {regenerate.DIFFERENT}  # nothing was made


# ---- the archive's own code, which may be anybody's ----

ANYBODYS = "import os, subprocess, sys, time\n"
LEAVES = "subprocess.Popen(['sleep', '60'], start_new_session=True{})\n"


@pytest.fixture
def run_code(tmp_path):
    """Return `run(code, tell)`: `regenerate.run` of an archive whose framework is this code."""

    def run(code, tell=lambda *step: None):
        package = tmp_path / "src" / "benchpaper" / "workflow"
        package.mkdir(parents=True)
        for folder in (package.parent, package):
            (folder / "__init__.py").touch()
        (package / "rebuild.py").write_text(ANYBODYS + code)
        regenerate.run(Project(tmp_path), "local", "smoke", ["toy/pipe"], "it does not run", tell)

    return run


def test_it_is_given_what_to_make_and_its_steps_are_told(run_code):
    steps = []
    code = (
        "print('step 1 of 2:', *sys.argv[1:]); print('else'); os.write(1, b'\\xff\\n'); "
        "print('step 2 of 2: end')"
    )
    run_code(code, lambda *step: steps.append(step))
    assert steps == [(1, 2, "local smoke toy/pipe"), (2, 2, "end")]


@pytest.mark.parametrize(
    "code, words",
    [
        ("sys.exit('first\\nlast')", "it does not run: last"),
        ("os.write(2, b'\\xff!\\n'); sys.exit(1)", "it does not run: \ufffd!"),
        ("sys.exit(1)", "it does not run: it said nothing"),
    ],
)
def test_why_it_does_not_run_is_the_last_line_that_it_said(run_code, code, words):
    with pytest.raises(UserError) as error:
        run_code(code)
    assert str(error.value) == words


@pytest.mark.parametrize(
    "code", ["", "os.close(1)\n", LEAVES.format(""), "subprocess.Popen(['sleep', '60'])\n"]
)
def test_code_that_does_not_end_is_ended_with_all_that_it_started(
    run_code, monkeypatch, left_behind, code
):
    monkeypatch.setattr(regenerate, "TIMEOUT_S", 1)
    with pytest.raises(UserError, match="^it does not run: it did not end within 1 s$"):
        run_code(f"{code}time.sleep(60)")
    assert left_behind() == {}


def test_what_the_code_leaves_running_ends_with_it(run_code, left_behind):
    run_code(LEAVES.format(""))
    assert left_behind() == {}


def test_a_process_that_hides_and_holds_the_output_does_not_hold_up_verify(
    run_code, monkeypatch, tmp_path
):
    monkeypatch.setattr(regenerate, "TIMEOUT_S", 5)  # for the code to get as far as hiding it
    hidden = (
        f"open({str(tmp_path / 'hidden')!r}, "
        f"'w').write(str({LEAVES.format(', env={}').strip()}.pid))\n"
    )
    began = time.monotonic()
    with pytest.raises(UserError, match="it did not end within 5 s"):
        run_code(f"{hidden}time.sleep(60)")
    os.kill(int((tmp_path / "hidden").read_text()), signal.SIGKILL)
    assert time.monotonic() - began < 50


LOCK = (
    "numpy=={} ; python_version < '3.12' \\\n    "
    "--hash=sha256:0\nnumpy==0.1 ; "
    "python_version >= "
    "'3.12'\nPandas=={}\nidna==3.7\n"
)


@pytest.mark.parametrize(
    "files, words",
    [
        (
            {"requirements.lock": LOCK.format(version("numpy"), version("pandas"))},
            "with the packages of its lock",
        ),
        (
            {"requirements.lock": LOCK.format("0.2", version("pandas"))},
            f"with other versions than the lock's: numpy {version('numpy')} (lock: 0.2 or 0.1)",
        ),
        (
            {"requirements.lock": LOCK.format("0.2", "0.3")},
            f"with other versions than the lock's: numpy {version('numpy')} (lock: 0.2 or 0.1), "
            f"pandas {version('pandas')} (lock: 0.3)",
        ),
        ({}, "with the packages that are here, for it has no requirements.lock"),
    ],
)
def test_packages_of_other_versions_than_the_locks_are_named(files, words):
    compared = regenerate._environment({name: text.encode() for name, text in files.items()})
    assert compared == (words, words == "with the packages of its lock")


def test_a_package_of_the_lock_that_is_not_here_is_missing(monkeypatch):
    monkeypatch.setattr(regenerate, "DRAWING", ("no-such-package",))
    compared = regenerate._environment({"requirements.lock": b"No-Such-Package==1.0\n"})
    assert compared == (
        "with other versions than the lock's: no-such-package missing (lock: 1.0)",
        False,
    )

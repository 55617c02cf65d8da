"""The whole way, from a copy of the checkout to a PDF, and what each change rebuilds.

The copy keeps one experiment, so that the suite does not measure them all.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper.core.project import Project
from benchpaper.paper.latex_styles import STYLES

pytestmark = pytest.mark.slow

KEPT = (
    "Snakefile",
    "pyproject.toml",
    "sites",
    "experiments",
    "analysis",
    "paper",
    "artifacts",
    "src",
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout's files, without anything built or measured."""
    root = tmp_path_factory.mktemp("clone") / "checkout"
    root.mkdir()
    for name in KEPT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        copy(ROOT / name, root / name)
    leave_one_experiment(root)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=root, check=True)
    return Project(root)


def leave_one_experiment(root):
    """Remove all experiments except rdma/fabric, and all text and analysis about them."""
    for path in (root / "experiments").glob("*/*/experiment.py"):
        if path.parent != root / "experiments/rdma/fabric":
            path.unlink()
    for path in [*(root / "analysis").glob("*.ipynb"), *(root / "analysis").glob("claims_*.py")]:
        if path.stem != "rdma_fabric":
            path.unlink()
    _leave_one_section(root / "paper")


def _leave_one_section(paper):
    """Make a paper of the section on that experiment, and the limits without others' numbers."""
    shutil.rmtree(paper / "main")
    for path in [paper / "supplement.tex", *(paper / "sections").glob("*.tex")]:
        if path.stem not in ("fabric", "limits"):
            path.unlink()
    limits = paper / "sections/limits.tex"
    limits.write_text(re.sub(r"\\result\{[^}]*\}", "some", limits.read_text()))
    main = paper / "main.tex"
    text = main.read_text().replace(r"\input{main/abstract}", "Transports.")
    kept = "\\input{sections/fabric}\n\\input{sections/limits}"
    text = text.replace(r"\input{main/introduction}", kept)
    main.write_text(re.sub(r"\\input\{main/\w+\}\n", "", text))


def pdf_text(path):
    """The words of a PDF, wherever its lines end."""
    return " ".join(
        subprocess.run(
            ["pdftotext", path, "-"], capture_output=True, text=True, check=True
        ).stdout.split()
    )


def test_from_nothing_to_a_pdf(checkout, run_benchpaper):
    done = run_benchpaper(checkout, "run", "--scale", "smoke", timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^(\d+) of \1 trials$", done.stdout, re.M)
    assert (
        "trials measured" in done.stdout and "needs rdma" in done.stdout and "took" in done.stdout
    )
    text = pdf_text(checkout.build("local", "smoke") / "paper.pdf")
    assert "scale smoke, 2 blocks" in text
    assert "not measured here: needs rdma" in text
    exhibits = json.loads(
        (checkout.build("local", "smoke") / "exhibits/rdma_fabric/exhibits.json").read_text()
    )["exhibits"]
    value = exhibits["fabric-get-posix-4k"]["text"]
    assert value.split()[0] in text


def test_again_does_nothing(checkout, run_benchpaper):
    pdf = checkout.build("local", "smoke") / "paper.pdf"
    before = pdf.stat().st_mtime_ns
    done = run_benchpaper(checkout, "run", "--scale", "smoke")
    assert done.returncode == 0 and pdf.stat().st_mtime_ns == before
    assert "done" not in done.stdout  # no step ran
    dry = run_benchpaper(checkout, "run", "--scale", "smoke", "-n")
    assert dry.returncode == 0 and "nothing would run" in dry.stdout


def test_explain_goes_down_to_the_commands(checkout, run_benchpaper):
    done = run_benchpaper(checkout, "explain", "fabric-get-posix-4k", "--scale", "smoke")
    assert done.returncode == 0, done.stderr
    assert "analysis/rdma_fabric.ipynb" in done.stdout and "sha256" in done.stdout
    assert re.search(
        r"command .*UCX_TLS=posix.*fabric measure .*--operation get --size 4096", done.stdout
    )
    data = json.loads(
        run_benchpaper(
            checkout, "explain", "fabric-get-posix-4k", "--scale", "smoke", "--json"
        ).stdout
    )
    assert [t["state"] for t in data["cells"][0]["trials"]] == ["measured"] * 2 and data[
        "stale"
    ] is False


def test_no_path_of_this_machine_in_what_is_kept(checkout, run_benchpaper):
    secrets = [str(checkout.root).encode(), str(ROOT).encode()]
    folder = checkout.root / "results"
    for path in [
        *folder.rglob("*.parquet"),
        *(checkout.build("local", "smoke") / "notebooks").glob("*.ipynb"),
    ]:
        for secret in secrets:
            assert secret not in path.read_bytes(), path
    from benchpaper import results

    table, _ = results.read(folder / "local/smoke/rdma/fabric/trials.parquet")
    commands = json.dumps(table.column("commands").to_pylist())
    assert str(checkout.root) not in commands and "$PROJECT" in commands and "$VENV" in commands


def test_a_changed_sentence_rebuilds_the_pdf_alone(checkout, run_benchpaper):
    section = checkout.root / "paper/sections/limits.tex"
    section.write_text(section.read_text() + "\nA sentence that was not there before.\n")
    done = run_benchpaper(checkout, "run", "--scale", "smoke")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(\w+).*: done$", done.stdout, re.M) == ["typeset"]
    assert "sentence that was not there" in pdf_text(checkout.build("local", "smoke") / "paper.pdf")


def test_what_lies_between_notebooks_and_pdf_is_made_again_when_it_is_gone(
    checkout, run_benchpaper
):
    (checkout.build("local", "smoke") / "exhibits.tex").unlink()
    done = run_benchpaper(checkout, "run", "--scale", "smoke", "paper")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\w+).*: done$", done.stdout, re.M)[0] == "gather"


def test_an_undeclared_number_fails_and_is_named(checkout, run_benchpaper):
    section = checkout.root / "paper/sections/limits.tex"
    text = section.read_text()
    section.write_text(text + "\n\\result{fabric-get-posix-4kb}\n")
    done = run_benchpaper(checkout, "run", "--scale", "smoke")
    section.write_text(text)
    assert done.returncode != 0
    assert 'number "fabric-get-posix-4kb" is not declared' in done.stdout
    assert 'did you mean "fabric-get-posix-4k"' in done.stdout


def test_latex_itself_refuses_an_undeclared_number(checkout, tmp_path):
    """The check before LaTeX is a convenience; the package refuses too."""
    (tmp_path / "exhibits.tex").write_text("\\bpsource{nothing}\n")
    shutil.copytree(checkout.paper, tmp_path / "paper")
    head = (
        r"\documentclass{article}\usepackage[T1]{fontenc}"
        r"\usepackage{textcomp,booktabs,benchpaper}\input{exhibits.tex}"
    )
    (tmp_path / "paper/main.tex").write_text(
        head + r"\begin{document}\result{fabric-get-posix-4k}\end{document}"
    )
    command = [
        "latexmk",
        "-pdf",
        "-halt-on-error",
        "-interaction=nonstopmode",
        f"-outdir={tmp_path / 'out'}",
        "main.tex",
    ]
    env = {**os.environ, "TEXINPUTS": f"{tmp_path}:{STYLES}:", "max_print_line": "1000"}
    done = subprocess.run(
        command, cwd=tmp_path / "paper", env=env, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode != 0 and "is not declared by any notebook" in done.stdout


def test_without_latex_everything_else_is_built(checkout, run_benchpaper, tmp_path):
    shutil.rmtree(checkout.build("local", "smoke"))
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "sh", "git", "cc", "as", "ld", "ip", "env", "uname", "which"):
        (programs / name).symlink_to(shutil.which(name))
    done = run_benchpaper(checkout, "run", "--scale", "smoke", PATH=str(programs))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not built: the PDF: no LaTeX" in done.stdout
    assert (checkout.build("local", "smoke") / "exhibits/rdma_fabric/fabric-latency.pdf").exists()
    refused = run_benchpaper(checkout, "run", "paper", "--scale", "smoke", PATH=str(programs))
    assert refused.returncode == 2 and "need LaTeX" in refused.stderr


def test_snakemake_alone_stands_on_its_own(checkout):
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run = subprocess.run(["snakemake", "-n", "figures", "--config", "source=reference"],
        cwd=checkout.root, env=env,
                         capture_output=True, text=True)  # fmt: skip
    assert run.returncode == 0 and "analyse" in run.stdout + run.stderr
    lint = subprocess.run(
        ["snakemake", "--lint"], cwd=checkout.root, env=env, capture_output=True, text=True
    )
    lints = set(re.findall(r"^    \* (.*)$", lint.stdout + lint.stderr, re.M))
    assert lints == {
        "Specify a conda environment or container for each rule.:"
    }  # its one wish with a virtual environment

"""A small but complete project: one experiment (as `benchpaper new` writes it), a short paper.

It also has a history. The artifact tests build it and break it, so they take only as long as one
experiment.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from checkout import ROOT

from benchpaper.artifact import scaffold
from benchpaper.core.project import Project

NAME = "toy/pipe_cost"
PAPER = r"""\documentclass{article}
\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{lmodern}\usepackage{textcomp}
\usepackage{booktabs}\usepackage{array}
\usepackage[pdfauthor={AUTHOR}]{hyperref}
\usepackage[nameinlink,capitalise,noabbrev]{cleveref}
\usepackage{benchpaper}
\input{exhibits.tex}
\title{What a pipe costs}\author{AUTHOR}\date{\sourcebanner}
\begin{document}
\maketitle
\section{Results}
A message of 4 KiB takes \resultci{toy-pipe-cost-4k}, the loop alone \result{toy-pipe-cost-floor};
\cref{fig:latency} shows the rest. The noise floor is \result{toy-pipe-cost-noise}.
We chose \setting{9731.25}{s} for nothing. \claim{C1}
\begin{figure}\exhibitfigure{toy-pipe-cost-latency}\caption{Latency.}\label{fig:latency}\end{figure}
\begin{table}\caption{Claims.}\label{tab:claims}\claimstable\end{table}
\input{appendix.tex}
\end{document}
"""


def make(root, author="Anonymous", **files):
    """Make the project below `root` and commit it; `files` are more of {name: text}."""
    for name in ("Snakefile", "packages.apt", "requirements.lock", "LICENSE", "pyproject.toml"):
        shutil.copyfile(ROOT / name, root / name)
    for name in ("sites", "src"):
        shutil.copytree(
            ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in ("experiments", "analysis", "paper", "artifacts"):
        (root / name).mkdir()
    declared = (root / "pyproject.toml").read_text()
    described = re.sub(
        r"^description = .*$", 'description = "What a pipe costs"', declared, flags=re.M
    )
    (root / "pyproject.toml").write_text(described)
    project = Project(root)
    scaffold.new(project, NAME)
    declare_input(project)
    texts = {
        "data/words.txt": WORDS,
        "paper/main.tex": PAPER.replace("AUTHOR", author), "README.md": "# What a pipe costs\n",
        "CITATION.cff": "cff-version: 1.2.0\nmessage: Cite it.\ntitle: What a pipe costs\ntype: "
                        "software\nversion: 0.1.0\n"
        f"license: Apache-2.0\nauthors:\n  - name: {author}\n",
        ".gitignore": "/build/\n/results/\n/.benchpaper/\n/.snakemake/\n__pycache__/\n", **files,
    }  # fmt: skip
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(project, "init", "-q")
    git(project, "config", "user.name", author)
    git(project, "config", "user.email", "a@b.example")
    commit(project)
    return project


def declare_input(project):
    """Let the experiment declare a small input, which git tracks."""
    path = project.experiments / NAME / "experiment.py"
    digest = hashlib.sha256(WORDS.encode()).hexdigest()
    declared = f'inputs=[Input("data/words.txt", sha256="{digest}", licence="CC0-1.0")],'
    text = path.read_text().replace(" Factor, Metric,", " Factor, Input, Metric,")
    path.write_text(text.replace("    roles=(", f"    {declared}\n    roles=(", 1))


WORDS = "a pipe and what it costs\n"
AUTHOR, HOST, LOGIN = "Ada Quillfeather", "storagebox17", "aquill"
SITE = (
    f"hosts:\n  - {{name: local, kind: local, address: "
    f"127.0.0.1, roles: [client]}}\n# measured "
    f"on {HOST} by {LOGIN}\n"
)
NOTE = f"Measured on {HOST}, in /home/{LOGIN}/artifact.\n"


def built(root):
    """Make it, plant an author, a host, a user and an origin, measure it, and build everything."""
    root.mkdir()
    project = make(
        root,
        AUTHOR,
        **{"notes/where.md": NOTE, "notes/more.md": "more\n", "sites/cluster.yaml": SITE},
    )
    git(project, "remote", "add", "origin", "git@github.com:quillgroup/pipe-cost.git")
    run(project, "run", "results", "--scale", "smoke")
    shutil.copytree(
        root / "results" / "local" / "smoke" / "toy",
        root / "artifacts" / "reference" / "local" / "toy",
    )
    git(project, "config", "user.email", "ada@quill.example")
    commit(project)
    run(project, "run", "paper", "report", "--scale", "smoke")
    return project


def run(project, *words, **environment):
    command = [str(Path(sys.executable).with_name("benchpaper")), *words]
    environment = {**os.environ, **environment}
    done = subprocess.run(
        command, cwd=project.root, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(project, *words):
    subprocess.run(["git", "-C", project.root, *words], check=True, capture_output=True)


def commit(project):
    git(project, "add", "-A")
    git(project, "commit", "-qm", "as it is")

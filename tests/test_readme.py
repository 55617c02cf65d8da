"""The documents' example of an experiment and its notebook, run from their own text."""

import json
import re

import nbformat
import text_of
from checkout import ROOT

from benchpaper.artifact import bundle
from benchpaper.core.project import Project

README = (ROOT / "README.md").read_text()
CO_AUTHOR = (ROOT / "docs/how-to/co-author.md").read_text()


def code_after(start, end):
    return text_of.code(CO_AUTHOR, start, end)


def test_the_example_experiment_and_notebook_work_as_they_stand(make_project, run_benchpaper):
    experiment = code_after("(`experiments/toy/pipe/experiment.py`)", "`@experiment.needs` names")
    parameters = code_after("cell has the tag `parameters`", "and the next ones go like this")
    body = code_after("and the next ones go like this", "Then:")
    cells = [
        nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(body),
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=kernel))
    project = make_project(
        {"experiments/toy/pipe/experiment.py": experiment, "analysis/toy_pipe.ipynb": notebook}
    )
    done = run_benchpaper(project, "run", "toy/pipe", "--scale", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    folder = project.build("local", "smoke") / "exhibits" / "toy_pipe"
    number = json.loads((folder / "exhibits.json").read_text())["exhibits"]["pipe-1-byte"]
    assert re.fullmatch(r"[\d.]+ µs", number["text"]) and (folder / "pipe-latency.pdf").exists()


def test_the_commands_of_the_readme_exist():
    from benchpaper.cli.commands import cli

    commands = set(
        re.findall(
            r"bin/benchpaper (\w+)",
            "\n".join(line for line in README.splitlines() if line.startswith("    ")),
        )
    )
    assert commands <= set(cli.commands), commands - set(cli.commands)


def test_the_readme_of_a_bundle_begins_with_the_two_commands():
    begin = r"# benchpaper\n\n    \./reproduce +#.*\n    \./reproduce test +#.*\n\n"
    assert re.match(begin, README)
    names = set(bundle.sources(Project(ROOT)))
    assert {"README.md", "reproduce", "packages.apt", "requirements.extras"} <= names

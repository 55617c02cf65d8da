"""Runs analysis notebooks: for the pipeline (papermill, with parameters), and to store outputs for nbval."""

import re
import shutil
from pathlib import Path

from benchpaper.analysis.exhibits import MANIFEST
from benchpaper.core import environment
from benchpaper.core.errors import UserError
from benchpaper.core.project import slug
from benchpaper.core.redact import Redactor

KERNEL_TIMEOUT_S = 600
OUTPUT_TIMEOUT_S = 60  # for a cell's last output to arrive once the cell has ended; on a busy machine 4 s are too few
ADDRESS = re.compile(
    r"(?<=\bat )0x[0-9a-f]{6,}"
)  # in the name that Python gives an object without one
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


class NotebookError(UserError):
    """A notebook that raised, or that saved nothing. The text has cell and error; the executed copy has it all."""


def analyse(project, site, source, experiment, manager=None):
    """Run an experiment's notebook on the results of `source`; its exhibits and the executed copy go to the build
    folder. `manager` is a class of kernel managers, if not Jupyter's own. Returns the executed copy's path. Raises
    `NotebookError`; the copy with the traceback is kept then."""
    build = project.build(site, source)
    notebook = existing(project, experiment)
    executed = build / "notebooks" / notebook.name
    exhibits = build / "exhibits" / slug(experiment)
    shutil.rmtree(exhibits, ignore_errors=True)
    parameters = {
        "results_dir": str(project.results(site, source).relative_to(project.root)),
        "exhibits_dir": str(exhibits.relative_to(project.root)),
    }
    executed.parent.mkdir(parents=True, exist_ok=True)
    executed.unlink(missing_ok=True)  # what an earlier run made of it must not pass for this one's
    try:
        _execute(
            project,
            notebook,
            executed,
            parameters,
            {"kernel_manager_class": manager} if manager else {},
        )
    except BaseException:
        shutil.rmtree(exhibits, ignore_errors=True)  # half of the exhibits
        raise
    if not (exhibits / MANIFEST).exists():
        raise NotebookError(
            f"{_named(project, notebook)} saved no exhibits; make one `Exhibits(results, exhibits_dir)`"
        )
    return executed


def existing(project, experiment):
    """Return the path of an experiment's notebook. Raises `NotebookError` when it has none."""
    path = project.notebook(experiment)
    if not path.exists():
        raise NotebookError(
            f'experiment "{experiment}" has no notebook {_named(project, path)}; add it'
        )
    return path


def _execute(project, notebook, executed, parameters, options):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    failed = executed.with_suffix(".failed.ipynb")
    part = executed.with_suffix(".part.ipynb")
    try:
        with environment.replaced(environment.clean(project.home)):
            papermill.execute_notebook(
                notebook,
                part,
                parameters=parameters,
                cwd=project.root,
                progress_bar=False,
                log_output=False,
                execution_timeout=KERNEL_TIMEOUT_S,
                iopub_timeout=OUTPUT_TIMEOUT_S,
                coalesce_streams=True,
                **options,
            )
    except PapermillExecutionError as error:
        clean(part, Redactor(project.root))
        part.replace(failed)
        raise NotebookError(
            f"{_named(project, notebook)}, cell {error.cell_index}: {error.ename}: {error.evalue}; "
            f"the traceback is in {_named(project, failed)}"
        ) from None
    clean(part, Redactor(project.root))
    part.replace(executed)
    failed.unlink(missing_ok=True)


def clean(path: Path, redactor: Redactor) -> None:
    """Take out of an executed notebook what differs from run to run, and this machine's paths and secrets."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    _forget_run(notebook)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        _redact(output, redactor)
    nbformat.write(notebook, path)


def _forget_run(notebook) -> None:
    """The same notebook on the same results gives the same bytes: neither times, nor random ids, nor addresses of
    objects stay, nor which release of Python it was."""
    given = notebook.metadata.get("papermill", {}).get("parameters", {})
    notebook.metadata = {**METADATA, "papermill": {"parameters": given}}
    for number, cell in enumerate(notebook.cells):
        for name in ("execution", "papermill"):
            cell.metadata.pop(name, None)
        if "id" in cell:
            cell.id = f"cell-{number:02d}"


def _redact(output, redactor: Redactor) -> None:
    def text(shown: str) -> str:
        return ADDRESS.sub("0x...", redactor.text(shown))

    for name in ("text", "evalue"):
        if name in output:
            output[name] = text(output[name])
    for kind, shown in output.get("data", {}).items():
        if kind.startswith("text/"):  # in HTML a slash begins no path
            output["data"][kind] = (
                text(shown) if kind == "text/plain" else redactor.without_secrets(shown)
            )
    if "traceback" in output:
        output["traceback"] = [text(line) for line in output["traceback"]]


def store(project, experiment):
    """Run a notebook on the reference results and store its text outputs in its source, without images. These are
    what nbval compares. A notebook that raises is left as it was."""
    import nbclient
    import nbformat

    path = existing(project, experiment)
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=KERNEL_TIMEOUT_S,
        iopub_timeout=OUTPUT_TIMEOUT_S,
        resources={"metadata": {"path": path.parent}},
        coalesce_streams=True,  # a busy machine sends a cell's print in pieces
    )
    client.extra_arguments = [
        "--log-level=ERROR"
    ]  # not the kernel's word on encrypting what stays on this machine
    try:
        with environment.replaced(environment.clean(project.home)):
            client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        raise NotebookError(
            f"{_named(project, path)}: {error.ename}: {error.evalue}; nothing was stored"
        ) from None
    strip(notebook)
    part = path.with_suffix(".part")
    nbformat.write(notebook, part)
    part.replace(path)
    return path


def strip(notebook):
    """Take from a notebook what differs from run to run or is large: images, times, the kernel's version. The counts
    stay: nbval takes a cell without one for a cell that was never run."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            for output in cell.outputs:
                if "data" in output:
                    output.data = {
                        key: value
                        for key, value in output.data.items()
                        if not key.startswith("image/")
                    }
    notebook.metadata = METADATA


def _named(project, path):
    return Path(path).relative_to(project.root)

"""Runs analysis notebooks: for the pipeline (papermill, with parameters), and to store outputs for nbval."""

import shutil
from pathlib import Path

from benchpaper.errors import UserError
from benchpaper.exhibits import MANIFEST
from benchpaper.project import slug
from benchpaper.redact import Redactor

KERNEL_TIMEOUT_S = 600
OUTPUT_TIMEOUT_S = 60  # for a cell's last output to arrive once the cell has ended; on a busy machine 4 s are too few


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
        _execute(project, notebook, executed, parameters, {"kernel_manager_class": manager} if manager else {})
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
        raise NotebookError(f'experiment "{experiment}" has no notebook {_named(project, path)}; add it')
    return path


def _execute(project, notebook, executed, parameters, options):
    import papermill
    from papermill.exceptions import PapermillExecutionError

    failed = executed.with_suffix(".failed.ipynb")
    part = executed.with_suffix(".part.ipynb")
    try:
        papermill.execute_notebook(
            notebook, part, parameters=parameters, cwd=project.root, progress_bar=False, log_output=False,
            execution_timeout=KERNEL_TIMEOUT_S, iopub_timeout=OUTPUT_TIMEOUT_S, **options,
        )  # fmt: skip
    except PapermillExecutionError as error:
        redact(part, Redactor(project.root))
        part.replace(failed)
        raise NotebookError(
            f"{_named(project, notebook)}, cell {error.cell_index}: {error.ename}: {error.evalue}; "
            f"the traceback is in {_named(project, failed)}"
        ) from None
    redact(part, Redactor(project.root))
    part.replace(executed)
    failed.unlink(missing_ok=True)


def redact(path, redactor):
    """Take this machine's paths out of an executed notebook: from papermill's own notes, texts and tracebacks."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notes = notebook.metadata.get("papermill", {})
    for name in ("input_path", "output_path"):
        notes.pop(name, None)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        for name in ("text", "evalue"):
            if name in output:
                output[name] = redactor.text(output[name])
        for kind, shown in output.get("data", {}).items():
            if kind.startswith("text/"):  # in HTML a slash begins no path
                output["data"][kind] = redactor.text(shown) if kind == "text/plain" else redactor.without_secrets(shown)
        if "traceback" in output:
            output["traceback"] = [redactor.text(line) for line in output["traceback"]]
    nbformat.write(notebook, path)


def store(project, experiment):
    """Run a notebook on the reference results and store its text outputs in its source, without images. These are
    what nbval compares. A notebook that raises is left as it was."""
    import nbclient
    import nbformat

    path = existing(project, experiment)
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=KERNEL_TIMEOUT_S, iopub_timeout=OUTPUT_TIMEOUT_S, resources={"metadata": {"path": path.parent}}
    )
    client.extra_arguments = ["--log-level=ERROR"]  # not the kernel's word on encrypting what stays on this machine
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        raise NotebookError(f"{_named(project, path)}: {error.ename}: {error.evalue}; nothing was stored") from None
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
                    output.data = {key: value for key, value in output.data.items() if not key.startswith("image/")}
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }


def _named(project, path):
    return Path(path).relative_to(project.root)

"""Runs analysis notebooks: for the pipeline, with parameters, or to store outputs for nbval."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchpaper.analysis.manifests import MANIFEST
from benchpaper.core import checksums, environment
from benchpaper.core.atomic_write import atomic_write, replacing
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project, slug
from benchpaper.core.redact import Redactor
from benchpaper.paper import kernels

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNEL_TIMEOUT_S = 600
OUTPUT_TIMEOUT_S = 60  # a cell's last output may come late: on a busy machine 4 s are too few
FONT_CACHE = "Matplotlib is building the font cache; this may take a moment.\n"
ADDRESS = re.compile(r"(?<=\bat )0x[0-9a-f]{6,}")  # in the default `repr` of an object


class NotebookError(UserError):
    """A notebook is missing, raised an error, or saved no exhibits."""


def analyse(
    project: Project, site: str, source: str, experiment: str, manager: type | None = None
) -> Path:
    """Run an experiment's notebook on the results of `source`; return the executed copy's path.

    Exhibits and executed copy go to the build folder. `manager` is a class of kernel managers that
    replaces Jupyter's own for notebooks in Python. Raises `NotebookError`, and keeps the copy with
    the traceback.
    """
    build = project.build(site, source)
    notebook = existing(project, experiment)
    executed = build / "notebooks" / notebook.name
    exhibits = build / "exhibits" / slug(experiment)
    shutil.rmtree(exhibits, ignore_errors=True)
    parameters = {
        "results_dir": str(project.results(site, source).relative_to(project.root)),
        "exhibits_dir": str(exhibits.relative_to(project.root)),
    }
    executed.unlink(missing_ok=True)  # an earlier run's copy must not pass for this one's
    try:
        _execute(
            project,
            notebook,
            executed,
            parameters,
            {"kernel_manager_class": manager} if manager and _is_python(notebook) else {},
        )
    except BaseException:
        shutil.rmtree(exhibits, ignore_errors=True)  # they are incomplete
        raise
    if not (exhibits / MANIFEST).exists():
        raise NotebookError(
            f"{_named(project, notebook)} saved no exhibits; "
            "make one `Exhibits(results, exhibits_dir)`"
        )
    checksums.note(build, f"analyse-{slug(experiment)}", [executed, *exhibits.iterdir()])
    return executed


def existing(project: Project, experiment: str) -> Path:
    """Return the path of an experiment's notebook.

    Raises `NotebookError` if it does not exist, and `UserError` if its kernel is not installed.
    """
    path = project.notebook(experiment)
    if not path.exists():
        raise NotebookError(
            f'experiment "{experiment}" has no notebook {_named(project, path)}; add it'
        )
    kernels.check(_named(project, path), kernels.of(path), project.home)
    return path


def _is_python(notebook: Path) -> bool:
    return kernels.of(notebook) == kernels.PYTHON


def _execute(
    project: Project,
    notebook: Path,
    executed: Path,
    parameters: Mapping[str, str],
    options: Mapping[str, Any],
) -> None:
    import papermill
    from papermill.exceptions import PapermillExecutionError

    failed = executed.with_suffix(".failed.ipynb")
    with replacing(executed, ending=".part.ipynb") as part:
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
                f"{_named(project, notebook)}, cell {error.cell_index}: {error.ename}: "
                f"{' '.join(error.evalue.split())}; the traceback is in {_named(project, failed)}"
            ) from None
        clean(part, Redactor(project.root))
    failed.unlink(missing_ok=True)


def clean(path: Path, redactor: Redactor) -> None:
    """Remove from an executed notebook what differs between runs, and local paths and secrets."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    _forget_run(notebook)
    _forget_font_cache(notebook)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        _redact(output, redactor)
    nbformat.write(notebook, path)


def _forget_run(notebook: "NotebookNode") -> None:
    """Remove times, random ids, and the release of Python.

    The same notebook on the same results must give the same bytes.
    """
    parameters = notebook.metadata.get("papermill", {}).get("parameters", {})
    notebook.metadata = {**kernels.metadata(notebook), "papermill": {"parameters": parameters}}
    for number, cell in enumerate(notebook.cells):
        for name in ("execution", "papermill"):
            cell.metadata.pop(name, None)
        if "id" in cell:
            cell.id = f"cell-{number:02d}"


def _forget_font_cache(notebook: "NotebookNode") -> None:
    """Remove what matplotlib says once on a slow machine that is new to it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                output.text = output.text.replace(FONT_CACHE, "")
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("text") != ""]


def _redact(output: "NotebookNode", redactor: Redactor) -> None:
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


def store(project: Project, experiment: str) -> Path:
    """Run a notebook on the reference results and store its text outputs; return its path.

    nbval compares these outputs, which have no images. A notebook that raises stays unchanged.
    """
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
    # The kernel would warn that it does not encrypt its messages, which never leave this machine.
    client.extra_arguments = ["--log-level=ERROR"]
    try:
        with environment.replaced(environment.clean(project.home)):
            client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        raise NotebookError(
            f"{_named(project, path)}: {error.ename}: {' '.join(error.evalue.split())}; "
            "nothing was stored"
        ) from None
    strip(notebook)
    atomic_write(path, nbformat.writes(notebook) + "\n")
    return path


def strip(notebook: "NotebookNode") -> None:
    """Remove from a notebook what is large or differs between runs.

    That is images, times, warnings, and the kernel's version. The execution counts stay: nbval
    assumes that a cell without a count never ran.
    """
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                if "data" in output:
                    output.data = {
                        key: value
                        for key, value in output.data.items()
                        if not key.startswith("image/")
                    }
    notebook.metadata = kernels.metadata(notebook)


def _named(project: Project, path: Path) -> Path:
    return path.relative_to(project.root)

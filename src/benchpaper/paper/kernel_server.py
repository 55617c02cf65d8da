"""Runs notebooks in forks of a process that has the libraries loaded.

This saves each notebook the seconds that the imports take. `benchpaper run` and `benchpaper watch`
start one server for as long as they run (`serving`). A step finds the server through an environment
variable; without a server it runs its notebook in its own process.

The server has a single thread. For each notebook it forks a kernel, and a client that runs
papermill against the kernel. It imports nothing before the first request, because importing
would disturb a measurement.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchpaper.core import environment, temporary
from benchpaper.core.errors import UserError
from benchpaper.core.processes import die_with_parent
from benchpaper.core.project import Project

VARIABLE = "BENCHPAPER_WARM"  # holds the path of the server's socket
MAX_FOLDER_BYTES = 64  # of the 107 bytes that the path of a socket may have
SLOW_IMPORTS = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "papermill",
    "nbformat",
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "benchpaper.analysis.style",
    "benchpaper.analysis.sites",
    "benchpaper.analysis.exhibits",
    "benchpaper.paper.notebook",
)


@contextlib.contextmanager
def serving(project: Project) -> Iterator[dict[str, str]]:
    """Run a server, and yield the environment that lets steps find it.

    On exit the server is killed, with all notebooks that it still runs.
    """
    with temporary.folder(parent=_folder_of_sockets()) as folder:
        yield from _serving(project, folder / "socket")


def _serving(project: Project, path: Path) -> Iterator[dict[str, str]]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchpaper.paper.kernel_server", str(listening.fileno())],
            env=environment.clean(project.home),
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
    try:
        yield {VARIABLE: str(path)}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _folder_of_sockets() -> str:
    """Return the folder for temporary files, or /tmp if its name is too long for a socket."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= MAX_FOLDER_BYTES else "/tmp"


def ask(project: Project, site: str, source: str, experiment: str) -> bool:
    """Let the server run an experiment's notebook; return False if there is no server.

    Raises `UserError` with the notebook's error.
    """
    path = os.environ.get(VARIABLE)
    if not path or not os.path.exists(path):
        return False
    request = {"root": str(project.root), "site": site, "source": source, "experiment": experiment}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = connection.makefile().readline()
    if not answer:
        raise UserError(
            f"the notebook of {experiment} died: its process was killed, "
            "perhaps because memory ran out"
        )
    if error := json.loads(answer)["error"]:
        raise UserError(error)
    return True


def ready() -> None:
    """Let the server load the libraries now, and wait for it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[VARIABLE])
        connection.sendall(b"{}\n")
        connection.makefile().readline()


def _serve(listening: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps the children
    loaded = False
    while True:
        connection, _ = listening.accept()
        if not loaded:
            _load()
            loaded = True
        if os.fork() == 0:
            listening.close()
            with connection:
                _answer(connection)
            os._exit(0)
        connection.close()


def _load() -> None:
    import importlib

    # ipykernel sets the same backend, but matplotlib reads the variable during its import.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    for name in SLOW_IMPORTS:
        importlib.import_module(name)


def _answer(connection: socket.socket) -> None:
    """Run one notebook: fork its kernel, then run papermill in this process."""
    from benchpaper.core.project import Project
    from benchpaper.paper import notebook

    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(connection.makefile().readline())
    if not request:
        connection.sendall(b"{}\n")
        return
    project = Project(Path(request["root"]))
    os.chdir(project.root)
    with temporary.folder(parent=_folder_of_sockets()) as folder:
        kernel = _fork_kernel(folder / "kernel.json")
        error = ""
        try:
            notebook.analyse(
                project,
                request["site"],
                request["source"],
                request["experiment"],
                _manager(kernel, str(folder)),
            )
        except UserError as failure:
            error = str(failure)
        except Exception as failure:  # `ask` raises it again
            error = f"{type(failure).__name__}: {failure}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kernel, signal.SIGKILL)
            os.waitpid(kernel, 0)
    connection.sendall(json.dumps({"error": error}).encode() + b"\n")


def _fork_kernel(connection_file: Path) -> int:
    """Fork a kernel that listens on sockets next to `connection_file`; return its process id."""
    from jupyter_client.connect import write_connection_file

    write_connection_file(
        str(connection_file), transport="ipc", ip=str(connection_file.with_suffix(""))
    )
    child = os.fork()
    if child:
        return child
    die_with_parent()
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance(connection_file=str(connection_file), parent_handle=os.getppid())
    app.initialize([])
    app.start()
    os._exit(0)


def _manager(kernel: int, folder: str) -> type:
    """Return a class of kernel managers for papermill that uses this kernel and starts none."""
    from jupyter_client.manager import AsyncKernelManager

    class Forked(AsyncKernelManager):
        # `AsyncKernelManager` overrides these methods of `KernelManager` with coroutines too.
        async def start_kernel(self, **ignored: Any) -> None:  # type: ignore[override]
            self.load_connection_file(str(Path(folder) / "kernel.json"))

        async def is_alive(self) -> bool:  # type: ignore[override]
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_PID, kernel, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            return False

        _async_is_alive = is_alive  # the name that the client calls

        async def interrupt_kernel(self) -> None:  # type: ignore[override]
            os.kill(kernel, signal.SIGINT)

        async def shutdown_kernel(  # type: ignore[override]
            self, now: bool = False, restart: bool = False
        ) -> None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kernel, signal.SIGKILL)

    return Forked


if __name__ == "__main__":
    die_with_parent()
    _serve(socket.socket(fileno=int(sys.argv[1])))

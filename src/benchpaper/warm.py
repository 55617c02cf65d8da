"""Runs notebooks in processes forked from one that has the libraries loaded, which saves each of them the seconds that
these take to import. `benchpaper run` and `benchpaper watch` start one server for their own time (`serving`); a step
finds it by an environment variable, and runs its notebook alone where there is none.

The server is a single thread. For each notebook it forks a kernel and a client that runs papermill against it. It
imports at the first request, not before: until then a measurement may be going on.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchpaper import environment
from benchpaper.errors import UserError
from benchpaper.hosts.processes import die_with_parent

VARIABLE = "BENCHPAPER_WARM"  # names the server's socket
START_S = 20.0
LONGEST_FOLDER = 64  # bytes
HEAVY = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "papermill", "nbformat", "matplotlib.pyplot", "matplotlib_inline.backend_inline",
    "pandas", "pyarrow.parquet", "scipy.stats", "benchpaper.style", "benchpaper.estimates", "benchpaper.exhibits",
    "benchpaper.notebook",
)  # fmt: skip


@contextlib.contextmanager
def serving(project):
    """Run a server; yields the environment that lets steps find it. Ends with whatever it still runs."""
    folder = Path(tempfile.mkdtemp(prefix="benchpaper-warm-", dir=_folder_of_sockets()))
    path = folder / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(64)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchpaper.warm", str(listening.fileno())],
            env=environment.clean(project.home), pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=partial(die_with_parent, os.getpid()),
        )  # fmt: skip
    try:
        yield {VARIABLE: str(path)}
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _folder_of_sockets() -> str:
    """Return the folder for temporary files, or /tmp where its name leaves too little of the 107 bytes that the path of
    a socket may have."""
    found = tempfile.gettempdir()
    return found if len(os.fsencode(found)) <= LONGEST_FOLDER else "/tmp"


def ask(project, site, source, experiment):
    """Have the server run an experiment's notebook. Returns False where no server is; raises what running it raised."""
    path = os.environ.get(VARIABLE)
    if not path or not os.path.exists(path):
        return False
    request = {"root": str(project.root), "site": site, "source": source, "experiment": experiment}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = connection.makefile().readline()
    if not answer:
        raise UserError(f"the notebook of {experiment} died: its process was killed, perhaps for want of memory")
    if error := json.loads(answer)["error"]:
        raise UserError(error)
    return True


def ready():
    """Have the server load the libraries now, and wait for it."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[VARIABLE])
        connection.sendall(b"{}\n")
        connection.makefile().readline()


def _serve(listening):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
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


def _load():
    import importlib

    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"  # as ipykernel sets it, but before the import
    for name in HEAVY:
        importlib.import_module(name)


def _answer(connection):
    """Run one notebook, in a process of its own: first its kernel is forked, then papermill runs here."""
    from benchpaper import notebook
    from benchpaper.project import Project

    die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(connection.makefile().readline())
    if not request:
        return connection.sendall(b"{}\n")
    project = Project(Path(request["root"]))
    os.chdir(project.root)
    with tempfile.TemporaryDirectory(prefix="benchpaper-kernel-", dir=_folder_of_sockets()) as folder:
        kernel = _fork_kernel(Path(folder) / "kernel.json")
        error = ""
        try:
            notebook.analyse(project, request["site"], request["source"], request["experiment"], _manager(kernel, folder))
        except UserError as failed:
            error = str(failed)
        except Exception as failed:  # told where the step is told
            error = f"{type(failed).__name__}: {failed}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kernel, signal.SIGKILL)
            os.waitpid(kernel, 0)
    connection.sendall(json.dumps({"error": error}).encode() + b"\n")


def _fork_kernel(connection_file):
    """Fork a kernel that listens at files beside `connection_file`; returns its process id."""
    from jupyter_client.connect import write_connection_file

    write_connection_file(str(connection_file), transport="ipc", ip=str(connection_file.with_suffix("")))
    child = os.fork()
    if child:
        return child
    die_with_parent()
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance(connection_file=str(connection_file), parent_handle=os.getppid())
    app.initialize([])
    app.start()
    os._exit(0)


def _manager(kernel, folder):
    """A class of kernel managers, for papermill, that has this one kernel and starts none."""
    from jupyter_client.manager import AsyncKernelManager

    class Forked(AsyncKernelManager):
        async def start_kernel(self, **ignored):
            self.load_connection_file(str(Path(folder) / "kernel.json"))

        async def is_alive(self):
            with contextlib.suppress(ChildProcessError):
                return os.waitid(os.P_PID, kernel, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
            return False

        _async_is_alive = is_alive  # what the client asks

        async def interrupt_kernel(self):
            os.kill(kernel, signal.SIGINT)

        async def shutdown_kernel(self, now=False, restart=False):
            with contextlib.suppress(ProcessLookupError):
                os.kill(kernel, signal.SIGKILL)

    return Forked


if __name__ == "__main__":
    die_with_parent()
    _serve(socket.socket(fileno=int(sys.argv[1])))

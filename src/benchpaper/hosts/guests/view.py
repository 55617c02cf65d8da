"""What a guest can see of this machine, as words of bubblewrap's command line.

A guest's kernel, or its emulator, is a process of this machine, and root in the guest can open
whatever this process can. So the process itself gets a view: the system's programs, the project,
and its Python, all read-only, and no file of /etc that other users may not read. It can write only
to the folder that the guest shares with its keeper. Homes, temporary files and other projects do
not exist there.
"""

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from benchpaper.core.project import Project
from benchpaper.hosts.guest_kernel import SANDBOX

SYSTEM = ("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr")
EMPTY = ("/home", "/mnt", "/root", "/srv", "/sys", "/var")
SOURCE = Path(__file__).parents[3]  # the folder of the package benchpaper
EXCHANGE = "/run/exchange"
# What an emulated guest boots, and its modules (as in `modules`).
KERNEL, INITIAL_DISK, MODULES = "/run/kernel", "/run/initial-disk", "/run/modules"


def shown(project: Project) -> list[str]:
    """Return the folders that a guest needs besides the system: outer ones before inner ones."""
    wanted = {project.root, SOURCE, Path(sys.prefix), Path(sys.base_prefix)}
    folders = sorted({path.resolve() for path in wanted})
    return [
        str(path)
        for path in folders
        if not _is_below(path, map(Path, SYSTEM))
        and not _is_below(path, (other for other in folders if other != path))
    ]


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def words(
    project: Project, exchange: Path, tap: bool, places: Mapping[str, Path | str]
) -> list[str]:
    """Return the command line that starts a guest's kernel, up to the kernel's own name.

    `exchange` is the only folder that it may write to. With `tap` it may open network interfaces
    of its user. `places` are {place: what the guest sees there}.
    """
    argv = [SANDBOX, "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc"]
    argv += ["--unshare-uts"] if tap else ["--unshare-uts", "--unshare-net"]
    argv += ["--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"]
    argv += ["--dev-bind", "/dev/net/tun", "/dev/net/tun"] if tap else []
    for folder in SYSTEM:
        if os.path.islink(folder):
            argv += ["--symlink", os.readlink(folder), folder]
        elif os.path.isdir(folder):
            argv += ["--ro-bind", folder, folder]
    for path, is_folder in _secrets(Path("/etc")):
        argv += ["--tmpfs", path] if is_folder else ["--ro-bind", os.devnull, path]
    for folder in [*EMPTY, "/run", "/tmp"]:
        argv += ["--dir", folder]
    for path in shown(project):
        argv += [*_parents(path), "--ro-bind", path, path]
    if project.state.is_dir():  # keys of the lab, and other trials' files
        argv += ["--tmpfs", str(project.state.resolve())]
    for place, shown_there in places.items():
        argv += ["--ro-bind", str(shown_there), place]
    return [*argv, "--bind", str(exchange), EXCHANGE, "--remount-ro", "/", "--chdir", EXCHANGE]


def _parents(path: str) -> list[str]:
    return [word for parent in reversed(Path(path).parents[:-1]) for word in ("--dir", str(parent))]


def _secrets(folder: Path) -> Iterator[tuple[str, bool]]:
    """Yield what other users may not read below a folder: (path, whether it is a folder)."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                continue
            mode, is_folder = entry.stat().st_mode, entry.is_dir()
            if not mode & stat.S_IROTH:
                yield entry.path, is_folder
            elif is_folder:
                yield from _secrets(Path(entry.path))

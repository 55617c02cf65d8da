"""Death and return of a server: killed at once, and started again with the same command line.

What it had acknowledged, and kept only in its memory, is lost.
"""

from typing import Any

from experiments.systems import asking, nfs, server


def restart(system: Any) -> None:
    """Kill a running NFS server or FUSE file system with SIGKILL, and start it again.

    Returns once it answers. A FUSE file system is unmounted in between, as its mount point would
    stay broken.
    """
    host, path = system._host, getattr(system, "path", None)
    argv = system._argv(path or system.port)
    host.run(["kill", "-KILL", system.process.pid])
    system.process.wait()
    if path:
        host.run(["umount", "-l", path], check=False)
    system.process = host.start(argv, env=getattr(system, "_env", None))

    def ready() -> None:
        if path:
            host.run(["mountpoint", "-q", path])
            return
        version, export = next(iter(system.export.paths.items()))
        asking.ask(host, nfs.check, system.address, system.port, version, export.strip("/"))

    server.wait(str(argv[0]).rpartition("/")[2], system.process, ready, server.PATIENCE_S)

"""The two sides of a system as the probes use them: names as files and as objects.

A view is made from the plain description that `stacks.Stack` yields, on whichever host the probe
runs. Each thread makes its own. A missing name reads as None; every other failure raises.
"""

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

from experiments.multiprotocol import broken_store, control, control_views
from experiments.multiprotocol.folder_views import Folder, Mounted
from experiments.multiprotocol.nfs_views import Libnfs, Nfs
from experiments.multiprotocol.s3_view import S3
from experiments.multiprotocol.single_door import (
    FilesAsObjects,
    InexpressibleError,
    ObjectsAsFiles,
)


def _second_gateway(kind, endpoint):
    return ObjectsAsFiles(S3(endpoint))


FILE_VIEWS: dict[str, Callable[..., Any]] = {
    "folder": Folder,
    "mounted": Mounted,
    "nfs": Nfs,
    "libnfs": Libnfs,
    "gateway": _second_gateway,
}


def open_views(described):
    """Return a function that makes a new (file view, object view) of the described system.

    If the file side has several mounts, the views take turns.
    """
    if described["file"]["kind"] == "memory":
        store = broken_store.Broken() if described["file"]["broken"] else control.Store()
        return lambda: (control_views.File(store), control_views.S3(store))
    if described["s3"] is None:  # one door, and no server
        folder = Folder(**described["file"])
        return lambda: (folder, FilesAsObjects(folder))
    make, files = FILE_VIEWS[described["file"]["kind"]], dict(described["file"])
    paths = itertools.cycle(files.pop("paths", [None]))

    def new():
        path = next(paths)
        return make(**files, **({"path": path} if path else {})), S3(described["s3"])

    return new


def prepare(file, folder):
    """Make a folder for the names of tries; an object store needs none."""
    with contextlib.suppress(InexpressibleError):
        file.make_folder(folder)


def solos(new):
    """Return {protocol: two pairs of views over it alone}, of four new pairs.

    No connection is in two views, as threads use them.
    """
    files, objects = zip(*(new() for _ in range(4)), strict=True)
    return {
        "s3": [(ObjectsAsFiles(objects[n]), objects[n + 1]) for n in (0, 2)],
        "file": [(files[n], FilesAsObjects(files[n + 1])) for n in (0, 2)],
    }

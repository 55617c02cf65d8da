"""The two sides of a system as the probes use them: names as files and as objects.

A view is made from the plain description that `stacks.Stack` yields, on whichever host the probe
runs. Each thread makes its own. A missing name reads as None; every other failure raises.
"""

from experiments.multiprotocol import control
from experiments.multiprotocol.folder_views import Folder, Mounted
from experiments.multiprotocol.nfs_views import Libnfs, Nfs
from experiments.multiprotocol.s3_view import S3

FILE_VIEWS = {"folder": Folder, "mounted": Mounted, "nfs": Nfs, "libnfs": Libnfs}


def open_views(described):
    """Return a function that makes a new (file view, object view) of the described system."""
    if described["file"]["kind"] == "memory":
        store = control.Broken() if described["file"]["broken"] else control.Store()
        return lambda: (control.File(store), control.S3(store))
    make = FILE_VIEWS[described["file"]["kind"]]
    return lambda: (make(**described["file"]), S3(described["s3"]))

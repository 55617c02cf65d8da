"""What takes long to make and is the same for all tests: one worker of a suite makes it for all."""

import fcntl
import shutil


def folder(request, factory, name, make):
    """Return a folder of this worker's own, after `make(folder)` in one of the workers.

    The others wait for it, and copy it, with the times of its files.
    """
    mine = factory.mktemp(name) / "project"
    if not hasattr(request.config, "workerinput"):  # no worker, but the whole suite
        make(mine)
        return mine
    whole = factory.getbasetemp().parent / name
    with open(whole.with_suffix(".lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if whole.exists():
            shutil.copytree(whole, mine, symlinks=True)
            return mine
        make(mine)
        part = whole.with_suffix(".part")  # of a worker that was killed, perhaps
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(mine, part, symlinks=True)
        part.rename(whole)
    return mine

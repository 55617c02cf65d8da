"""Whose lab it is: a record per lab beside the machine's network namespaces, so that one whose owner is gone can be
told from one that is in use, also from another checkout.

A lab that is being made, or that a test holds, belongs to a process; one that `benchpaper lab up` has finished belongs
to its checkout. The record is written before anything is made and removed last. It lies in /run, which lasts exactly
as long as the namespaces do.
"""

import json
import os
from pathlib import Path

FOLDER = Path("/run/benchpaper/labs")


def note(mark, root, of_process):
    """Record the lab `mark` of the checkout `root`; `of_process`: it belongs to this process, and ends with it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    owner = {"pid": os.getpid(), "since": _begun(os.getpid())} if of_process else {}
    part = FOLDER / f".{mark}.{os.getpid()}"
    part.write_text(json.dumps({"root": str(root), **owner}))
    part.replace(FOLDER / f"{mark}.json")


def forget(mark):
    (FOLDER / f"{mark}.json").unlink(missing_ok=True)


def roots():
    """Return {mark: the checkout's folder} of the labs on this machine."""
    return {mark: Path(record["root"]) for mark, record in _records()}


def abandoned():
    """Return the checkouts (their folders) whose lab has lost its owner: the process was killed, or the checkout
    removed."""
    return [Path(record["root"]) for _, record in _records() if not _has_owner(record)]


def _records():
    for path in sorted(FOLDER.glob("[!.]*.json")):
        try:
            yield path.stem, json.loads(path.read_text())
        except FileNotFoundError:
            continue  # removed meanwhile


def _has_owner(record):
    if "pid" not in record:
        return Path(record["root"]).is_dir()
    return (
        _begun(record["pid"]) == record["since"]
    )  # another start: the id is another process's by now


def _begun(pid):
    """Return when a process began, in ticks since the machine did (so that no change of the clock matters), or None when
    it has ended."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18])

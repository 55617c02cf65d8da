"""The owners of labs: a record per lab, so that every checkout knows which labs are abandoned.

While it is made, or held by a test, a lab belongs to a process. Once `benchpaper lab up` has
finished, the lab belongs to its checkout. The record is written before anything else is made, and
removed last. It lies in /run, which lasts exactly as long as the namespaces do.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.private import own_folder

FOLDER = Path("/run/benchpaper/labs")


def note(mark: str, root: Path, of_process: bool) -> None:
    """Record that the lab `mark` of the checkout `root` exists.

    With `of_process` it belongs to this process and ends with it, otherwise to the checkout.
    """
    own_folder(own_folder(FOLDER.parent) / FOLDER.name)
    owner = {"pid": os.getpid(), "since": _begun(os.getpid())} if of_process else {}
    atomic_write(FOLDER / f"{mark}.json", json.dumps({"root": str(root), **owner}))


def forget(mark: str) -> None:
    (FOLDER / f"{mark}.json").unlink(missing_ok=True)


def roots() -> dict[str, Path]:
    """Return {mark: the checkout's folder} of the labs on this machine."""
    return {mark: Path(record["root"]) for mark, record in _records()}


def abandoned() -> list[Path]:
    """Return the folders of checkouts whose lab has lost its owner.

    Its process was killed, or the checkout was removed.
    """
    return [Path(record["root"]) for _, record in _records() if not _has_owner(record)]


def _records() -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        paths = sorted(FOLDER.glob("[!.]*.json"))
    except PermissionError:  # root's; an ordinary user can make none that need a record
        return
    for path in paths:
        try:
            yield path.stem, json.loads(path.read_text())
        except FileNotFoundError:
            continue  # removed meanwhile


def _has_owner(record: dict[str, Any]) -> bool:
    if "pid" not in record:
        return Path(record["root"]).is_dir()
    # With another start, the id belongs to another process by now.
    return _begun(record["pid"]) == record["since"]


def _begun(pid: int) -> int | None:
    """Return when a process began, in ticks since boot; None if it has ended.

    Ticks do not depend on changes of the clock.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18])

"""Finds the numbers of the paper that differ from an earlier commit, with old and new values.

The old values are those that the committed notebooks have stored: `Exhibits.number` prints each
as `name: value`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import git, is_checkout, known_revision
from benchpaper.paper import gather

PRINTED = re.compile(r"^([a-z][a-z0-9]*(?:-[a-z0-9]+)*): (.*)$")


def numbers(notebook: str) -> dict[str, str]:
    """Return {name: value as text} of the numbers that a notebook (as JSON text) printed."""
    values = {}
    for cell in json.loads(notebook)["cells"]:
        for output in cell.get("outputs", []):
            for line in "".join(output.get("text", "")).splitlines():
                if match := PRINTED.match(line):
                    values[match[1]] = match[2]
    return values


def changed(project: Project, site: str, against: str = "HEAD") -> list[dict[str, Any]]:
    """Return [{name, old, new}] of the numbers that differ between commit `against` and the build.

    The build is that of the reference. A value is None if its side lacks the number. Raises
    `UserError` when nothing is built, or the project has no such commit.
    """
    build = project.build(site, REFERENCE)
    known_revision(project)
    if (
        not is_checkout(project)
        or not git(project, "rev-parse", "--verify", "-q", f"{against}^{{commit}}").strip()
    ):
        raise UserError(
            f'there is no commit "{against}" to compare with; name one, in a git checkout'
        )
    exhibits = gather.all_exhibits(build)
    if not exhibits:
        raise UserError(
            "nothing is built from the reference; run ./reproduce --from reference figures"
        )
    new = {name: as_printed(entry) for name, entry in exhibits.items() if entry["kind"] == "number"}
    old: dict[str, str] = {}
    for notebook in sorted({entry["notebook"] for entry in exhibits.values()}):
        if text := git(project, "show", f"{against}:{notebook}"):
            old |= {
                name: value
                for name, value in numbers(text).items()
                if name in new or _is_value(value)
            }
    names = sorted({*old, *new}, key=lambda name: (name not in new, name))
    return [
        {"name": name, "old": old.get(name), "new": new.get(name)}
        for name in names
        if old.get(name) != new.get(name)
    ]


def _is_value(text: str) -> bool:
    """Return whether a printed line is a number or the reason for a gap.

    A number reads `1.21 µs [0.32, 1.22] (n = 15)`.
    """
    return bool(re.search(r"\(n = \d+(, \d+ failed)?\)$", text)) or text.startswith(
        "not measured here: "
    )


def as_printed(entry: Mapping[str, Any]) -> str:
    """Return a number of a manifest as a notebook prints it."""
    if entry["missing"]:
        return f"not measured here: {entry['missing']}"
    failed = f", {entry['failed']} failed" if entry["failed"] else ""
    interval = f" {entry['interval']}" if entry["interval"] else ""
    return f"{entry['text']}{interval} (n = {entry['n']}{failed})"


def show(changes: list[dict[str, Any]]) -> None:
    """Print the changed numbers, each with its old and its new value."""
    if not changes:
        print("no number of the paper has changed")
    width = max((len(change["name"]) for change in changes), default=0)
    for change in changes:
        name, old, new = change["name"], change["old"], change["new"]
        print(f"{name.ljust(width)}  {old or '(was not there)'}  ->  {new or '(is gone)'}")

"""Finds the numbers of the paper that differ from an earlier commit, with old and new values.

The old values are those that the committed notebooks have stored: `Exhibits.number` prints each
as `name: value`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchpaper.analysis.manifests import Number
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project
from benchpaper.core.revision import git, is_checkout, known_revision
from benchpaper.paper import gather

PRINTED = re.compile(r"^([a-z][a-z0-9]*(?:-[a-z0-9]+)*): (.*)$")


@dataclass(frozen=True)
class Change:
    """A number whose text has changed; None if a side lacks the number."""

    name: str
    old: str | None
    new: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the change as plain data, with the names of the fields as keys."""
        return asdict(self)


def numbers(notebook: str) -> dict[str, str]:
    """Return {name: value as text} of the numbers that a notebook (as JSON text) printed."""
    values = {}
    for cell in json.loads(notebook)["cells"]:
        for output in cell.get("outputs", []):
            for line in "".join(output.get("text", "")).splitlines():
                if match := PRINTED.match(line):
                    values[match[1]] = match[2]
    return values


def changed(project: Project, site: str, against: str = "HEAD") -> list[Change]:
    """Return the numbers that differ between commit `against` and the build.

    The build is that of the reference. Raises `UserError` when nothing is built, or the project
    has no such commit.
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
    new = printed(build)
    old: dict[str, str] = {}
    for notebook in sorted({saved.manifest.notebook for saved in exhibits.values()}):
        if text := git(project, "show", f"{against}:{notebook}"):
            old |= {
                name: value
                for name, value in numbers(text).items()
                if name in new or _is_value(value)
            }
    names = sorted({*old, *new}, key=lambda name: (name not in new, name))
    return [
        Change(name, old.get(name), new.get(name))
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


def printed(build: Path) -> dict[str, str]:
    """Return {name: value as text} of the numbers in a build, as their notebooks print them."""
    exhibits = {name: saved.exhibit for name, saved in gather.all_exhibits(build).items()}
    return {
        name: _as_printed(exhibit)
        for name, exhibit in exhibits.items()
        if isinstance(exhibit, Number)
    }


def _as_printed(number: Number) -> str:
    if number.missing:
        return f"not measured here: {number.missing}"
    failed = f", {number.failed} failed" if number.failed else ""
    interval = f" {number.interval}" if number.interval else ""
    return f"{number.text}{interval} (n = {number.n}{failed})"


def show(changes: Sequence[Change]) -> None:
    """Print the changed numbers, each with its old and its new value."""
    if not changes:
        print("no number of the paper has changed")
    width = max((len(change.name) for change in changes), default=0)
    for change in changes:
        old, new = change.old or "(was not there)", change.new or "(is gone)"
        print(f"{change.name.ljust(width)}  {old}  ->  {new}")

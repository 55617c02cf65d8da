"""Numbers of the paper that are not what they were at the last commit: each with its old and its new value.

What they were is what the committed notebooks have stored: `Exhibits.number` prints each as `name: value`.
"""

import json
import re

from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.core.revision import git, is_checkout, known_revision
from benchpaper.paper import typeset

PRINTED = re.compile(r"^([a-z][a-z0-9]*(?:-[a-z0-9]+)*): (.*)$")


def numbers(notebook):
    """Return {name: value as text} of the numbers in a notebook's stored outputs (the notebook as JSON text)."""
    found = {}
    for cell in json.loads(notebook)["cells"]:
        for output in cell.get("outputs", []):
            for line in "".join(output.get("text", "")).splitlines():
                if match := PRINTED.match(line):
                    found[match[1]] = match[2]
    return found


def changed(project, site, against="HEAD"):
    """Return [{name, old, new}] of the numbers that the build from the reference has otherwise than commit `against`;
    None for one that was or is not there. Raises `UserError` where nothing is built, or there is no history."""
    build = project.build(site, REFERENCE)
    known_revision(project)
    if (
        not is_checkout(project)
        or not git(project, "rev-parse", "--verify", "-q", f"{against}^{{commit}}").strip()
    ):
        raise UserError(
            f'there is no commit "{against}" to compare with; name one, in a git checkout'
        )
    exhibits = typeset.all_exhibits(build)
    if not exhibits:
        raise UserError(
            "nothing is built from the reference; run ./reproduce --from reference figures"
        )
    new = {name: as_printed(entry) for name, entry in exhibits.items() if entry["kind"] == "number"}
    old = {}
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


def _is_value(text):
    """Whether a printed line is that of a number: `1.21 µs [0.32, 1.22] (n = 15)`, or why there is none."""
    return bool(re.search(r"\(n = \d+(, \d+ failed)?\)$", text)) or text.startswith(
        "not measured here: "
    )


def as_printed(entry):
    """Return a number of a manifest as a notebook prints it."""
    if entry["missing"]:
        return f"not measured here: {entry['missing']}"
    failed = f", {entry['failed']} failed" if entry["failed"] else ""
    return f"{entry['text']}{' ' * bool(entry['interval'])}{entry['interval']} (n = {entry['n']}{failed})"


def show(found):
    """Print the changed numbers, old and new beside each other."""
    if not found:
        print("no number of the paper has changed")
    width = max((len(one["name"]) for one in found), default=0)
    for one in found:
        print(
            f"{one['name'].ljust(width)}  {one['old'] or '(was not there)'}  ->  {one['new'] or '(is gone)'}"
        )

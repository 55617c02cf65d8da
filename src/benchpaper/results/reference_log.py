"""Why each reference was measured: artifacts/reference/CHANGES.md, a table that people read too.

`benchpaper adopt` writes a row for every measurement that becomes a reference. `claims --history`
shows the reasons next to the measurements that git knows.
"""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, Project

FILE = "CHANGES.md"
NEW = "-"  # stands where nothing was replaced
DAMAGED = "damaged"  # stands where what was replaced could not be read
COLUMNS = ("Site", "Experiment", "Measured from (UTC)", "Replaces that of", "Why")
HEAD = f"""# Changes of the reference

Each measurement that became a reference, and why. `benchpaper adopt` adds the rows.

| {" | ".join(COLUMNS)} |
|{"---|" * len(COLUMNS)}
"""


@dataclass(frozen=True)
class Adopted:
    """A measurement that became a reference.

    `started` and `replaced` are the starts of the first trials, in ISO 8601; `replaced` is "-" for
    the first reference of an experiment at a site, and "damaged" for one that cannot be read.
    """

    site: str
    experiment: str
    started: str
    replaced: str
    why: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells measurements apart."""
        return self.site, self.experiment, self.started

    def __str__(self) -> str:
        return f"| {' | '.join(astuple(self))} |"


def path(project: Project) -> Path:
    """Return the file; it need not exist."""
    return project.results("site", REFERENCE).parent / FILE


def first_start(starts: Iterable[datetime | None]) -> str:
    """Return the first start of trials, in ISO 8601; "" if none of them has a start."""
    known = [start for start in starts if start is not None]
    return min(known).isoformat(timespec="seconds") if known else ""


def read(project: Project) -> list[Adopted]:
    """Return the rows, oldest first. Raises `UserError` for a line that is no row."""
    return [row for row in _lines(project) if isinstance(row, Adopted)]


def add(project: Project, adopted: Adopted) -> None:
    """Add a row below the others, and leave alone what an author wrote around the table.

    A row of the same measurement, which an interrupted try left, gives way.
    """
    lines = [
        line
        for line in _lines(project)
        if not (isinstance(line, Adopted) and line.key == adopted.key)
    ]
    table = [number for number, line in enumerate(lines) if str(line).startswith("|")]
    lines.insert(table[-1] + 1 if table else len(lines), adopted)
    atomic_write(path(project), "".join(f"{line}\n" for line in lines))


def _lines(project: Project) -> list[str | Adopted]:
    """Return the lines of the file, or of a new one; those below the head of the table as rows."""
    file = path(project)
    lines: list[str | Adopted] = [*(file.read_text() if file.exists() else HEAD).splitlines()]
    table = [number for number, line in enumerate(lines) if str(line).startswith("|")]
    for number in table[2:]:
        lines[number] = _row(str(lines[number]), number + 1)
    return lines


def _row(line: str, number: int) -> Adopted:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != len(COLUMNS):
        raise UserError(
            f"artifacts/{REFERENCE}/{FILE}:{number} has {len(cells)} cells, where "
            f"{len(COLUMNS)} belong ({', '.join(COLUMNS)}); mend the line"
        )
    return Adopted(*cells)

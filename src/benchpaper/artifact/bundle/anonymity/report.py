"""What an anonymous bundle looked for and changed. It holds the names, so it never goes along."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchpaper.artifact import bundle
from benchpaper.artifact.bundle.anonymity.identities import Identity
from benchpaper.artifact.bundle.anonymity.needles import Needle
from benchpaper.artifact.bundle.anonymity.search import Finding
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

WARNING = (
    "This report holds the names that the anonymous bundle must not hold. Keep it to yourself."
)


@dataclass
class Report:
    """The whole account of an anonymous bundle, also if it was refused."""

    needles: Sequence[Needle] = ()
    without_needle: Sequence[Identity] = ()
    kept: Sequence[str] = ()
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    searched_files: int = 0

    def text(self) -> str:
        """Return the report as Markdown."""
        sections = (
            ("Searched for", [f"{n.text}: {n.rule} ({n.origin})" for n in self.needles]),
            (
                "Not searched for alone, too short or too common (add --also WORD to do it)",
                [f"{i.text} ({i.kind}, {i.origin})" for i in self.without_needle],
            ),
            ("Kept by --keep", list(self.kept)),
            ("Changed", [f"{name}: {', '.join(what)}" for name, what in self.changes.items()]),
            ("Left", [str(finding) for finding in self.findings]),
        )
        parts = ["# Anonymous bundle", WARNING]
        for title, lines in sections:
            lines = list(dict.fromkeys(lines))
            parts.append("\n".join([f"## {title}: {len(lines)}", *(f"- {line}" for line in lines)]))
        parts.append(f"{self.searched_files} files were searched and hold none of these.")
        return "\n\n".join(parts) + "\n"


def check(path: Path, project: Project) -> None:
    """Raise `UserError` if a report cannot be written to `path`, or would go into a bundle."""
    place = path.resolve()
    if place in {project.root.resolve() / name for name in bundle.sources(project)}:
        raise UserError(f"--report {path} is a file of the project, so it would go into bundles")
    if not place.parent.is_dir() or place.is_dir():
        raise UserError(f"--report {path} is in no folder, or is one; name a file in a folder")


def write(report: Report, path: Path) -> None:
    """Write a report that only its owner may read; raises `UserError` if that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(report.text())
    except OSError as error:
        raise UserError(f"--report {path}: {error.strerror}; name another file") from None

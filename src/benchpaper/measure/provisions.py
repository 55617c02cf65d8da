"""What a trial may send to its hosts: everything that the key of the trial covers.

That is the code below experiments/, the compiled programs, the locked packages, the system's
programs, what the trial itself made in its scratch folders, and declared inputs. A change of
anything else would go unnoticed.
"""

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchpaper.core.contents import contents
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.design.inputs import UNDECLARED
from benchpaper.hosts import Host, HostError

SYSTEM = tuple(map(Path, ("/usr", "/bin", "/sbin", "/lib", "/lib64")))


@dataclass(frozen=True)
class Provisions:
    """The `inputs` of an experiment, {input: place}, and the `folders` that its key covers."""

    inputs: Mapping[str, Path] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()

    @classmethod
    def of(cls, project: Project, inputs: Mapping[str, Path]) -> "Provisions":
        """Return the provisions of an experiment of `project`."""
        own = (project.experiments, project.root / "build" / "programs", project.state)
        return cls(inputs, (*own, *SYSTEM))

    def cover(self, path: Path) -> bool:
        """Return whether a change of `path` makes the trial stale."""
        packages = (Path(sys.prefix), Path(sys.base_prefix))
        if any(path.absolute().is_relative_to(folder) for folder in packages):
            return True  # a package may be a link to a cache of its installer
        places = (*packages, *self.folders, *self.inputs.values())
        return any(path.resolve().is_relative_to(place.resolve()) for place in places)


class Provider:
    """A host of a trial; it sends only what the trial's key covers. All else is the host's.

    An experiment without inputs may send other files; `report` hears of each, and the provenance
    shows it.
    """

    def __init__(self, host: Host, provisions: Provisions, report: Callable[[str, str], object]):
        self._host, self._provisions, self._report = host, provisions, report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    @property
    def outside(self) -> "Provider":
        """The host itself, where commands run in an environment; it gets no more than they do."""
        return Provider(self.__getattr__("outside"), self._provisions, self._report)

    def provide(self, path: Path | str) -> Path:
        """Return where `path` lies on the host. Raises `HostError` for an undeclared input."""
        if not self._provisions.cover(Path(path)):
            if self._provisions.inputs:
                raise HostError(
                    f"{path} is no declared input, so a change of it would go unnoticed; "
                    "declare it (inputs=[Input(...)]), and provide site.inputs[...]"
                )
            self._report("provided", str(Path(path).absolute()))
        return self._host.provide(Path(path))


def undeclared(paths: Iterable[str], notes: Path) -> dict[str, str]:
    """Return {name: digest} of undeclared inputs, for the tools of a trial's record.

    `notes` keeps digests.
    """
    named = {}
    for path in map(Path, dict.fromkeys(paths)):
        try:
            named[f"{UNDECLARED} {path.name}"] = contents(path, notes).sha256[:16]
        except UserError:
            named[f"{UNDECLARED} {path.name}"] = "unknown"
    return named

"""`benchpaper watch`: rebuilds outputs when an author saves a notebook, a claim, or a section.

Saving benchpaper.toml rebuilds all of them: it gives the width of figures and the main file.

It runs the same steps as the pipeline (analyse, judge, gather, typeset), with warm kernels, and
leaves outputs that the pipeline accepts. It knows which file changed, so it needs no Snakemake.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchpaper.analysis import claims
from benchpaper.artifact import appendix
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project, slug
from benchpaper.design import catalog
from benchpaper.paper import gather, kernel_server, latex, number_diff
from benchpaper.workflow import dependencies

POLL_S = 0.2
SETTLE_S = 0.1  # some editors write in two steps


class Watcher:
    """Watches what a project's authors write, and calls `say(text)` with what happens."""

    def __init__(
        self,
        project: Project,
        site: str,
        source: str,
        experiments: list[str],
        say: Callable[[str], object] = print,
    ) -> None:
        self.project, self.site, self.source = project, site, source
        self.experiments, self.say = experiments, say
        self._seen = self._stamps()

    @property
    def _settings(self) -> Path:
        return self.project.root / settings.FILE

    def _stamps(self) -> dict[Path, int]:
        """Return {file: time of its last change}."""
        paths = [
            self._settings,
            *self.project.analysis.glob("*.ipynb"),
            *claims.files(self.project),
        ]
        paths += [self.project.root / path for path in dependencies.paper_sources(self.project)]
        stamps = {}
        for path in paths:
            try:
                stamps[path] = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue  # an editor has removed it, and is about to rename its new version
        return stamps

    def saved(self) -> set[Path]:
        """Return the files that were saved since the last call."""
        now = self._stamps()
        if now == self._seen:
            return set()
        time.sleep(SETTLE_S)
        now = self._stamps()
        changed = {path for path, stamp in now.items() if self._seen.get(path) != stamp}
        self._seen = now
        return changed

    def rebuild(self, saved: set[Path]) -> bool:
        """Rebuild what depends on the saved files. Say a mistake in them, and return False."""
        begin, files = time.monotonic(), ", ".join(sorted(path.name for path in saved))
        everything = self._settings in saved  # the width of figures, the main file, the scales
        names = [
            name for name in self.experiments if everything or self.project.notebook(name) in saved
        ]
        claims_saved = any(path.name.startswith("claims") for path in saved)
        try:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(
                    pool.map(
                        lambda name: kernel_server.ask(self.project, self.site, self.source, name),
                        names,
                    )
                )
            if everything or claims_saved:
                claims.save(self.project, self.site, self.source)
                appendix.write(self.project, self.site, self.source, self.experiments)
            if everything or any(path.is_relative_to(self.project.analysis) for path in saved):
                gather.gather(self.project, self.site, self.source, self.experiments)
            made = "figures"
            if (self.project.build(self.site, self.source) / appendix.NAMES[1]).exists():
                latex.typeset(self.project, self.site, self.source)
                made = "figures and PDF" if names else "PDF"
        except UserError as error:
            self.say(f"{files}: {error}")
            return False
        self.say(f"{files}: {made} in {time.monotonic() - begin:.1f} s")
        return True


def watch(
    project: Project,
    site: str,
    source: str,
    say: Callable[[str], object] = print,
    rounds: int | None = None,
) -> None:
    """Watch until an interrupt, or until the number of `rounds` of rebuilding is reached.

    Raises `UserError` if nothing is built yet.
    """
    experiments = [
        name
        for name in catalog.names(project)
        if (project.build(site, source) / "exhibits" / slug(name)).is_dir()
    ]
    if not experiments:
        raise UserError("nothing is built yet; run ./reproduce --from reference first")
    with kernel_server.serving(project) as server:
        os.environ.update(server)
        kernel_server.ready()
        watcher = Watcher(project, site, source, experiments, say)
        say(f"watching {len(experiments)} notebooks, the claims and the paper; Ctrl-C ends it")
        while rounds is None or rounds > 0:
            if saved := watcher.saved():
                before = _numbers(project, site) if source == "reference" else None
                if watcher.rebuild(saved) and before is not None:
                    _say_changes(before, _numbers(project, site), say)
                rounds = None if rounds is None else rounds - 1
            time.sleep(POLL_S)


def _numbers(project: Project, site: str) -> dict[str, str]:
    """Return {number: its text} of the reference's exhibits."""
    return number_diff.printed(project.build(site, "reference"))


def _say_changes(before: dict[str, str], now: dict[str, str], say: Callable[[str], object]) -> None:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            say(f"  {name}: {before.get(name, '(was not there)')} -> {now.get(name, '(is gone)')}")

"""Gathers the exhibits that notebooks saved into exhibits.tex and claims.tex, which LaTeX reads."""

import json
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchpaper.analysis import claim_rows, history
from benchpaper.analysis.exhibits import tex
from benchpaper.analysis.manifests import Exhibit, Manifest, Number, ResultsFile
from benchpaper.analysis.manifests import read_all as manifests
from benchpaper.core import checksums
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.errors import UserError
from benchpaper.core.project import GATHERED, REFERENCE, Project, slug
from benchpaper.paper import claims_tex
from benchpaper.results import IMPORTED, file_digest
from benchpaper.results.import_record import ImportRecord, record_of

UNKNOWN = "unknown"  # a fact of the machine that measured imported results


class PaperError(UserError):
    """The paper cannot be typeset; the text names the exhibit or quotes LaTeX."""


@dataclass(frozen=True)
class Gathered:
    """An exhibit, the manifest that lists it, and its folder below the build folder."""

    exhibit: Exhibit
    manifest: Manifest
    folder: str


def all_exhibits(build: Path) -> dict[str, Gathered]:
    """Return {name: exhibit} of all notebooks.

    Raises `PaperError` when two notebooks save an exhibit under the same name.
    """
    exhibits: dict[str, Gathered] = {}
    for notebook, manifest in manifests(build).items():
        for name, exhibit in manifest.exhibits.items():
            if name in exhibits:
                raise PaperError(
                    f'exhibit "{name}" is saved by both {exhibits[name].manifest.notebook} and '
                    f"{manifest.notebook}; rename one"
                )
            exhibits[name] = Gathered(exhibit, manifest, f"exhibits/{notebook}")
    return exhibits


def gather(project: Project, site: str, source: str, experiments: Sequence[str]) -> Path:
    """Write exhibits.tex and claims.tex below the build folder; return the path of exhibits.tex.

    The claims' history, which both show, is written next to them. Only manifests of `experiments`
    count. Raises `PaperError` when a manifest was made from other results than those in the project
    now.
    """
    build = project.build(site, source)
    _delete_orphans(project, build)
    chosen = _of_experiments(build, experiments)
    if not chosen:
        names = ", ".join(experiments) or "no experiment"
        raise PaperError(
            f"there is nothing to gather: build/{build.name}/exhibits/ has no manifest of {names}; "
            "run the notebooks first: benchpaper run figures"
        )
    for manifest in chosen.values():
        _check_fresh(project, manifest, project.results(site, source))
    past = json.dumps(history.of(project).to_json(), indent=1) + "\n"
    atomic_write(build / history.FILE, past)
    # exhibits.tex comes last: later steps look only at its time, and need all files.
    atomic_write(build / claims_tex.TABLE, claims_table(build))
    atomic_write(build / GATHERED, gathered(build, experiments))
    made = (history.FILE, claims_tex.TABLE, GATHERED)
    checksums.note(build, "gather", [build / name for name in made])
    return build / GATHERED


def gathered(build: Path, experiments: Sequence[str]) -> str:
    """Return the text of exhibits.tex.

    It follows from the manifests of `experiments` and the verdicts alone.
    """
    chosen = _of_experiments(build, experiments)
    imported = {key: record for key, m in chosen.items() if (record := record_of(m.to_json()))}
    lines = ["% Generated from the notebooks' manifests; do not edit."]
    if chosen:
        lines += _site_lines(list(chosen.values()))
    exhibits = {
        name: gathered
        for name, gathered in all_exhibits(build).items()
        if slug(gathered.manifest.experiment) in chosen
    }
    rows = claim_rows.read(build)
    own = chosen and f"{next(iter(chosen.values())).site}/"  # a second name of the run's numbers
    counted = [g for name, g in exhibits.items() if not (own and name.startswith(own))]
    counts = {
        "exhibits": len(counted),
        "gaps": gaps(saved.exhibit for saved in counted),
        **claims_tex.counts(rows),
    }
    if imported:
        counts["imported"] = sum(bool(saved.manifest.imported) for saved in counted)
        sources = dict.fromkeys(record.short for record in imported.values())
        lines.append(rf"\bpimportedfrom{{{_breakable(', '.join(sources))}}}")
    # LaTeX must not count by itself: it also declares the table of claims, and `verify` compares
    # the numbers in the PDF with those of the manifests.
    lines += [rf"\bpcount{{{name}}}{{{count}}}" for name, count in counts.items()]
    names = sorted({manifest.experiment for manifest in chosen.values()})
    lines += [rf"\bpgathered{{{name}}}" for name in names]
    lines += [_exhibit_line(name, gathered) for name, gathered in exhibits.items()]
    lines += [
        rf"\bpimported{{{name}}}{{{_breakable(_mark(imported[slug(gathered.manifest.experiment)]))}}}"
        for name, gathered in exhibits.items()
        if gathered.manifest.imported and not gathered.exhibit.missing
    ]
    past = history.read(build / history.FILE)
    return "\n".join([*lines, *claims_tex.declarations(rows, past), ""])


def gaps(exhibits: Iterable[Exhibit]) -> int:
    """Return how many exhibits were not measured."""
    return sum(bool(exhibit.missing) for exhibit in exhibits)


def _mark(record: ImportRecord) -> str:
    """Return what the mark of an imported exhibit says."""
    interval = "" if record.block else "; no interval: the table has one block"
    return f"imported from {record.short}, not measured here{interval}"


def _breakable(text: str) -> str:
    """Return text for TeX, with breaks allowed in URLs: a column is narrow."""
    return tex(text).replace("/", r"/\allowbreak{}")


def origin(manifests: Sequence[Manifest]) -> tuple[str, str]:
    """Return (the results that the manifests come from, the days of their measurement).

    Imported results count only if there are no others.
    """
    measured = [manifest for manifest in manifests if not manifest.imported]
    if not measured:
        return f"imported results alone; nothing was measured{_stored(manifests)}", UNKNOWN
    manifests, first = measured, measured[0]
    kind = first.source.split(" of site ")[0]
    scales = sorted({manifest.scale for manifest in manifests})
    blocks = _span([manifest.blocks for manifest in manifests])
    days = _span([manifest.measured_on for manifest in manifests])
    own = f"{kind} of site {first.site}, scale {' and '.join(scales)}, {blocks} blocks"
    return own + _stored(manifests), days


def _stored(manifests: Sequence[Manifest]) -> str:
    """Return the stored results of other sites that the manifests show too, as text."""
    sites: dict[str, set[str]] = {}
    for manifest in manifests:
        for site, stored in manifest.sites.items():
            kind = IMPORTED if stored.source.startswith("results imported") else REFERENCE
            sites.setdefault(kind, set()).add(site)
    return "".join(
        f", next to {kind} results of site {' and '.join(sorted(names))}"
        for kind, names in sorted(sites.items(), reverse=True)
    )


def claims_table(build: Path) -> str:
    """Return the text of claims.tex, from the verdicts and the claims' history."""
    return claims_tex.table(claim_rows.read(build), history.read(build / history.FILE))


def _of_experiments(build: Path, experiments: Collection[str]) -> dict[str, Manifest]:
    slugs = {slug(name) for name in experiments}
    return {key: manifest for key, manifest in manifests(build).items() if key in slugs}


def _delete_orphans(project: Project, build: Path) -> None:
    """Delete the exhibits of notebooks that have been renamed or removed."""
    for folder in (build / "exhibits").glob("*/"):
        if not (project.analysis / f"{folder.name}.ipynb").exists():
            shutil.rmtree(folder)


def read_files(
    project: Project, manifest: Manifest, results: Path
) -> Iterator[tuple[Path, ResultsFile]]:
    """Yield (path, file) of the results that a notebook read: those of the run, in the folder
    `results`, and stored ones of other sites.
    """
    yield from ((results / file.path, file) for file in manifest.files.values())
    for site, stored in manifest.sites.items():
        folder = project.results(site, REFERENCE)
        yield from ((folder / file.path, file) for file in stored.files.values())


def _check_fresh(project: Project, manifest: Manifest, results: Path) -> None:
    for path, file in read_files(project, manifest, results):
        if not path.exists() or file_digest(path) != file.sha256:
            raise PaperError(
                f"the exhibits of {manifest.notebook} are stale: {file.path} has changed "
                "since; run ./reproduce figures"
            )


def _site_lines(manifests: list[Manifest]) -> list[str]:
    """Return the lines that say where the results come from.

    The machine is that of the first manifest; scales, blocks, days and tools are those of all that
    were measured. Of imported results alone, only what was recorded is known.
    """
    source, days = origin(manifests)
    manifests = [m for m in manifests if not m.imported] or manifests
    first = manifests[0]
    hosts: defaultdict[str, str] = defaultdict(lambda: UNKNOWN, first.hosts)
    role = next(iter(first.hosts)).split(".")[0]
    tools = sorted(
        {f"{tool} {version}" for manifest in manifests for tool, version in manifest.tools.items()}
    )
    scales = sorted({manifest.scale for manifest in manifests})
    memory = hosts[f"{role}.memory_gib"]
    facts = {
        "cpu": hosts[f"{role}.cpu"],
        "cores": hosts[f"{role}.cpus"],
        "memory": memory if memory == UNKNOWN else f"{memory} GiB",
        "kernel": hosts[f"{role}.kernel"],
        "os": hosts[f"{role}.os"],
        "hosts": first.site,
        "scale": ", ".join(scales),
        "blocks": _span([manifest.blocks for manifest in manifests]),
        "date": days,
        "tools": ", ".join(tools),
    }
    return [
        rf"\bpsource{{{tex(source)}}}",
        *(rf"\bpsite{{{key}}}{{{tex(value)}}}" for key, value in facts.items()),
    ]


def _span(values: Sequence[Any]) -> str:
    lowest, highest = min(values), max(values)
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"


def _exhibit_line(name: str, gathered: Gathered) -> str:
    exhibit = gathered.exhibit
    if exhibit.missing:
        return rf"\bpmissing{{{name}}}{{{tex(exhibit.missing)}}}"
    if isinstance(exhibit, Number):
        value = tex(exhibit.text).replace(" ", r"\,")  # keeps a number and its unit on one line
        return rf"\bpnumber{{{name}}}{{{value}}}{{{tex(exhibit.interval)}}}{{{exhibit.n}}}"
    return rf"\bp{exhibit.kind}{{{name}}}{{{gathered.folder}/{exhibit.file}}}"

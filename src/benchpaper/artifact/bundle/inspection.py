"""What `verify` checks in an archive, in a confined child process; it runs no code of the archive.

Every statement that stands twice in an archive is compared, and what can be recomputed is. The
checks come in this order, and the first problem ends them: the archive's form, bundle.json, the
generated metadata, the results, what they read, the exhibits, the verdicts, what the paper inputs,
the authors, the text of the PDF. Some numbers (the best of several cells, a fit) are computed by a
notebook in its own way; only `regenerate`, which runs the notebook, can check these.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchpaper import results
from benchpaper.artifact.bundle import (
    SCHEMA_VERSION,
    archive,
    authors,
    confined,
    generated,
    strict,
)
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.core.errors import UserError
from benchpaper.core.project import GATHERED, Project
from benchpaper.paper import claims_tex, gather, latex
from benchpaper.paper.gather import Gathered

if TYPE_CHECKING:
    from benchpaper.analysis.estimates import Results

FORMS = {  # of the fields of bundle.json that name something
    "site": r"\w[\w.-]*",
    "source": r"\w+",
    "commit": r"[0-9a-f]{40}",
    "build": r"build/\w[\w.-]*",
    "benchpaper": r"\w[\w.+-]*",
}
TYPES: dict[str, type] = {"commit_seconds": int, "clean": bool, "experiments": list}
SHOWN = ("site", "source", "commit", "clean", "build")  # fields that a report repeats


def inspect(path: str, folder: str) -> dict[str, Any]:
    """Check an archive; return fields of its bundle.json, and "checks": a line for each check.

    The files are unpacked to `folder`, which must be empty or new. Raises `UserError`.
    """
    confined.reading(Path(path).name)
    files, executable, date = archive.read_dated(Path(path))
    try:
        description = describe(files)
        if generated.revision(description).date != date:
            raise NotVerified(f"its files are not dated as the commit in {archive.ABOUT}")
        archive.unpack(files, executable, folder)
        lines = [
            f"{len(files)} files have the digests of the manifest, and nothing else is in it",
            *check(Project(Path(folder)), files, description),
        ]
    except (UserError, MemoryError):
        raise
    except Exception as error:  # JSON, text, Parquet or PDF of an unexpected shape
        text = " ".join(str(error).split())[:200]
        raise NotVerified(
            f"what it says of itself is broken ({type(error).__name__}: {text})"
        ) from error
    return {**{name: description[name] for name in SHOWN}, "checks": lines}


def describe(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the content of bundle.json after checking schema versions and names."""
    confined.reading(archive.ABOUT)
    if archive.ABOUT not in files:
        raise NotVerified(f"it has no {archive.ABOUT} that says of which schema it is")
    description = strict.from_json(files[archive.ABOUT], archive.ABOUT)
    if not isinstance(description, dict):
        raise NotVerified(f"{archive.ABOUT} is no JSON object")
    versions = {
        "benchpaper_bundle": ("bundles", SCHEMA_VERSION, SCHEMA_VERSION),
        "results_schema": ("results", 1, results.SCHEMA_VERSION),
    }
    for key, (kind, oldest, newest) in versions.items():
        version = description.get(key)
        if type(version) is not int or not oldest <= version <= newest:
            readable = f"{newest}" if oldest == newest else f"{oldest} to {newest}"
            raise NotVerified(
                f"its {kind} have schema version {version!r}, "
                f"this program reads {readable}; use the benchpaper that wrote it"
            )
    for name, form in FORMS.items():
        value = description.get(name)
        if not isinstance(value, str) or not re.fullmatch(form, value):
            raise NotVerified(f'{archive.ABOUT}: {name} "{value}" is no name')
    for name, kind_of in TYPES.items():
        if type(description.get(name)) is not kind_of:
            raise NotVerified(f"{archive.ABOUT}: {name} is no {kind_of.__name__}")
    if unknown := sorted(set(description) - set(versions) - set(FORMS) - set(TYPES)):
        raise NotVerified(f'{archive.ABOUT}: "{unknown[0]}" is not accounted for')
    if description["build"] != f"build/{description['site']}-{description['source']}":
        raise NotVerified(
            f'{archive.ABOUT}: build "{description["build"]}" is not that of its site and source'
        )
    return description


def check(
    project: Project, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> list[str]:
    """Check an unpacked archive; return a line for each check.

    `files` are {name: bytes}; `description` is the content of bundle.json. Raises `UserError`.
    """
    from benchpaper.artifact.bundle import (  # these load pandas
        exhibit_check,
        history_check,
        pdf_check,
        printed_check,
        verdict_check,
    )

    site, source = description["site"], description["source"]
    build = project.build(site, source)
    for name in files:
        if name.startswith("build/") and name.endswith((".json", ".ipynb")):
            confined.reading(name)
            strict.from_json(files[name], name)
    confined.reading("the generated metadata")
    lines = [generated.check(files, description)]
    of_results, read = _check_results(project, files, description)
    folder = project.results(site, source)
    measured = {name: read[folder / name] for name in description["experiments"]}
    exhibits = _exhibits(build)
    rows = verdict_check.rows(build)
    lines += [
        *of_results,
        exhibit_check.check(project, build, measured, read),
        verdict_check.check(project, rows, measured, source),
        history_check.check(project, build, rows, read),
        _check_gathered(project, build, exhibits, description["experiments"]),
    ]
    confined.reading("the PDFs")
    pdfs = [path.relative_to(project.root).as_posix() for path in pdf_check.pdfs(build)]
    lines += [
        authors.check(files, *pdfs),
        pdf_check.check_pdf(
            project, build, {name: saved.exhibit for name, saved in exhibits.items()}
        ),
        printed_check.check(project, build, exhibits, rows),
    ]
    return lines


def _check_results(
    project: Project, files: Mapping[str, bytes], description: Mapping[str, Any]
) -> tuple[list[str], dict[Path, "Results"]]:
    """Check the results, their imports, and their inputs.

    Return a line for each check, and {folder: results} of all results inside.
    """
    from benchpaper.artifact.bundle import import_check, inputs, result_check  # these load pandas

    folder = project.results(description["site"], description["source"])
    line, read = result_check.check(project, list(files))
    if lacking := [name for name in description["experiments"] if folder / name not in read]:
        raise NotVerified(
            f"it has results at {folder.relative_to(project.root)}, "
            f"but no Parquet files of {lacking[0]}"
        )
    used = [item for held in read.values() for item in inputs.used(held.experiment, held.described)]
    lines = [line, *import_check.check(project, read), inputs.check(files, used)]
    return [line for line in lines if line], read


def _exhibits(build: Path) -> dict[str, Gathered]:
    try:
        return gather.all_exhibits(build)
    except gather.PaperError:
        raise
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"an exhibits.json is broken ({type(error).__name__}: {error})") from None


def _check_gathered(
    project: Project, build: Path, exhibits: Mapping[str, Gathered], experiments: list[str]
) -> str:
    if (build / GATHERED).read_text() != gather.gathered(build, experiments):
        raise NotVerified(f"{GATHERED} is not what the notebooks' manifests and the verdicts give")
    table = build / claims_tex.TABLE
    if not table.exists() or table.read_text() != gather.claims_table(build):
        raise NotVerified(f"{claims_tex.TABLE} is not what the verdicts and their history give")
    kinds = {name: saved.exhibit.kind for name, saved in exhibits.items()}
    latex.check_uses(project.paper, {**kinds, "claims": "table"})
    return (
        "what the paper inputs follows from the notebooks' manifests and the verdicts; "
        "it uses no other name"
    )

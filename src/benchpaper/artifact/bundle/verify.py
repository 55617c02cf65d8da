"""`benchpaper verify`: checks that an archive is what it claims, without running its code.

The checks come in this order, and the first failure ends them: the archive's form, the schema, the
crate, the results, the numbers from the results, the verdicts in the paper, the text of the PDF.
Some numbers (a count, the best of several cells) are computed by a notebook in its own way; only
`regenerate`, which runs the notebook, can check these.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchpaper import results
from benchpaper.analysis.manifests import Exhibit
from benchpaper.artifact.bundle import SCHEMA_VERSION, archive, crate, validator
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.artifact.bundle.number_check import check_numbers
from benchpaper.artifact.bundle.pdf_check import check_pdf
from benchpaper.core.errors import UserError
from benchpaper.core.project import GATHERED, Project
from benchpaper.paper import gather, latex

FORMS = {  # of the fields of bundle.json
    "site": r"\w[\w.-]*",
    "source": r"\w+",
    "commit": r"[0-9a-f]{40}",
    "clean": "True|False",
    "build": r"build/\w[\w.-]*",
}
# A Parquet file of a few bytes can claim billions of rows, so these limits come before reading.
MAX_ROWS = 1_000_000
MAX_VALUES = 50_000_000


def verify(path: Path, digest: str | None = None, into: Path | None = None) -> dict[str, Any]:
    """Check an archive; return its digest, its description, and "checks": a line for each check.

    `digest` is the SHA-256 that the archive was published with. The files are unpacked to `into`
    after the checks. Raises `NotVerified` or `ArchiveError` at the first problem.
    """
    with open(_existing(path), "rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if digest and actual != digest.lower():
        raise NotVerified(f"its SHA-256 is {actual}, not {digest}")
    files, executable = archive.read(path)
    try:
        description, checks = _checked(files, executable)
    except UserError as error:
        raise NotVerified(str(error)) from None
    except Exception as error:  # JSON, text, Parquet or PDF of an unexpected shape
        text = " ".join(str(error).split())[:200]
        raise NotVerified(
            f"what it says of itself is broken ({type(error).__name__}: {text})"
        ) from None
    if into:
        archive.unpack(files, executable, into)
        checks.append(f"unpacked to {into}")
    return {
        "archive": Path(path).name,
        "sha256": actual,
        **{name: description[name] for name in FORMS},
        "checks": checks,
    }


def _existing(path: Path) -> Path:
    if not Path(path).is_file():
        raise NotVerified(f"{path} does not exist, or is no file")
    return path


def _checked(
    files: Mapping[str, bytes], executable: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Return (the content of bundle.json, a line for each check)."""
    description = _description(files)
    lines = [
        f"{len(files)} files have the digests of the manifest, and nothing else is in the archive"
    ]
    with tempfile.TemporaryDirectory(prefix="benchpaper-verify-") as folder:
        archive.unpack(files, executable, folder)
        return description, lines + check(Project(Path(folder)), files, description)


def _description(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the content of bundle.json after checking schema versions and names."""
    if archive.ABOUT not in files:
        raise NotVerified(f"it has no {archive.ABOUT} that says of which schema it is")
    try:
        description = dict(json.loads(files[archive.ABOUT]))
    except (ValueError, TypeError, RecursionError) as error:
        raise NotVerified(f"{archive.ABOUT} is no JSON object: {error}") from None
    versions = {
        "benchpaper_bundle": ("bundles", SCHEMA_VERSION),
        "results_schema": ("results", results.SCHEMA_VERSION),
    }
    for key, (kind, version) in versions.items():
        if description.get(key) != version:
            raise NotVerified(
                f"its {kind} have schema version {description.get(key)!r}, "
                f"this program reads {version}; use the benchpaper that wrote it"
            )
    for name, form in FORMS.items():
        if not re.fullmatch(form, str(description.get(name))):
            raise NotVerified(f'{archive.ABOUT}: {name} "{description.get(name)}" is no name')
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
    lines = [_check_crate(project, files)]
    site, source = description["site"], description["source"]
    build = project.build(site, source)
    tables = {
        name: _rows(project.root / name, name)
        for name in sorted(files)
        if name.endswith(".parquet")
    }
    lines.append(f"{len(tables)} Parquet files have the schema, {sum(tables.values()):,} rows")
    exhibits = _exhibits(build)
    lines.append(check_numbers(build, project.results(site, source)))
    lines.append(_check_gathered(project, build, exhibits, description["experiments"]))
    lines.append(check_pdf(project, build, exhibits))
    return lines


def _check_gathered(
    project: Project, build: Path, exhibits: Mapping[str, Exhibit], experiments: list[str]
) -> str:
    if (build / GATHERED).read_text() != gather.gathered(build, experiments):
        raise NotVerified(f"{GATHERED} is not what the notebooks' manifests and the verdicts give")
    table = build / gather.CLAIMS_TABLE
    if table.exists() and table.read_text() != gather.claims_table(build):
        raise NotVerified(f"{gather.CLAIMS_TABLE} is not what the verdicts give")
    kinds = {name: exhibit.kind for name, exhibit in exhibits.items()}
    latex.check_uses(project.paper, {**kinds, "claims": "table"})
    return (
        "what the paper inputs follows from the notebooks' manifests and the verdicts; "
        "it uses no other name"
    )


def _rows(path: Path, name: str) -> int:
    """Return the number of rows of a Parquet file that has the schema.

    Refuses a file that would unpack to too much before reading it.
    """
    import pyarrow.parquet as pq

    try:
        footer = pq.read_metadata(path)
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        values = sum(
            group.column(place).num_values for group in groups for place in range(group.num_columns)
        )
    except (OSError, ValueError) as error:
        raise NotVerified(f"{name} cannot be read: {' '.join(str(error).split())}") from None
    if footer.num_rows > MAX_ROWS or values > MAX_VALUES:
        raise NotVerified(
            f"{name} claims {footer.num_rows:,} rows with {values:,} values, "
            "more than any results have"
        )
    return results.read(path)[0].num_rows


def _check_crate(project: Project, files: Mapping[str, bytes]) -> str:
    if crate.METADATA not in files:
        raise NotVerified(f"it has no {crate.METADATA}: the crate is missing")
    try:
        graph = {entity["@id"]: entity for entity in json.loads(files[crate.METADATA])["@graph"]}
        listed = {part["@id"] for part in graph["./"]["hasPart"]}
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(
            f"{crate.METADATA} is no RO-Crate ({type(error).__name__}: {error})"
        ) from None
    unlisted = {crate.METADATA, archive.MANIFEST}
    if different := sorted(listed ^ (set(files) - unlisted)):
        raise NotVerified(f'"{different[0]}" is in the crate or in the archive, but not in both')
    for name in sorted(listed):
        if graph.get(name, {}).get("sha256") != hashlib.sha256(files[name]).hexdigest():
            raise NotVerified(f'the crate has another SHA-256 of "{name}"')
    if broken := validator.issues(project.root):
        raise NotVerified(f"the crate breaks its profile: {broken[0]}")
    return f"the RO-Crate describes all {len(listed)} files and satisfies {validator.PROFILE}"


def _exhibits(build: Path) -> dict[str, Exhibit]:
    try:
        return {name: saved.exhibit for name, saved in gather.all_exhibits(build).items()}
    except gather.PaperError:
        raise
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"an exhibits.json is broken ({type(error).__name__}: {error})") from None

"""`benchpaper verify`: whether an archive is what it says, without running anything that is in it.

In this order, each only when all before it held: the archive's form, the schema, the crate, the results, the numbers
from the results, the verdicts in the paper's words, and the PDF's text. What a notebook reckoned in its own way (a
count, the best of several cells) cannot be reckoned again without running it: that is for `regenerate`.
"""

import hashlib
import json
import math
import re
import shutil
import subprocess
import tempfile
import unicodedata
from pathlib import Path

from benchpaper import results, typeset
from benchpaper.bundle import SCHEMA_VERSION, archive, crate, validator
from benchpaper.errors import UserError
from benchpaper.estimates import load
from benchpaper.project import GATHERED, Project
from benchpaper.values import with_unit

NUMBER = re.compile(r"\d+\.\d+")
COUNT = re.compile(
    r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d{3,})(?![\w]|[.,]\d)"
)  # of three digits or more, standing alone
FACTORS = {1.0, 60.0, 3600.0, 1024.0, 1024.0**2, 1024.0**3, 1 / 1024, 1 / 1024**2, 1 / 1024**3, 8.0, 1 / 8}
ABOUT = {
    "site": r"\w[\w.-]*", "source": r"\w+", "commit": r"[0-9a-f]{40}", "clean": "True|False", "build": r"build/\w[\w.-]*",
}  # fmt: skip
MOST_ROWS, MOST_VALUES = 1_000_000, 50_000_000  # of a Parquet file that is read at all: a few bytes can claim billions
NUMBERS = {"1", "count", ""}  # units of plain numbers; one may stand for another


class NotVerified(archive.ArchiveError):
    """What is wrong with an archive, as one line."""


def verify(path, digest=None, into=None):
    """Check an archive and return what was found, as plain data: its digest, what it is of, and a list of checks (each
    a line). `digest` is the SHA-256 that it is known by from elsewhere. The files are unpacked to `into`, when all is
    well. Raises `NotVerified` or `ArchiveError` at the first thing that is wrong."""
    with open(_existing(path), "rb") as file:
        own = hashlib.file_digest(file, "sha256").hexdigest()
    if digest and own != digest.lower():
        raise NotVerified(f"its SHA-256 is {own}, not {digest}")
    files, executable = archive.read(path)
    try:
        about, checks = _checked(files, executable)
    except UserError as error:
        raise NotVerified(str(error)) from None
    except Exception as error:  # JSON, text, Parquet or PDF of another shape: whatever it is that stumbles over it
        told = " ".join(str(error).split())[:200]
        raise NotVerified(f"what it says of itself is broken ({type(error).__name__}: {told})") from None
    if into:
        archive.unpack(files, executable, into)
        checks.append(f"unpacked to {into}")
    return {"archive": Path(path).name, "sha256": own, **{name: about[name] for name in ABOUT}, "checks": checks}


def _checked(files, executable):
    """Return (what the archive says of itself, a line for each thing that holds)."""
    about = _about(files)
    lines = [f"{len(files)} files have the digests of the manifest, and nothing else is in the archive"]
    with tempfile.TemporaryDirectory(prefix="benchpaper-verify-") as folder:
        archive.unpack(files, executable, folder)
        return about, lines + check(Project(Path(folder)), files, about)


def _existing(path):
    if not Path(path).is_file():
        raise NotVerified(f"{path} does not exist, or is no file")
    return path


def _about(files):
    """What the archive says it is: schema versions that this program reads, and names that are nothing but names."""
    if archive.ABOUT not in files:
        raise NotVerified(f"it has no {archive.ABOUT} that says of which schema it is")
    try:
        about = dict(json.loads(files[archive.ABOUT]))
    except (ValueError, TypeError, RecursionError) as error:
        raise NotVerified(f"{archive.ABOUT} is no JSON object: {error}") from None
    ours = {"benchpaper_bundle": ("bundles", SCHEMA_VERSION), "results_schema": ("results", results.SCHEMA_VERSION)}
    for key, (what, version) in ours.items():
        if about.get(key) != version:
            raise NotVerified(
                f"its {what} have schema version {about.get(key)!r}, this program reads {version}; use the "
                "benchpaper that wrote it"
            )
    for name, form in ABOUT.items():
        if not re.fullmatch(form, str(about.get(name))):
            raise NotVerified(f'{archive.ABOUT}: {name} "{about.get(name)}" is no name')
    if about["build"] != f"build/{about['site']}-{about['source']}":
        raise NotVerified(f'{archive.ABOUT}: build "{about["build"]}" is not that of its site and source')
    return about


def check(project, files, about):
    """Check an unpacked archive; returns a line for each thing that holds."""
    lines = [_check_crate(project, files)]
    build = project.build(about["site"], about["source"])
    tables = {name: _rows(project.root / name, name) for name in sorted(files) if name.endswith(".parquet")}
    lines.append(f"{len(tables)} Parquet files have the schema, {sum(tables.values()):,} rows")
    exhibits = _exhibits(build)
    folder = project.results(about["site"], about["source"])
    lines.append(_check_numbers(build, folder))
    if (build / GATHERED).read_text() != typeset.gathered(build, about["experiments"]):
        raise NotVerified(f"{GATHERED} is not what the notebooks' manifests and the verdicts give")
    if (build / typeset.CLAIMS_TABLE).exists() and (build / typeset.CLAIMS_TABLE).read_text() != typeset.claims_table(
        build
    ):
        raise NotVerified(f"{typeset.CLAIMS_TABLE} is not what the verdicts give")
    typeset.check_uses(project.paper, exhibits | {"claims": {"kind": "table"}})
    lines.append(
        "what the paper inputs follows from the notebooks' manifests and the verdicts; it uses no name besides"
    )
    lines.append(_check_pdf(project, build, exhibits))
    return lines


def _rows(path, name):
    """The number of rows of a Parquet file that has the schema; one that would unpack to too much is refused before."""
    import pyarrow.parquet as pq

    try:
        about = pq.read_metadata(path)
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        values = sum(group.column(place).num_values for group in groups for place in range(group.num_columns))
    except (OSError, ValueError) as error:
        raise NotVerified(f"{name} cannot be read: {' '.join(str(error).split())}") from None
    if about.num_rows > MOST_ROWS or values > MOST_VALUES:
        raise NotVerified(f"{name} claims {about.num_rows:,} rows with {values:,} values, more than any results have")
    return results.read(path)[0].num_rows


def _check_crate(project, files):
    if crate.METADATA not in files:
        raise NotVerified(f"it has no {crate.METADATA}: the crate is missing")
    try:
        graph = {entity["@id"]: entity for entity in json.loads(files[crate.METADATA])["@graph"]}
        listed = {part["@id"] for part in graph["./"]["hasPart"]}
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"{crate.METADATA} is no RO-Crate ({type(error).__name__}: {error})") from None
    own = {crate.METADATA, archive.MANIFEST}
    if different := sorted(listed ^ (set(files) - own)):
        raise NotVerified(f'"{different[0]}" is in the crate or in the archive, but not in both')
    for name in sorted(listed):
        if graph.get(name, {}).get("sha256") != hashlib.sha256(files[name]).hexdigest():
            raise NotVerified(f'the crate has another SHA-256 of "{name}"')
    if broken := validator.issues(project.root):
        raise NotVerified(f"the crate breaks its profile: {broken[0]}")
    return f"the RO-Crate describes all {len(listed)} files and satisfies {validator.PROFILE}"


def _exhibits(build):
    try:
        return typeset.all_exhibits(build)
    except typeset.PaperError:
        raise
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"an exhibits.json is broken ({type(error).__name__}: {error})") from None


def _check_numbers(build, folder):
    """Each number that is an estimate is reckoned again from the Parquet files, and must be typeset to the same
    text."""
    again = others = 0
    for manifest in typeset.manifests(build).values():
        for about in manifest["files"].values():
            if results.file_digest(folder / about["path"]) != about["sha256"]:
                raise NotVerified(
                    f"the exhibits of {manifest['notebook']} were not made from the {about['path']} inside"
                )
        found = load(manifest["experiment"], folder)
        for name, entry in manifest["exhibits"].items():
            if entry["kind"] != "number" or entry["missing"]:
                continue
            if not entry.get("how") or not entry["cells"]:
                others += 1
                continue
            _check_number(name, entry, _reckoned(name, entry, found))
            again += 1
    return (
        f"{again} numbers follow from the data inside; {others} more were reckoned by their notebooks alone "
        "(--figures runs these)"
    )


def _reckoned(name, entry, found):
    how, [metric] = entry["how"], entry["metrics"]
    known = found.trial_df.drop_duplicates("cell").set_index("cell")
    if missing := [cell for cell in entry["cells"] if cell not in known.index]:
        raise NotVerified(f'number "{name}": the data have no cell "{missing[0]}"')
    if how["paired"]:
        of, to = (_levels(found, known, cell) for cell in entry["cells"])
        estimate = found.ratio(metric, of=of, to=to, q=how["q"])
    elif how.get("tries"):
        [cell] = entry["cells"]
        estimate = found.pooled_share(metric, how["tries"], **_levels(found, known, cell))
    else:
        [cell] = entry["cells"]
        estimate = found.of_cell(metric, cell, how["q"])
    _check_factor(name, entry, estimate.unit)
    return estimate if how["factor"] == 1.0 or estimate.value is None else estimate.scaled(how["factor"], entry["unit"])


def _levels(found, known, cell):
    row = known.loc[cell]
    return {factor: row[factor] for factor in found.factors} | {"twin": bool(row["twin"])}


def _check_factor(name, entry, unit):
    """A change of unit is by a power of ten or one of the usual factors; the same unit is by none."""
    factor = entry["how"]["factor"]
    power = math.log10(factor) if factor > 0 else math.nan
    if factor == 1.0 and {unit, entry["unit"]} <= NUMBERS:
        return
    usual = factor in FACTORS or abs(power - round(power)) < 1e-9 if math.isfinite(power) else False
    if not usual or (unit == entry["unit"]) != (factor == 1.0):
        raise NotVerified(f'number "{name}": a factor of {factor:g} does not turn {unit} into {entry["unit"]}')


def _check_number(name, entry, estimate):
    texts = estimate.value is not None and (
        with_unit(estimate.value, entry["unit"]),
        estimate.interval_text().strip(),
        estimate.n,
    )
    if texts != (entry["text"], entry["interval"], entry["n"]):
        shown = f"{entry['text']} {entry['interval']} (n = {entry['n']})"
        raise NotVerified(f'number "{name}" is {shown}, but the data inside give {estimate}')


def _check_pdf(project, build, exhibits):
    """Each number that the paper names stands in the PDF, as often as it is named; and each decimal number and each
    longer whole one in the PDF is in the exhibits, the verdicts or the paper's own text."""
    if not shutil.which("pdftotext"):
        return "the PDF's text was not read: there is no pdftotext (package poppler-utils)"
    printed = _normal(_pdf_text(build / "paper.pdf"))
    named = _named_texts(project.paper, exhibits)
    squeezed = _squeezed(printed)
    for text, names in named.items():
        if (times := squeezed.count(text)) < len(names):
            raise NotVerified(
                f'number "{names[0]}" ({text}) is in the text of the PDF {times} times, and named {len(names)} '
                "times by the paper; "
                "the PDF was typeset from something else"
            )
    decimals, whole = _known_numbers(project, build)
    strange = [number for number in NUMBER.findall(printed) if number not in decimals and not _is_numbering(number)]
    strange += [number for number in COUNT.findall(printed) if number.replace(",", "") not in whole]
    if strange:
        raise NotVerified(f"the PDF prints {strange[0]}, which no exhibit, verdict or text of the paper inside has")
    count = len({name for names in named.values() for name in names})
    return (
        f"{count} numbers that the paper names stand in the PDF, as often as named, and what else it prints is "
        "accounted for"
    )


def _named_texts(paper, exhibits):
    """Return {what a number is typeset as, without spaces: the names of those that are, one for each use}."""
    texts = {}
    for _, macro, name in typeset.uses(paper):
        if macro in ("result", "resultci") and not exhibits[name]["missing"]:
            texts.setdefault(_squeezed(_normal(exhibits[name]["text"])), []).append(name)
            if macro == "resultci" and (interval := _squeezed(_normal(exhibits[name]["interval"]))):
                texts.setdefault(interval, []).append(name)
    return texts


def _squeezed(text):
    """Text without spaces: TeX breaks lines and sets thin spaces where it likes."""
    return re.sub(r"\s", "", text)


def _pdf_text(path):
    done = subprocess.run(["pdftotext", "-q", path, "-"], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise NotVerified(f"{path.name} is no readable PDF")
    return done.stdout


def _normal(text):
    return unicodedata.normalize("NFKC", text)


def _known_numbers(project, build):
    """Return (all decimal numbers, all whole ones) in what is typeset: generated files, tables, figures, the paper's
    sources."""
    sources = [path for path in sorted(project.paper.rglob("*")) if path.suffix in (".tex", ".bib", ".sty")]
    texts = [path.read_text(errors="replace") for path in [*sources, *sorted(build.rglob("*.tex"))]]
    texts += [_pdf_text(path) for path in sorted((build / "exhibits").rglob("*.pdf"))]
    texts = [_normal(text) for text in texts]
    whole = {
        number for text in texts for number in re.findall(r"\d+", re.sub(r"(?<=\d)(?:,|\{,\}|\\,)(?=\d{3})", "", text))
    }
    return {number for text in texts for number in NUMBER.findall(text)}, whole


def _is_numbering(number):
    """A section's number, such as 2.1: both parts small."""
    major, minor = number.split(".")
    return int(major) <= 20 and int(minor) <= 20 and not (len(minor) > 1 and minor.startswith("0")) and major[0] != "0"

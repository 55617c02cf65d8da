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
from benchpaper.project import Project
from benchpaper.values import with_unit

NUMBER = re.compile(r"\d+\.\d+")
FACTORS = {1.0, 60.0, 3600.0, 1024.0, 1024.0**2, 1024.0**3, 1 / 1024, 1 / 1024**2, 1 / 1024**3, 8.0, 1 / 8}
NUMBERS = {"1", "count", ""}  # units of plain numbers; one may stand for another


class NotVerified(UserError):
    """What is wrong with an archive, as one line."""


def verify(path, digest=None, into=None):
    """Check an archive and return what was found, as plain data: its digest, what it is of, and a list of checks (each a line).
    `digest` is the SHA-256 that it is known by from elsewhere. The files are unpacked to `into`, when all is well.
    Raises `NotVerified` or `ArchiveError` at the first thing that is wrong."""
    with open(_existing(path), "rb") as file:
        own = hashlib.file_digest(file, "sha256").hexdigest()
    if digest and own != digest.lower():
        raise NotVerified(f"its SHA-256 is {own}, not {digest}")
    files, executable = archive.read(path)
    about = _about(files)
    checks = [f"{len(files)} files have the digests of the manifest, and nothing else is in the archive"]
    with tempfile.TemporaryDirectory(prefix="benchpaper-verify-") as folder:
        archive.unpack(files, executable, folder)
        try:
            checks += check(Project(Path(folder)), files, about)
        except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:  # JSON or text of another shape
            raise NotVerified(f"what it says of itself is broken ({type(error).__name__}: {' '.join(str(error).split())})") from None
    if into:
        archive.unpack(files, executable, into)
        checks.append(f"unpacked to {into}")
    return {"archive": Path(path).name, "sha256": own, **{k: about[k] for k in ("site", "source", "commit", "clean", "build")}, "checks": checks}


def _existing(path):
    if not Path(path).is_file():
        raise NotVerified(f"{path} does not exist")
    return path


def _about(files):
    try:
        about = json.loads(files[archive.ABOUT])
        version = about["benchpaper_bundle"]
    except KeyError:
        raise NotVerified(f"it has no {archive.ABOUT} that says of which schema it is") from None
    except (ValueError, TypeError) as error:
        raise NotVerified(f"{archive.ABOUT} is no JSON: {error}") from None
    for name, ours, theirs in (("bundles", SCHEMA_VERSION, version), ("results", results.SCHEMA_VERSION, about.get("results_schema"))):
        if theirs != ours:
            raise NotVerified(f"its {name} have schema version {theirs}, this program reads {ours}; use the benchpaper that wrote it")
    for name in ("site", "source", "build"):
        if not re.fullmatch(r"[\w./-]+", str(about.get(name, ""))) or ".." in about[name]:
            raise NotVerified(f'{archive.ABOUT}: {name} "{about.get(name)}" is no name')
    return about


def check(project, files, about):
    """Check an unpacked archive; returns a line for each thing that holds."""
    lines = [_check_crate(project, files)]
    build = project.build(about["site"], about["source"])
    tables = {name: results.read(project.root / name)[0].num_rows for name in sorted(files) if name.endswith(".parquet")}
    lines.append(f"{len(tables)} Parquet files have the schema, {sum(tables.values()):,} rows")
    exhibits = _exhibits(build)
    folder = project.results(about["site"], about["source"])
    lines.append(_check_numbers(build, folder))
    if (build / typeset.GATHERED).read_text() != typeset.gathered(build, about["experiments"]):
        raise NotVerified(f"{typeset.GATHERED} is not what the notebooks' manifests and the verdicts give")
    if (build / typeset.CLAIMS_TABLE).exists() and (build / typeset.CLAIMS_TABLE).read_text() != typeset.claims_table(build):
        raise NotVerified(f"{typeset.CLAIMS_TABLE} is not what the verdicts give")
    typeset.check_uses(project.paper, exhibits | {"claims": {"kind": "table"}})
    lines.append("what the paper inputs follows from the notebooks' manifests and the verdicts; it uses no name besides")
    lines.append(_check_pdf(project, build, exhibits))
    return lines


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
    except (ValueError, KeyError, TypeError) as error:
        raise NotVerified(f"an exhibits.json is broken ({type(error).__name__}: {error})") from None


def _check_numbers(build, folder):
    """Each number that is an estimate is reckoned again from the Parquet files, and must be typeset to the same text."""
    again = others = 0
    for manifest in typeset.manifests(build).values():
        for about in manifest["files"].values():
            if results.file_digest(folder / about["path"]) != about["sha256"]:
                raise NotVerified(f"the exhibits of {manifest['notebook']} were not made from the {about['path']} inside")
        found = load(manifest["experiment"], folder)
        for name, entry in manifest["exhibits"].items():
            if entry["kind"] != "number" or entry["missing"]:
                continue
            if not entry.get("how") or not entry["cells"]:
                others += 1
                continue
            _check_number(name, entry, _reckoned(name, entry, found))
            again += 1
    return f"{again} numbers follow from the data inside; {others} more were reckoned by their notebooks alone (--figures runs these)"


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
    texts = estimate.value is not None and (with_unit(estimate.value, entry["unit"]), estimate.interval_text().strip(), estimate.n)
    if texts != (entry["text"], entry["interval"], entry["n"]):
        shown = f"{entry['text']} {entry['interval']} (n = {entry['n']})"
        raise NotVerified(f'number "{name}" is {shown}, but the data inside give {estimate}')


def _check_pdf(project, build, exhibits):
    """Each number that the paper names stands in the PDF; and each decimal number in the PDF is in the exhibits, the verdicts or the
    paper's own text."""
    if not shutil.which("pdftotext"):
        return "the PDF's text was not read: there is no pdftotext (package poppler-utils)"
    printed = _normal(_pdf_text(build / "paper.pdf"))
    sources = [path.read_text(errors="replace") for path in sorted(project.paper.rglob("*")) if path.suffix in (".tex", ".bib", ".sty")]
    numbers = sorted({name for _, macro, name in typeset.uses(project.paper) if typeset.KIND[macro] == "number" and not exhibits[name]["missing"]})
    squeezed = re.sub(r"\s", "", printed)
    for name in numbers:
        if re.sub(r"\s", "", _normal(exhibits[name]["text"])) not in squeezed:
            raise NotVerified(f'number "{name}" ({exhibits[name]["text"]}) is not in the text of the PDF; it was typeset from something else')
    known = _known_decimals(build, sources)
    strange = [number for number in NUMBER.findall(printed) if number not in known and not _is_numbering(number)]
    if strange:
        raise NotVerified(f"the PDF prints {strange[0]}, which no exhibit, verdict or text of the paper inside has")
    return f"{len(numbers)} numbers that the paper names stand in the PDF, and each of its decimal numbers is accounted for"


def _pdf_text(path):
    done = subprocess.run(["pdftotext", "-q", path, "-"], capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise NotVerified(f"{path.name} is no readable PDF")
    return done.stdout


def _normal(text):
    return unicodedata.normalize("NFKC", text)


def _known_decimals(build, sources):
    """All decimal numbers in what is typeset: the generated file, tables, figures, and the paper's sources."""
    texts = [*sources, (build / typeset.GATHERED).read_text()]
    texts += [path.read_text() for path in sorted(build.rglob("*.tex"))]
    texts += [_pdf_text(path) for path in sorted((build / "exhibits").rglob("*.pdf"))]
    return {number for text in texts for number in NUMBER.findall(_normal(text))}


def _is_numbering(number):
    """A section's number, such as 2.1: both parts small."""
    major, minor = number.split(".")
    return int(major) <= 20 and int(minor) <= 20 and not (len(minor) > 1 and minor.startswith("0")) and major[0] != "0"

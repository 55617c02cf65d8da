"""From exhibits to the PDF: gathers the notebooks' manifests, checks what the paper uses, and runs LaTeX."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchpaper.analysis.claims import ON_REFERENCE
from benchpaper.analysis.exhibits import MANIFEST, tex
from benchpaper.core import environment as environments
from benchpaper.core.errors import UserError, did_you_mean
from benchpaper.core.project import GATHERED, derived, slug, verdict_rows
from benchpaper.design import catalog
from benchpaper.results import file_digest

CLAIMS_TABLE = "claims.tex"
USES = re.compile(r"\\(result|resultci|resultblocks|exhibitfigure|exhibittable)\*?\{([^}]*)\}")
COMMENT = re.compile(r"(?<!\\)%")
KIND = {
    "result": "number",
    "resultci": "number",
    "resultblocks": "number",
    "exhibitfigure": "figure",
    "exhibittable": "table",
}
DECIDED = {*ON_REFERENCE, *ON_REFERENCE.values()}
LATEX_TIMEOUT_S = 300


class PaperError(UserError):
    """The paper cannot be typeset; the text names the exhibit or LaTeX's own complaint."""


def manifests(build):
    """Return {notebook slug: manifest} of all notebooks that were run below the folder `build`."""
    found = sorted((Path(build) / "exhibits").glob(f"*/{MANIFEST}"))
    return {path.parent.name: derived(path, dict) for path in found}


def all_exhibits(build):
    """Return {name: exhibit with its "notebook", "experiment", "folder", "source" and "files"} over all notebooks.

    Raises `PaperError` when two notebooks save an exhibit of one name."""
    found = {}
    for notebook, manifest in manifests(build).items():
        for name, entry in manifest["exhibits"].items():
            if name in found:
                raise PaperError(
                    f'exhibit "{name}" is saved by both {found[name]["notebook"]} and {manifest["notebook"]}; '
                    "rename one"
                )
            shared = {key: manifest[key] for key in ("notebook", "experiment", "source", "files")}
            found[name] = {**entry, **shared, "folder": f"exhibits/{notebook}"}
    return found


def gather(project, site, source, experiments):
    """Write exhibits.tex below the build folder from the manifests of `experiments`. Raises `PaperError` when a
    manifest was made from other results than those that lie there now."""
    build = project.build(site, source)
    _forget_removed(project, build)
    for manifest in _of(build, experiments).values():
        _check_fresh(manifest, project.results(site, source))
    text, table = gathered(build, experiments), claims_table(build)
    build.mkdir(parents=True, exist_ok=True)
    for name, content in (
        (CLAIMS_TABLE, table),
        (GATHERED, text),
    ):  # exhibits.tex last: what depends on both asks it
        part = (build / name).with_suffix(".part")
        part.write_text(content)
        os.replace(part, build / name)
    return build / GATHERED


def _of(build, experiments):
    return {
        key: m for key, m in manifests(build).items() if key in {slug(name) for name in experiments}
    }


def gathered(build, experiments):
    """Return the text of exhibits.tex, which follows from the manifests of `experiments` and the verdicts alone."""
    found = _of(build, experiments)
    lines = ["% Generated from the notebooks' manifests; do not edit."]
    if found:
        lines += _site_lines(list(found.values()))
    chosen = {
        name: entry
        for name, entry in all_exhibits(build).items()
        if slug(entry["experiment"]) in found
    }
    lines += _count_lines(chosen, verdict_rows(build))
    lines += [_exhibit_line(name, entry) for name, entry in chosen.items()]
    return "\n".join([*lines, *_claim_lines(build), ""])


def gaps(exhibits: dict[str, dict]) -> int:
    """Return how many of some exhibits ({name: entry of a manifest}) were not measured."""
    return sum(bool(entry["missing"]) for entry in exhibits.values())


def _count_lines(exhibits: dict[str, dict], claims: list[dict]) -> list[str]:
    """The counts that the paper prints. LaTeX must not count by itself: it also declares the table of claims, and
    `verify` compares what the PDF prints with what the manifests give."""
    counts = {"exhibits": len(exhibits), "gaps": gaps(exhibits), "claims": len(claims)}
    return [rf"\bpcount{{{what}}}{{{count}}}" for what, count in counts.items()]


def _forget_removed(project, build):
    """Drop the exhibits of notebooks that have been renamed or removed since."""
    for folder in (build / "exhibits").glob("*/"):
        if not (project.analysis / f"{folder.name}.ipynb").exists():
            shutil.rmtree(folder)


def _check_fresh(manifest, results):
    for about in manifest["files"].values():
        path = results / about["path"]
        if not path.exists() or file_digest(path) != about["sha256"]:
            raise PaperError(
                f"the exhibits of {manifest['notebook']} are stale: {about['path']} has changed since; "
                "run ./reproduce figures"
            )


def _site_lines(found):
    """Where the results of all these manifests come from: the first one's machine; scales, blocks, days and tools of
    all of them."""
    first = found[0]
    hosts, role = first["hosts"], next(iter(first["hosts"])).split(".")[0]
    tools = sorted(
        {f"{tool} {version}" for manifest in found for tool, version in manifest["tools"].items()}
    )
    scales = sorted({manifest["scale"] for manifest in found})
    source, days = origin(found)
    facts = {
        "cpu": hosts[f"{role}.cpu"],
        "cores": hosts[f"{role}.cpus"],
        "memory": f"{hosts[f'{role}.memory_gib']} GiB",
        "kernel": hosts[f"{role}.kernel"],
        "os": hosts[f"{role}.os"],
        "hosts": first["site"],
        "scale": ", ".join(scales),
        "blocks": _span([manifest["blocks"] for manifest in found]),
        "date": days,
        "tools": ", ".join(tools),
    }
    return [
        rf"\bpsource{{{tex(source)}}}",
        *(rf"\bpsite{{{key}}}{{{tex(value)}}}" for key, value in facts.items()),
    ]


def origin(found):
    """Return (which results these manifests tell of, with scales and blocks; the days on which they were measured)."""
    first = found[0]
    kind = first["source"].split(" of site ")[0]
    scales, blocks = (
        sorted({manifest["scale"] for manifest in found}),
        _span([manifest["blocks"] for manifest in found]),
    )
    days = _span([manifest["measured_on"] for manifest in found])
    return f"{kind} of site {first['site']}, scale {' and '.join(scales)}, {blocks} blocks", days


def _span(values):
    least, most = min(values), max(values)
    return str(least) if least == most else f"{least} to {most}"


def _exhibit_line(name, entry):
    if entry["missing"]:
        return rf"\bpmissing{{{name}}}{{{tex(entry['missing'])}}}"
    if entry["kind"] == "number":
        return (
            rf"\bpnumber{{{name}}}{{{_number(entry)}}}{{{tex(entry['interval'])}}}{{{entry['n']}}}"
        )
    kind = {"figure": "bpfigure", "table": "bptable"}[entry["kind"]]
    return rf"\{kind}{{{name}}}{{{entry['folder']}/{entry['file']}}}"


def _claim_lines(build):
    """The claims with their verdicts."""
    lines = [
        rf"\bpclaim{{{row['id']}}}{{{tex(row['sentence'])}}}{{{row['verdict']}}}{{{tex(row['why'])}}}"
        for row in verdict_rows(build)
    ]
    return [*lines, rf"\bptable{{claims}}{{{CLAIMS_TABLE}}}"] if lines else []


def claims_table(build):
    """Return the rows of the table of all claims as LaTeX, one group for each family of experiments, so that the paper
    can set them apart (`\\claimstable[FAMILY]`); empty when there are no claims."""
    groups = {}
    for row in verdict_rows(build):
        cells = (row["id"], tex(row["sentence"]), tex(row["text"]), tex(_verdict_shown(row)))
        groups.setdefault(row["experiment"].split("/")[0], []).append(" & ".join(cells) + r" \\")
    return "".join(
        rf"\bpclaimrows{{{family}}}{{" + "\n".join(["%", *rows, ""]) + "}\n"
        for family, rows in groups.items()
    )


def _verdict_shown(row):
    """The verdict, and where it decides nothing the short form of why, for the interval alone does not show that."""
    if row["verdict"] in DECIDED:
        return row["verdict"]
    return f"{row['verdict']}: {row['short']}"


def _number(entry):
    """A number and its unit are kept on one line."""
    return tex(entry["text"]).replace(" ", r"\,")


def check_uses(paper, exhibits, left_out=()):
    """Check that each exhibit named in the paper's sources is declared, and as that kind. Raises `PaperError` with
    file and line of the first that is not, and with the experiments `left_out`, whose notebooks may declare it."""
    for where, macro, name in uses(paper):
        _check_use(where, KIND[macro], name, exhibits, left_out)


def uses(paper):
    """Yield (file and line, macro, name) of each exhibit that the paper's sources name."""
    for path in sorted(Path(paper).rglob("*.tex")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for macro, name in USES.findall(COMMENT.split(line)[0]):
                yield f"{path.relative_to(paper.parent)}:{number}", macro, name


def _check_use(where, kind, name, exhibits, left_out):
    if name not in exhibits:
        same_kind = [other for other, entry in exhibits.items() if entry["kind"] == kind]
        raise PaperError(
            f'{where}: {kind} "{name}" is not declared by any notebook{did_you_mean(name, same_kind)}; '
            f"save it in a notebook under this name, or take it out{_not_run(left_out) if left_out else ''}"
        )
    if exhibits[name]["kind"] != kind:
        raise PaperError(
            f'{where}: "{name}" is a {exhibits[name]["kind"]}, but is used as a {kind}'
        )


def _not_run(names):
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"; or run the notebooks of {shown} first: the paper takes all experiments (benchpaper run paper)"


def _left_out(project, build):
    analysed = manifests(build)
    return [name for name in catalog.names(project) if slug(name) not in analysed]


def typeset(project, site, source):
    """Run latexmk and return the path of the PDF. Raises `PaperError` with LaTeX's own words when it fails."""
    build = project.build(site, source)
    exhibits = all_exhibits(build)
    if claims_table(build):
        exhibits["claims"] = {"kind": "table"}
    check_uses(project.paper, exhibits, _left_out(project, build))
    work = build / "latex"
    work.mkdir(parents=True, exist_ok=True)
    environment = {
        **environments.clean(project.home),
        "TEXINPUTS": f"{build}:",
        "max_print_line": "1000",
        "SOURCE_DATE_EPOCH": str(_last_measured(build)),
        "FORCE_SOURCE_DATE": "1",
    }
    command = [
        "latexmk",
        "-norc",
        "-pdf",
        "-halt-on-error",
        "-interaction=nonstopmode",
        "-file-line-error",
        f"-outdir={work}",
    ]
    try:
        done = subprocess.run(
            [*command, "main.tex"],
            cwd=project.paper,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LATEX_TIMEOUT_S,
        )
    except FileNotFoundError:
        raise PaperError(
            "the PDF needs LaTeX, and latexmk is not installed; see packages.apt"
        ) from None
    except subprocess.TimeoutExpired:
        raise PaperError(f"LaTeX did not end within {LATEX_TIMEOUT_S} s") from None
    (work / "latexmk.out").write_text(done.stdout + done.stderr)
    if done.returncode:
        raise PaperError(
            f"LaTeX failed: {_complaint(work)}; the whole log is {_relative(work / 'main.log', project)}"
        )
    target = build / "paper.pdf"
    shutil.copyfile(work / "main.pdf", target.with_suffix(".part"))
    os.replace(target.with_suffix(".part"), target)
    return target


def _last_measured(build):
    """Seconds of the last day on which what is shown was measured: the PDF's date. It follows from what the PDF is made
    of (the date of a commit does not), so that the same sources and results give the same bytes whenever they are typeset."""
    days = [
        datetime.fromisoformat(manifest["measured_on"]) for manifest in manifests(build).values()
    ]
    return int(max(days).replace(tzinfo=UTC).timestamp()) if days else 0


def _complaint(work):
    errors = [
        line
        for line in _lines(work / "main.log")
        if line.startswith("!") or re.match(r"\S+\.(tex|sty):\d+: ", line)
    ]
    errors += [
        line for line in _lines(work / "main.blg") if re.search(r"---line \d+ of file", line)
    ]  # BibTeX's own
    return errors[0] if errors else "no error line in its log"


def _lines(log):
    return log.read_text(errors="replace").splitlines() if log.exists() else []


def _relative(path, project):
    return path.relative_to(project.root)

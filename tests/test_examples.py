"""The examples build: a paper of imported results alone, and one about a simulation."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT

from benchpaper import results
from benchpaper.analysis import claim_rows, claims, history
from benchpaper.artifact import appendix, importing, start
from benchpaper.artifact.bundle import exhibit_check, import_check, result_check, verdict_check
from benchpaper.core.project import Project
from benchpaper.design import catalog
from benchpaper.paper import gather, latex, notebook, provenance
from benchpaper.paper.html import overview, trail_pages

pytestmark = pytest.mark.slow  # it runs a notebook and LaTeX

EXAMPLE = ROOT / "examples" / "published_miss_ratios"
NAME = "caching/msr_miss_ratios"
REFERENCE = f"artifacts/reference/local/{NAME}"


def copied(example, tmp_path_factory):
    """Return a copy of an example, without what was built or measured in it."""
    root = tmp_path_factory.mktemp("examples") / "paper"
    ignored = shutil.ignore_patterns("build", "results", ".benchpaper", ".snakemake", "__pycache__")
    return Project(Path(shutil.copytree(example, root, ignore=ignored)))


@pytest.fixture(scope="module")
def built(tmp_path_factory, other_experiments):
    """A copy of the example, with everything but the PDF built from its imported results.

    The steps are those of `benchpaper run --scale smoke`, without a process for each.
    """
    project, place = copied(EXAMPLE, tmp_path_factory), ("local", "smoke")
    with other_experiments():
        importing.collect(project, *place, NAME)
        notebook.analyse(project, *place, NAME)
        claims.save(project, *place)
        gather.gather(project, *place, [NAME])
        appendix.write(project, *place, [NAME])
        yield project


def test_the_import_follows_from_the_table(built):
    assert importing.flaw(built, "local", catalog.load(built, NAME)) == ""
    assert start.upgrade(built) == ""
    record, _ = importing.recorded(built, "local", NAME)
    assert record.commit in record.source and record.licence == "Apache-2.0"


def test_each_row_names_the_digest_of_its_file():
    lines = (EXAMPLE / REFERENCE / "table.csv").read_text().splitlines()
    digests = {line.split(",")[0]: line.rsplit(",", 1)[1] for line in lines[1:]}
    assert len(lines) == 113 and len(digests) == len(set(digests.values())) == 14
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests.values())


def test_its_verdicts_are_on_imported_results(built):
    rows = {row.id: row.verdict for row in claim_rows.read(built.build("local", "smoke"))}
    assert rows == {
        "C1": "holds in imported results",
        "C2": "inconclusive",
        "C3": "does not hold in imported results",
    }


def test_what_verify_computes_again_agrees(built):
    build = built.build("local", "smoke")
    names = [path.relative_to(built.root).as_posix() for path in built.root.rglob("*.parquet")]
    line, read = result_check.check(built, names)
    assert line.startswith("4 Parquet files have the schema")
    assert import_check.check(built, read) == [
        "2 of 2 results are imported, and follow from their tables"
    ]
    measured = {NAME: read[built.results("local", "smoke") / NAME]}
    assert "5 numbers follow" in exhibit_check.check(built, build, measured, read)
    rows = verdict_check.rows(build)
    assert "3 verdicts follow" in verdict_check.check(built, rows, measured, "smoke")


def test_an_example_inside_another_artifact_is_verified_where_it_lies():
    """The bundle of this repository holds the examples too, below another root."""
    inside = f"{EXAMPLE.relative_to(ROOT).as_posix()}/{REFERENCE}"
    names = [f"{inside}/observations.parquet", f"{inside}/trials.parquet"]
    _, read = result_check.check(Project(ROOT), names)
    assert len(import_check.check(Project(ROOT), read)) == 1


def test_the_appendix_says_whose_results_they_are(built):
    build = built.build("local", "smoke")
    text = (build / "appendix.md").read_text()
    for words in ("others measured it", "sosp23-s3fifo", "trace", "names CloudLab and PDL"):
        assert words in text


def test_the_report_says_whose_results_they_are(built):
    build = built.build("local", "smoke")
    manifests = gather.manifests(build)
    table, _ = results.read(built.results("local", "smoke") / NAME / results.TRIALS)
    [manifest] = manifests.values()
    trails = trail_pages.trails(manifest, provenance.by_cell(table))
    for words in (
        "nothing of it was measured here",
        "sosp23",
        "licence: Apache-2.0",
        "14 imported",
    ):
        assert words in trails
    assert "commit  " not in trails and "None" not in trails
    site = overview.Site(
        title="Title",
        manifests={NAME: manifest},
        questions={NAME: "How many misses?"},
        rows=claim_rows.read(build),
        past=history.read(build / history.FILE),
        cards={},
    )
    page = overview.page(site, [])
    assert "nothing was measured" in page and "measured on" not in page
    assert "imported and not measured here" in page


@pytest.mark.skipif(not shutil.which("latexmk"), reason="the PDF needs LaTeX")
def test_the_paper_is_typeset_with_its_banner_and_mark(built):
    pdf = latex.typeset(built, "local", "smoke")
    done = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, check=True)
    text = " ".join(done.stdout.split())
    assert "Typeset from imported results alone; nothing was measured." in text
    assert "6 are imported from github.com/" in text and "not measured here]" in text
    assert "0.893 [0.846, 0.960]" in text and "??" not in text


# --- a simulation: blocks over seeds ---------------------------------------------------------


@pytest.fixture(scope="module")
def simulated(tmp_path_factory, run_benchpaper):
    """A copy of the SIEVE example, measured and built at scale smoke."""
    project = copied(ROOT / "examples" / "sieve", tmp_path_factory)
    done = run_benchpaper(project, "run", "figures", "--scale", "smoke")
    assert done.returncode == 0, done.stdout + done.stderr
    return project


def test_the_simulation_finds_what_was_published(simulated):
    """Two seeds make no interval, so the verdicts wait; the values are near the published ones."""
    manifests = gather.manifests(simulated.build("local", "smoke"))
    exhibits = manifests["caching_miss_ratio"].exhibits
    published = {"fifo": 0.48, "lru": 0.42, "clock": 0.41, "sieve": 0.33}
    for policy, miss_ratio in published.items():
        assert exhibits[f"miss-ratio-{policy}"].value == pytest.approx(miss_ratio, abs=0.03)
    assert exhibits["miss-ratio-noise"].missing or not exhibits["miss-ratio-noise"].value


def test_all_policies_of_a_block_see_one_trace(simulated):
    place = simulated.results("local", "smoke") / "caching/miss_ratio"
    table, _ = results.read(place / results.OBSERVATIONS)
    assert {(row["block"], row["block_level"]) for row in table.to_pylist()} == {(0, 1), (1, 2)}
    cell = {"policy": "lru", "cache_objects": 100}  # and its twin
    twins = [row for row in table.to_pylist() if cell.items() <= row.items()]
    of_block = [{row["miss_ratio"] for row in twins if row["block"] == block} for block in (0, 1)]
    assert [len(values) for values in of_block] == [1, 1] and of_block[0] != of_block[1]


def test_the_tests_of_the_simulation_pass(simulated):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=simulated.root, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0 and "11 passed" in done.stdout, done.stdout + done.stderr

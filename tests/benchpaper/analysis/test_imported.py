"""Imported results in estimates, warnings, claims, manifests, and in what the paper inputs."""

import json
from dataclasses import replace

import pytest
from published_tables import NAME, TRACES, csv, files, imported, rows

from benchpaper.analysis import claim_rows, estimates, judging, manifests
from benchpaper.analysis.claim_files import Claim
from benchpaper.analysis.exhibits import Exhibits, manifest_of, number_of
from benchpaper.core.project import slug
from benchpaper.paper import gather, provenance

RATIO = dict(of=dict(algorithm="FIFO"), to=dict(algorithm="LRU"), size_mb=1)


@pytest.fixture
def load(make_project):
    """Return `load(lines, **changes)`: the imported results of a table."""

    def make(lines=None, **changes):
        project = make_project(files())
        imported(project, csv(lines), **changes)
        return estimates.load(NAME, project.results("local", "reference"))

    return make


def verdict(results, compare):
    claim = Claim("C1", NAME, "A sentence.", compare)
    return judging.judge([claim], results, "reference")["C1"]


def test_a_block_is_a_value_of_the_column(load):
    ratio = load().ratio("miss_ratio", **RATIO)
    assert ratio.n == len(TRACES) and ratio.value == pytest.approx(1.1, rel=1e-3)
    assert ratio.low <= ratio.value <= ratio.high


def test_the_source_is_no_measurement(load):
    results = load()
    assert results.source == (
        "results imported on 2026-11-29 from https://example.org/caches/results/table.csv "
        "(licence: CC-BY-4.0), 6 blocks"
    )
    [warning] = results.warnings()
    assert str(warning).startswith("imported results: 24 values were not measured here")


def test_without_repetitions_there_is_no_interval_and_the_reason_is_given(load):
    results = load(rows(TRACES[:1]), block="")
    estimate = results.estimate("miss_ratio", algorithm="LRU", size_mb=64)
    assert (estimate.value, estimate.low, estimate.n) == (0.1, None, 1)
    [warning] = results.warnings()
    assert "no column of the table tells blocks apart" in str(warning)
    row = verdict(results, lambda r: r.ratio("miss_ratio", **RATIO).above(1.0))
    assert row.verdict == "inconclusive" and "no interval can be shown" in row.why


@pytest.mark.parametrize(
    "compare, word",
    [
        (lambda r: r.ratio("miss_ratio", **RATIO).above(1.0), "holds in imported results"),
        (lambda r: r.ratio("miss_ratio", **RATIO).below(1.0), "does not hold in imported results"),
        (lambda r: r.ratio("miss_ratio", **RATIO).equal(0.2), "inconclusive"),
    ],
)
def test_a_verdict_says_that_the_results_are_imported(load, compare, word):
    row = verdict(load(), compare)
    assert row.verdict == word
    assert "no noise floor" in row.why
    assert claim_rows.on_imported([row]) == (word != "inconclusive")
    assert bool(claim_rows.failing([row])) == word.startswith("does not")


def test_a_cell_that_the_table_lacks_is_a_gap(load):
    results = load([text for text in rows() if "FIFO,64" not in text])
    assert results.estimate("miss_ratio", algorithm="FIFO", size_mb=1).value
    estimate = results.estimate("miss_ratio", algorithm="FIFO", size_mb=64)
    assert estimate.missing == "not in the imported table"
    assert verdict(results, lambda r: estimate.below(1)).verdict == "not run"


def test_the_manifest_repeats_the_record_and_measured_ones_have_none(load, tmp_path):
    results = load()
    made = manifest_of(results, {})
    assert made.imported == results.imported.to_json() and made.measured_on == "2026-11-29"
    plain = made.to_json()
    (tmp_path / "exhibits.json").write_text(json.dumps(plain))
    assert manifests.read(tmp_path / "exhibits.json") == made
    del plain["imported"]  # as manifests of measured results were and are
    assert "imported" not in manifests.Manifest.from_json(plain).to_json()


def test_the_paper_says_what_is_imported(make_project, capsys):
    project = make_project(files())
    imported(project)
    build = project.build("local", "reference")
    results = estimates.load(NAME, project.results("local", "reference"))
    exhibits = Exhibits(results, build / "exhibits" / slug(NAME))
    exhibits.number("lru", results.estimate("miss_ratio", algorithm="LRU", size_mb=1))
    exhibits.number("other", results.estimate("latency_us", algorithm="LRU", size_mb=1))
    text = gather.gathered(build, [NAME])
    assert r"\bpsource{imported results alone; nothing was measured}" in text
    assert r"\bpcount{imported}{2}" in text
    assert r"\bpimportedfrom{example.org/\allowbreak{}caches/\allowbreak{}results}" in text
    assert r"\bpimported{lru}{imported from example.org" in text
    assert r"\bpimported{other}" not in text  # a gap has no mark
    assert r"\bpsite{cpu}{Xeon 6130}" in text and r"\bpsite{memory}{unknown}" in text
    capsys.readouterr()
    (build / "exhibits.tex").write_text(text)
    provenance.show(provenance.explain(project, "lru", "local", "reference"))
    shown = capsys.readouterr().out
    for words in (
        "IMPORTED  others measured this",
        "https://example.org/caches/results/table.csv (licence: CC-BY-4.0)",
        "miss_ratio from mr",
        'a block is a value of the column "trace"',
        "cpu Xeon 6130",
        "6 imported",
    ):
        assert words in shown
    assert "command" not in shown and "measured here\n" not in shown.split("IMPORTED")[0]


def test_measured_results_come_first_in_the_banner(load):
    imported_one = manifest_of(load(), {})
    measured = replace(
        imported_one, imported=None, source="results of site local, scale full, 15 blocks",
        scale="full", blocks=15, measured_on="2026-11-01",
    )  # fmt: skip
    source, days = gather.origin([imported_one, measured])
    assert source == "results of site local, scale full, 15 blocks" and days == "2026-11-01"
    stored = manifests.StoredResults(imported_one.source, "2026-11-29", {})
    source, _ = gather.origin([replace(measured, sites={"theirs": stored})])
    assert source.endswith("15 blocks, next to imported results of site theirs")


def test_a_number_of_one_block_has_no_interval(load):
    results = load(rows(TRACES[:1]), block="")
    number = number_of(results.estimate("miss_ratio", algorithm="LRU", size_mb=1))
    assert number.interval == "" and number.n == 1

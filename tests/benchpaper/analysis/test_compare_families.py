"""One picture for each family compares its claims with the reference."""

from dataclasses import replace

from benchpaper.analysis import compare
from benchpaper.analysis.compare import families


def test_a_family_is_one_picture_with_findings_first(both):
    comparison = compare.compare(both.project, "toy/known", "local", "quick", "local")
    first, not_compared = comparison.claims
    check, finding = replace(first, kind="check"), replace(first, id="C3")
    mixed = replace(comparison, claims=(check, not_compared, finding))
    title, rows = families._group(mixed)
    assert title == "toy/known"
    assert [label.split(":")[0] for label, _ in rows] == ["finding C3", "check C1"]
    paths = compare.drawn_families(both.project, [mixed], "local", "quick")
    assert list(paths) == ["toy"]
    png = both.project.root / paths["toy"]
    assert png.read_bytes().startswith(b"\x89PNG") and png.with_suffix(".pdf").exists()


def test_a_family_without_ratios_has_no_picture(both):
    comparison = compare.compare(both.project, "toy/known", "local", "quick", "local")
    without = replace(comparison, claims=())
    assert compare.drawn_families(both.project, [without], "local", "quick") == {}
    assert compare.drawn_families(both.project, [], "local", "quick") == {}

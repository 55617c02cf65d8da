"""Prints and draws comparisons of a run with the reference."""

from collections.abc import Iterable
from dataclasses import replace

from benchpaper.analysis import stats
from benchpaper.analysis.claim_rows import KINDS
from benchpaper.analysis.compare.comparison import ExperimentComparison
from benchpaper.analysis.compare.ratios import NotCompared
from benchpaper.core.project import Project, slug


def show_all(comparisons: Iterable[ExperimentComparison]) -> None:
    """Print comparisons, each with the paths of its figure."""
    for comparison in comparisons:
        show(comparison)
        figures = comparison.figures
        print(
            f"  figure: {' and '.join(figures)}" if figures else "  no figure: no cell has a ratio"
        )


def show(comparison: ExperimentComparison) -> None:
    """Print a comparison: differences between the sites, claims, shape, and cells."""
    print(f"{comparison.experiment}: {comparison.here}, compared with {comparison.reference}")
    sites = comparison.sites
    print(
        "  what differs between the sites:"
        if sites.different
        else "  nothing is known to differ between the sites"
    )
    for difference in sites.different:
        here, reference = difference.here, difference.reference
        print(f"    {difference.what}: here {here}; in the reference {reference}")
    if sites.sources:
        print(f"    files of the experiment: {', '.join(sites.sources)}")
    print(f"  the same on both: {', '.join(sites.same) or 'nothing'}")
    for claim in sorted(comparison.claims, key=lambda claim: KINDS.index(claim.kind)):
        words = f"here: {claim.verdict}; in the reference: {claim.verdict_in_reference}"
        print(f"  {claim.kind} {claim.id}: {words}; {claim.ratio.text}")
    for shape in comparison.shapes:
        print(f"  {shape.metric}: {shape.text}")
    for crossover in comparison.crossovers:
        both = f"here {crossover.here}, in the reference {crossover.reference}"
        print(f"  crossover: {crossover.cells[0]} over {crossover.cells[1]}: {both}")
    _show_cells(comparison)


def _show_cells(comparison: ExperimentComparison) -> None:
    only = "; ".join(f"{count} only {side}" for side, count in comparison.only.items() if count)
    counts = ", ".join(f"{count} {word}" for word, count in comparison.words.items())
    print(
        f"  {comparison.metric['name']} in the {len(comparison.cells)} cells common to both"
        f"{f' ({only})' if only else ''}: {counts}"
    )
    reasons: dict[str, int] = {}
    judged = 0
    for row in comparison.cells:
        if isinstance(row.ratio, NotCompared):
            reasons[row.ratio.text] = reasons.get(row.ratio.text, 0) + 1
        else:
            judged += row.ratio.ratio.decidable
            print(f"    {row.cell}: {row.ratio.text}")
    for reason, count in reasons.items():
        print(f"    {count} cells {reason}")
    wrong = judged * (1 - stats.CONFIDENCE)
    print(f"  of {judged} such words at most {wrong:.1f} are wrong by chance, on average")


def drawn_families(
    project: Project, comparisons: Iterable[ExperimentComparison], site: str, source: str
) -> dict[str, str]:
    """Draw one picture for each family; return {family: path of its PNG in the project}."""
    from benchpaper.analysis.compare import families  # it loads matplotlib

    return families.drawn(project, comparisons, site, source)


def drawn(
    project: Project, comparison: ExperimentComparison, site: str, source: str
) -> ExperimentComparison:
    """Draw the forest plot in the build folder; return the comparison with the paths of its files.

    It has none if no cell has a ratio.
    """
    from benchpaper.analysis.compare import forest

    figure = forest.draw(comparison)
    if figure is None:
        return comparison
    folder = project.build(site, source) / "compare"
    paths = forest.save(figure, folder, slug(comparison.experiment))
    figures = tuple(str(path.relative_to(project.root)) for path in paths)
    return replace(comparison, figures=figures)

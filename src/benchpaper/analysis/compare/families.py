"""One picture for each family: the ratio of every claim's value, here over the reference.

Findings come before checks. The forest plot of an experiment shows its cells; this one shows at a
glance whether a family came out alike.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchpaper.analysis.claim_rows import KINDS
from benchpaper.analysis.compare import forest
from benchpaper.analysis.compare.comparison import ExperimentComparison
from benchpaper.analysis.compare.ratios import Compared
from benchpaper.analysis.style import RC
from benchpaper.core.project import Project

LONGEST = 48  # characters of a sentence in a label


def drawn(
    project: Project, comparisons: Iterable[ExperimentComparison], site: str, source: str
) -> dict[str, str]:
    """Draw the pictures in the build folder; return {family: path of its PNG in the project}.

    A family has none if no claim has a ratio.
    """
    families: dict[str, list[ExperimentComparison]] = {}
    for comparison in comparisons:
        families.setdefault(comparison.experiment.split("/")[0], []).append(comparison)
    folder = project.build(site, source) / "compare"
    paths = {}
    for family, some in families.items():
        if figure := draw(family, some):
            paths[family] = _saved(figure, folder, family).relative_to(project.root).as_posix()
    return paths


def _saved(figure: Figure, folder: Path, family: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return forest.save(figure, folder, f"family-{family}")[0]


def draw(family: str, comparisons: Sequence[ExperimentComparison]) -> Figure | None:
    """Return the picture of a family, or None when no claim has a ratio."""
    groups = [group for each in comparisons if (group := _group(each))[1]]
    if not groups:
        return None
    ratios = [ratio for _, rows in groups for _, ratio in rows]
    height = sum(len(rows) + 1 for _, rows in groups)
    with rc_context(RC):
        figure = Figure(figsize=(7.0, forest.ROW_IN * height + 1.3), layout="constrained")
        [axis] = figure.subplots(1, 1, squeeze=False)[0]
        forest.draw_column(axis, groups, None, height)
        forest.limits(axis, ratios)
        axis.set_xlabel("value of the claim, here / in the reference")
        figure.suptitle(f"{family}: {comparisons[0].here}, compared with the reference", fontsize=8)
        handles, labels = forest.legend([ratio.word for ratio in ratios], None)
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _group(comparison: ExperimentComparison) -> forest.Group:
    """Return the ratios of an experiment's claims, with their labels; findings first."""
    claims = sorted(comparison.claims, key=lambda claim: KINDS.index(claim.kind))
    return comparison.experiment, [
        (f"{claim.kind} {claim.id}: {_short(claim.sentence)}", claim.ratio)
        for claim in claims
        if isinstance(claim.ratio, Compared)
    ]


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST else f"{sentence[:LONGEST].rsplit(' ', 1)[0]} …"

"""Claims: sentences of the paper that data can decide, each with its verdict.

analysis/claims.py, and optionally analysis/claims_FAMILY.py, hold one function per claim, under
`@claim(ID, experiment=...)`. Its docstring is the sentence as the paper prints it. It returns the
comparison of an estimate with a bound: `results.estimate(...).below(1.0)`.
"""

import json

from benchpaper.analysis import stats
from benchpaper.analysis.claim_files import Claim as Claim
from benchpaper.analysis.claim_files import claim as claim
from benchpaper.analysis.claim_files import files as files
from benchpaper.analysis.claim_files import load_claims as load_claims
from benchpaper.analysis.claim_rows import ClaimRow as ClaimRow
from benchpaper.analysis.claim_rows import by_chance as by_chance
from benchpaper.analysis.claim_rows import failing as failing
from benchpaper.analysis.claim_rows import of_kind as of_kind
from benchpaper.analysis.claim_rows import on_imported as on_imported
from benchpaper.analysis.estimates import Results, load
from benchpaper.analysis.judging import judge, without_results
from benchpaper.core import checksums
from benchpaper.core.atomic_write import atomic_write
from benchpaper.core.project import VERDICTS, Project
from benchpaper.results import TRIALS


def judge_all(
    project: Project,
    site: str,
    source: str,
    family_wise: bool = False,
    only: str | None = None,
) -> list[ClaimRow]:
    """Return one row per claim, judged on the results of `source`.

    `only` is the name of one experiment, and selects its claims. `family_wise` widens the intervals
    so that the chance of *any* wrong verdict, over all claims, stays below 5 % (Bonferroni).
    """
    claims = load_claims(project)
    confidence = (
        1 - (1 - stats.CONFIDENCE) / max(1, len(claims)) if family_wise else stats.CONFIDENCE
    )
    claims = [claim for claim in claims if only in (None, claim.experiment)]
    by_experiment: dict[str, list[Claim]] = {}
    for each in claims:
        by_experiment.setdefault(each.experiment, []).append(each)
    rows: dict[str, ClaimRow] = {}
    for name, its_claims in by_experiment.items():
        results = results_of(project, name, site, source)
        if results is None:
            rows |= {claim.id: without_results(claim, source) for claim in its_claims}
        else:
            rows |= judge(its_claims, results, source, confidence)
    return [rows[claim.id] for claim in claims]


def results_of(project: Project, experiment: str, site: str, source: str) -> Results | None:
    """Return the `Results` of an experiment, or None when it was not run.

    Raises `ResultsError` when they are broken or of another schema.
    """
    folder = project.results(site, source)
    return load(experiment, folder) if (folder / experiment / TRIALS).exists() else None


def save(project: Project, site: str, source: str) -> None:
    """Judge all claims, and write the rows to verdicts.json in the build folder."""
    build = project.build(site, source)
    rows = [row.to_json() for row in judge_all(project, site, source)]
    atomic_write(build / VERDICTS, json.dumps(rows, indent=1))
    checksums.note(build, "judge", [build / VERDICTS])

"""From a claim and the results of its experiment to a verdict."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil, log, log2

from benchpaper.analysis import drifting, recomputing, stats, verdicts
from benchpaper.analysis.claim_files import Claim
from benchpaper.analysis.claim_rows import (
    NOT_RUN,
    NOT_TESTABLE,
    ON_IMPORTED,
    ON_REFERENCE,
    ClaimRow,
)
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.values import Comparison, InsufficientDataError
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.design.replication import OVER_TIME
from benchpaper.results.import_record import NO_BLOCK, ImportRecord


def judge(
    claims: Sequence[Claim],
    results: Results,
    source: str,
    confidence: float = stats.CONFIDENCE,
) -> dict[str, ClaimRow]:
    """Return {id: row} of an experiment's claims, judged on its results, which come from `source`.

    Raises `UserError`, naming the claim, for a mistake in its function or its bound.
    """
    comparisons = {claim.id: compared(claim, results) for claim in claims}
    biased = bias(results, comparisons.values())
    rows = {}
    for claim in claims:
        comparison = comparisons[claim.id]
        if isinstance(comparison, str):
            rows[claim.id] = not_run(claim, comparison)
        elif comparison.estimate.value is None:
            rows[claim.id] = _not_measured(claim, comparison, results)
        else:
            rows[claim.id] = _measured(claim, comparison, results, biased, source, confidence)
    return rows


def not_run(claim: Claim, why: str) -> ClaimRow:
    """Return the row of a claim without a comparison."""
    return ClaimRow(
        id=claim.id,
        kind=claim.kind,
        matters_to=claim.matters_to,
        sentence=claim.sentence,
        experiment=claim.experiment,
        verdict=NOT_RUN,
        why=why,
        short=why,
    )


def without_results(claim: Claim, source: str) -> ClaimRow:
    """Return the row of a claim whose experiment was not run at `source`."""
    return not_run(claim, f"no results of {claim.experiment} at {source}")


def _not_measured(claim: Claim, comparison: Comparison, results: Results) -> ClaimRow:
    """Return the row of a claim whose cells have no value.

    What it asks is checked even so: else a mistake would show only with the first results.
    """
    estimate = comparison.estimate
    try:
        verdicts.check_asked(comparison.side, comparison.bound, comparison.target)
    except ValueError as error:
        raise _mistaken(claim, comparison, error) from error
    testable = all(
        results.testable(cell) and not results.why_no_result(estimate.metric, cell)
        for cell in estimate.cells
    )
    return replace(
        not_run(claim, estimate.missing),
        asked=str(comparison),
        unit=estimate.unit,
        cells=estimate.cells,
        verdict=verdicts.INCONCLUSIVE if testable else NOT_TESTABLE,
        basis=recomputing.basis(comparison),
    )


def _mistaken(claim: Claim, comparison: Comparison, error: ValueError) -> UserError:
    return UserError(f"claim {claim.id} ({claim.experiment}) {comparison}: {error}")


def _measured(
    claim: Claim,
    comparison: Comparison,
    results: Results,
    biased: verdicts.Verdict | None,
    source: str,
    confidence: float,
) -> ClaimRow:
    estimate = comparison.estimate
    try:
        interval = _interval(estimate.values, confidence)
        verdict = decide(comparison, interval, results, biased, confidence)
    except ValueError as error:
        raise _mistaken(claim, comparison, error) from error
    words = ON_IMPORTED if results.imported else ON_REFERENCE if source == REFERENCE else {}
    word = words.get(verdict.word, verdict.word)
    return ClaimRow(
        id=claim.id,
        kind=claim.kind,
        matters_to=claim.matters_to,
        sentence=claim.sentence,
        experiment=claim.experiment,
        asked=str(comparison),
        value=interval.estimate,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        unit=estimate.unit,
        confidence=interval.confidence,
        cells=estimate.cells,
        text=str(replace(estimate, low=interval.low, high=interval.high, tries="")),
        # Nobody can add blocks to what others measured.
        blocks_for_5_percent=None
        if results.imported
        else _blocks_needed(estimate.values, interval),
        verdict=word,
        why=verdict.reason,
        short=verdict.short,
        basis=recomputing.basis(comparison),
    )


def compared(claim: Claim, results: Results) -> Comparison | str:
    """Return the `Comparison` that a claim makes of results, or why their scale leaves it out.

    Raises `UserError`, naming claim and experiment, when the claim's function fails or returns no
    comparison.
    """
    where = f"claim {claim.id} ({claim.experiment})"
    try:
        comparison: object = claim.compare(results)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    except Exception as error:
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(comparison, Comparison):
        raise UserError(
            f"{where} has no bound: return an estimate's .below(...), .above(...) or .equal(...)"
        )
    return comparison if comparison.estimate.planned else comparison.estimate.missing


def bias(results: Results, comparisons: Iterable[Comparison | str]) -> verdicts.Verdict | None:
    """Return the verdict on all claims of an experiment if its results are biased, else None.

    They are biased if two identical cells differ in a metric (at the quantile) that a claim uses.
    That discredits the claims on other metrics, too.
    """
    if results.imported:
        return None
    used: dict[tuple[str, float], dict[str, None]] = {}
    for estimate in (c.estimate for c in comparisons if isinstance(c, Comparison)):
        used.setdefault((estimate.metric, estimate.q), {}).update(dict.fromkeys(estimate.cells))
    for (metric, q), cells in used.items():
        floor, _ = _floor(results, metric, q, cells, len(used))
        if floor and floor.known and floor.biased:
            name = metric if q == 0.5 else f"{stats.quantile_name(q)} of {metric}"
            low, high = floor.interval.low, floor.interval.high
            return verdicts.undecided(
                f"two identical cells differ in {name}",
                after=f" (A/A' = {floor.interval.estimate:.4g} [{low:.4g}, {high:.4g}]), "
                f"so nothing in {results.experiment} is decided; "
                "find what distinguishes them, and measure again",
            )
    return None


def decide(
    comparison: Comparison,
    interval: stats.MaybeInterval,
    results: Results,
    biased: verdicts.Verdict | None = None,
    confidence: float = stats.CONFIDENCE,
) -> verdicts.Verdict:
    """Return the verdict on a comparison: its interval against the bound and the noise floor.

    A level must lie beyond the bound through its whole drift; in a ratio within blocks, drift
    cancels. Blocks over seeds or inputs have no order in time. A deterministic value has no noise.
    """
    estimate = comparison.estimate
    if results.imported:
        return _decide_imported(comparison, interval, results.imported, confidence)
    if estimate.shown_deterministic and interval.decidable:
        return biased or _too_few(interval, confidence) or _decide_exactly(comparison, interval)
    floor, unknown = _floor(results, estimate.metric, estimate.q, estimate.cells)
    if floor and floor.known and not biased:
        floor = replace(floor, biased=False)  # `bias` looks at the metrics of all claims together
    if undecided := biased or unknown or _too_few(interval, confidence):
        return undecided
    ordered = estimate.over == OVER_TIME and not estimate.paired
    through = drifting.through_drift(interval, estimate.values) if ordered else None
    return _decided(comparison, interval, floor, through)


def _decided(
    comparison: Comparison,
    interval: stats.MaybeInterval,
    floor: stats.MaybeFloor | None = None,
    through: stats.MaybeInterval | None = None,
) -> verdicts.Verdict:
    """Return the verdict of the rule for a comparison's side."""
    bound, target = comparison.bound, comparison.target
    if comparison.side == "equal":
        return verdicts.decide_equal(interval, bound, floor=floor, target=target, through=through)
    if comparison.side == "within":
        return verdicts.decide_within(interval, bound, target, floor=floor, through=through)
    return verdicts.decide(interval, bound, comparison.side, floor=floor, through=through)


def _decide_imported(
    comparison: Comparison, interval: stats.MaybeInterval, record: ImportRecord, confidence: float
) -> verdicts.Verdict:
    """Return the verdict on imported results: the interval against the bound alone.

    Others have measured no twin, and their blocks have no order in time: a noise floor and drift
    are unknown, and the reason says so. Nothing is found equal without a noise floor.
    """
    if not record.block:
        return verdicts.undecided(NO_BLOCK)
    if undecided := _too_few(interval, confidence):
        return undecided
    decided = _decided(comparison, interval)
    if comparison.side == "equal":
        return decided
    return replace(decided, reason=f"{decided.reason} (imported: no noise floor is known)")


def _decide_exactly(comparison: Comparison, interval: stats.Interval) -> verdicts.Verdict:
    """Return the verdict on a value that is the same in all blocks: it needs no noise floor."""
    quiet = [1.0] * interval.n if comparison.side == "equal" else None
    return _decided(comparison, interval, stats.noise_floor(quiet, quiet) if quiet else None)


def _interval(values: Sequence[float], confidence: float) -> stats.MaybeInterval:
    """Return the interval over blocks, on the log scale if all values are positive."""
    return (stats.level if min(values) > 0 else stats.median_interval)(values, confidence)


def _floor(
    results: Results, metric: str, q: float, cells: Iterable[str], looks: int = 1
) -> tuple[stats.MaybeFloor | None, verdicts.Verdict | None]:
    """Return (noise floor, None), or (None, the verdict without one).

    Within trials it is that of the rows among `cells`.
    """
    cells = list(cells)
    levels = [results.levels_within(cell) for cell in cells]
    at = [some for number, some in enumerate(levels) if some and some not in levels[:number]]
    try:
        return results.floor(metric, q, looks, at, cells), None
    except InsufficientDataError as reason:
        return None, verdicts.undecided(f"the noise floor of {metric} is unknown: {reason}")


def _too_few(interval: stats.MaybeInterval, confidence: float) -> verdicts.Verdict | None:
    """Return the verdict if an interval does not attain the confidence that all claims need.

    A claim alone takes the confidence that 5 blocks attain.
    """
    if (
        not interval.decidable
        or confidence == stats.CONFIDENCE
        or interval.confidence >= confidence
    ):
        return None
    needed = ceil(1 - log2(1 - confidence))
    few = (
        f"over all claims together {interval.n} blocks are too few "
        f"for an interval at {confidence:.2%}"
    )
    return verdicts.undecided(few, after=f"; measure at least {needed}")


def _blocks_needed(
    values: Sequence[float], interval: stats.MaybeInterval, half_width: float = 0.05
) -> int | None:
    """Return how many blocks would bring the interval within the half-width (on the log scale).

    Unknown (None) with too few blocks, or if the blocks fall into groups, so that the interval is
    wide although the spread is small.
    """
    if not interval.decidable or interval.low <= 0:
        return None
    needed = stats.blocks_needed(values, half_width)
    grouped = needed <= interval.n and log(interval.high / interval.low) > 2 * half_width
    return None if grouped else needed

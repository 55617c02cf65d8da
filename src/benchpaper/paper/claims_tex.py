r"""The claims as LaTeX: their marks, their kinds and history, and the rows of their tables.

A sentence of the paper bears a small mark with the claim's id; `\claimmarks` explains the marks.
Findings and checks are counted and typeset apart.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from benchpaper.analysis import claim_rows, history
from benchpaper.analysis.claim_rows import CHECK, FINDING, ON_IMPORTED, ON_REFERENCE, ClaimRow
from benchpaper.analysis.exhibits import tex
from benchpaper.analysis.history import History

TABLE = "claims.tex"
HOLDS, FAILS, OPEN, NONE = "holds", "fails", "open", "none"
SYMBOLS = {HOLDS: "✓", FAILS: "✗", OPEN: "?", NONE: "–"}  # as benchpaper.sty draws them
_WORDS = (ON_REFERENCE, ON_IMPORTED, {word: word for word in ON_REFERENCE})
MARKS = {
    **{words[claim_rows.REPRODUCED]: HOLDS for words in _WORDS},
    **{words[claim_rows.CONTRADICTED]: FAILS for words in _WORDS},
    claim_rows.INCONCLUSIVE: OPEN,
    claim_rows.NOT_TESTABLE: NONE,
    claim_rows.NOT_RUN: NONE,
}
WRITTEN = {  # keys of \writtencount
    "before": history.BEFORE,
    "later": history.EARLIER,
    "trials": history.TRIAL_RUNS,
    "after": history.AFTER,
    "uncommitted": history.UNCOMMITTED,
    "nodata": history.NO_DATA,
}
PHRASES = {  # in `summary`
    history.BEFORE: "were written before their first data",
    history.EARLIER: "after earlier results, but before those that judge them",
    history.TRIAL_RUNS: "after trial runs that their authors had seen",
    history.AFTER: "after their data",
    history.UNCOMMITTED: "are not committed yet",
    history.NO_DATA: "have no data yet",
}


def mark(row: ClaimRow) -> str:
    """Return the mark that follows a claim's sentence, as text: its id, and a symbol."""
    return row.id + SYMBOLS[MARKS[row.verdict]]


def counts(rows: Sequence[ClaimRow]) -> dict[str, int]:
    """Return {kind of thing: how many} of claims, findings, and checks."""
    kinds = Counter(row.kind for row in rows)
    return {"claims": len(rows), "findings": kinds[FINDING], "checks": kinds[CHECK]}


def declarations(rows: Sequence[ClaimRow], past: History) -> list[str]:
    """Return the lines that declare the claims with their verdicts, kinds, and history."""
    if not rows:
        return []
    lines = [
        rf"\bpclaim{{{row.id}}}{{{tex(row.sentence)}}}{{{row.verdict}}}{{{tex(row.why)}}}"
        rf"{{{MARKS[row.verdict]}}}{{{row.kind}}}{{{written(row, past)}}}"
        for row in rows
    ]
    words: dict[str, dict[str, None]] = {}
    for row in rows:
        words.setdefault(MARKS[row.verdict], {})[row.verdict] = None
    lines += [
        rf"\bpmark{{{name}}}{{{tex(' or '.join(words[name]))}}}"
        for name in SYMBOLS
        if name in words
    ]
    findings = Counter(written(row, past) for row in claim_rows.of_kind(rows, FINDING))
    lines += [
        rf"\bpcount{{written-{key}}}{{{findings[word]}}}"
        for key, word in WRITTEN.items()
        if not past.why
    ]
    lines.append(rf"\bphistory{{{tex(summary(rows, past))}}}")
    lines += [
        rf"\bpmeasured{{{name}}}{{{times(len(past.measured.get(name, ())))}}}"
        for name in dict.fromkeys(row.experiment for row in rows)
        if not past.why
    ]
    return [*lines, rf"\bptable{{claims}}{{{TABLE}}}"]


def table(rows: Iterable[ClaimRow], past: History) -> str:
    r"""Return the rows of the table of all claims as LaTeX; empty without claims.

    Each family of experiments has a group of rows for each kind, so that the paper can print the
    groups separately (`\claimstable[FAMILY]`, `\findingstable`, `\checkstable`).
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        cells = " & ".join(map(tex, cells_of(row, past)))
        groups.setdefault((row.experiment.split("/")[0], row.kind), []).append(rf"{cells} \\")
    return "".join(
        rf"\bpclaimrows{{{family}}}{{{kind}}}{{" + "\n".join(["%", *lines, ""]) + "}\n"
        for (family, kind), lines in groups.items()
    )


def cells_of(row: ClaimRow, past: History) -> tuple[str, ...]:
    """Return the cells of a claim's row: id, sentence, what was found, verdict and history."""
    when = "" if past.why else f"; {written(row, past)}"
    return row.id, row.sentence, row.text, f"{shown(row)}{when}"


def shown(row: ClaimRow) -> str:
    """Return the verdict; if it decides nothing, with the short reason.

    The interval alone does not show that reason.
    """
    if MARKS[row.verdict] in (HOLDS, FAILS):
        return row.verdict
    return f"{row.verdict}: {row.short}"


def written(row: ClaimRow, past: History) -> str:
    """Return when a claim was written, in words."""
    known = past.claims.get(row.id)
    if known is None:
        return "unknown"
    return known.word + (" (by dates)" if known.by_dates else "")


def times(count: int) -> str:
    """Return how often, in words."""
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def summary(rows: Sequence[ClaimRow], past: History) -> str:
    """Return the history of all claims in one or two sentences."""
    if past.why:
        return f"{past.why[0].upper()}{past.why[1:]}."
    findings = claim_rows.of_kind(rows, FINDING)
    known = Counter(past.claims[row.id].word for row in findings if row.id in past.claims)
    listed = [f"{count} {PHRASES[word]}" for word, count in known.items()]
    texts = [f"Of {len(findings)} findings, {'; '.join(listed)}."] if listed else []
    by_dates = sum(past.claims[row.id].by_dates for row in findings if row.id in past.claims)
    if by_dates:
        texts.append(
            f"Of {by_dates} of these, dates tell, because the repository lacks a measured commit."
        )
    judged = {row.experiment for row in rows}
    measured = sorted(len(some) for name, some in past.measured.items() if name in judged)
    often = " to ".join(map(times, dict.fromkeys((measured[0], measured[-1])))) if measured else ""
    texts.append(f"Each reference was measured {often or 'never'}.")
    return " ".join(texts)


def of_kind_and_family(
    rows: Iterable[ClaimRow], kinds: Sequence[str], family: str
) -> Iterator[ClaimRow]:
    """Yield the rows that a table of claims shows: kind after kind, of a family ("" for all)."""
    rows = list(rows)
    for kind in kinds:
        for row in claim_rows.of_kind(rows, kind):
            if family in ("", row.experiment.split("/")[0]):
                yield row

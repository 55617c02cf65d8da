"""Judges the claims of an archive again, from its Parquet files and by our own code.

A verdict's row holds the comparison as data, so this runs no function of analysis/claims*.py. Their
ids, experiments, and sentences are read from the syntax tree.
"""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchpaper.analysis import claim_rows, judging, recomputing
from benchpaper.analysis.claim_files import Claim, files
from benchpaper.analysis.claim_rows import FINDING, ClaimRow, ClaimRowJson
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.values import Comparison, gap
from benchpaper.artifact.bundle import confined, exhibit_check
from benchpaper.artifact.bundle.archive import NotVerified
from benchpaper.artifact.bundle.generated import difference
from benchpaper.core.project import VERDICTS, Project, derived
from benchpaper.paper import claims_tex


class Declared(NamedTuple):
    """A claim as its file states it, without running the file."""

    id: str
    experiment: str
    sentence: str
    kind: str
    matters_to: str


def rows(build: Path) -> list[ClaimRow]:
    """Return the rows of verdicts.json after checking that each has the fields of a row."""
    confined.reading(VERDICTS)
    if not (build / VERDICTS).exists():
        raise NotVerified(f"it has no {VERDICTS}")
    fields = set(ClaimRowJson.__annotations__)
    for number, row in enumerate(derived(build / VERDICTS, list)):
        if not isinstance(row, dict) or set(row) != fields:
            raise NotVerified(f"{VERDICTS}: row {number} has not the fields of a verdict")
        for field, known in (("verdict", claims_tex.MARKS), ("kind", claim_rows.KINDS)):
            if row[field] not in known:
                raise NotVerified(
                    f'{VERDICTS}: row {number} has the unknown {field} "{row[field]}"'
                )
    return claim_rows.read(build)


def check(
    project: Project, rows: Sequence[ClaimRow], measured: Mapping[str, Results], source: str
) -> str:
    """Compare the rows with the claims' files and the results; return a line on success.

    `measured` are the results of each experiment. Raises `NotVerified` at the first difference.
    """
    _check_declared(project, rows)
    judged: dict[str, ClaimRow] = {}
    for experiment in dict.fromkeys(row.experiment for row in rows):
        confined.reading(f"the verdicts on {experiment}")
        its_rows = [row for row in rows if row.experiment == experiment]
        judged |= _judged(its_rows, measured.get(experiment), source)
    for row in rows:
        again = json.loads(json.dumps(judged[row.id].to_json()))
        if where := difference(row.to_json(), again):
            raise NotVerified(f"{VERDICTS}: claim {row.id}: {where}")
    by_data = sum(bool(row.basis and row.basis.recipe) for row in rows)
    with_value = sum(row.value is not None for row in rows)
    return (
        f"{len(rows)} verdicts follow from the claims and the data inside; {by_data} of their "
        f"{with_value} values were recomputed, the others took code of the claims"
    )


def _judged(
    rows: Sequence[ClaimRow], results: Results | None, source: str
) -> Mapping[str, ClaimRow]:
    """Return {id: row} of an experiment's claims, judged again."""
    comparisons = {row.id: _comparison(row, results) for row in rows}
    again = [
        Claim(
            row.id,
            row.experiment,
            row.sentence,
            _constant(comparisons[row.id]),
            row.kind,
            row.matters_to,
        )
        for row in rows
    ]
    if results is None:
        return {claim.id: judging.without_results(claim, source) for claim in again}
    return judging.judge(again, results, source)


def _constant(comparison: Comparison) -> Any:
    return lambda results: comparison


def _comparison(row: ClaimRow, results: Results | None) -> Comparison:
    """Return the comparison of a row; that of a claim that was not run says why."""
    basis = row.basis
    if basis is None or results is None:
        if basis is None and results is not None:
            _check_not_planned(row, results)
        return gap(row.why, planned=False).below(0)
    if basis.recipe:
        exhibit_check.compute(f"claim {row.id}", basis.recipe, results)
    elif not basis.values:
        exhibit_check.check_gap(f"claim {row.id}", row.why, row.cells, results)
    comparison = recomputing.comparison_of(basis, results, row.cells, row.unit, row.why)
    if len(comparison.estimate.values) > results.blocks:
        raise NotVerified(f"claim {row.id} has more values than there are blocks")
    return comparison


def _check_not_planned(row: ClaimRow, results: Results) -> None:
    """Check that the scale may have left out the cell of a claim that was not run."""
    reason = results.left_out({})  # raises at the scale that leaves out nothing
    if row.why != str(reason):
        raise NotVerified(f"claim {row.id} was not run, but its experiment was")


# ---- the claims' files ----


def _check_declared(project: Project, rows: Sequence[ClaimRow]) -> None:
    """Compare the claims of the rows with those that analysis/claims*.py declare, in order."""
    declared, unread = [], False
    for path in files(project):
        tree = ast.parse(path.read_text(), path.name)
        its_claims = list(_declared(tree))
        declared += its_claims
        unread |= len(its_claims) < _calls(tree)
    ids = [row.id for row in rows]
    if len(set(ids)) < len(ids):
        raise NotVerified(f"{VERDICTS} has a claim twice")
    known = {claim.id: claim for claim in declared}
    for row in rows:
        stated = Declared(row.id, row.experiment, row.sentence, row.kind, row.matters_to)
        if row.id in known and known[row.id] != stated:
            raise NotVerified(
                f"{VERDICTS}: claim {row.id} has another sentence, experiment or kind than "
                "analysis/claims*.py"
            )
    in_rows = [name for name in ids if name in known]
    if in_rows != list(known) or (in_rows != ids and not unread):
        raise NotVerified(f"{VERDICTS} has not the claims of analysis/claims*.py, in their order")


def _declared(tree: ast.Module) -> Iterator[Declared]:
    """Yield the claims whose id, experiment, and sentence are literals."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        sentence = " ".join((ast.get_docstring(node, clean=False) or "").split())
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and _is_claim(call) and sentence:
                words = {word.arg: word.value for word in call.keywords}
                texts = [*call.args[:1], words.get("id"), words.get("experiment")]
                literals = [t.value for t in texts if isinstance(t, ast.Constant)]
                kind, matters_to = (
                    _literal(words.get(key), default)
                    for key, default in (("kind", FINDING), ("matters_to", ""))
                )
                if len(literals) == 2 and kind is not None and matters_to is not None:
                    name, experiment = map(str, literals)
                    yield Declared(name, experiment, sentence, kind, matters_to)


def _literal(node: ast.expr | None, default: str) -> str | None:
    """Return the text of a literal, the default without one, and None for an expression."""
    if node is None:
        return default
    return str(node.value) if isinstance(node, ast.Constant) else None


def _calls(tree: ast.Module) -> int:
    """Return how often `claim` is called."""
    return sum(isinstance(node, ast.Call) and _is_claim(node) for node in ast.walk(tree))


def _is_claim(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name == "claim"

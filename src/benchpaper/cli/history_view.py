"""The history of the claims, as `benchpaper claims --history` prints it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.box import HORIZONTALS
from rich.text import Text

from benchpaper.analysis.claim_files import Claim
from benchpaper.analysis.history import History
from benchpaper.cli.tables import show_table
from benchpaper.core import output

COLOURS = {"written before its first data": "green", "written after its data": "red"}
COLUMNS: dict[str, dict[str, Any]] = {
    "claim": {"ratio": 5},
    "when": {"ratio": 3},
    "first committed": {"ratio": 3},
    "sentence": {"ratio": 3},
    "bound": {"ratio": 3},
    "reference measured": {"ratio": 5},
}


def described(claims: Sequence[Claim], past: History) -> dict[str, Any]:
    """Return {why, claims, measured} as plain data; `why` says why git cannot tell, or is empty."""
    rows = [
        {
            "id": claim.id,
            "kind": claim.kind,
            "sentence": claim.sentence,
            "experiment": claim.experiment,
            "history": asdict(past.claims[claim.id]) if claim.id in past.claims else None,
        }
        for claim in claims
    ]
    return {"why": past.why, "claims": rows, "measured": past.to_json()["measured"]}


def show(content: dict[str, Any]) -> None:
    """Print what `described` returned."""
    console = output.console()
    if content["why"]:
        console.print(content["why"], highlight=False, soft_wrap=True)
        return
    rows = [_row(claim, content["measured"]) for claim in content["claims"]]
    show_table(console, COLUMNS, rows, box=HORIZONTALS, show_lines=True, expand=True)
    words: dict[str, Counter[str]] = {}
    for claim in content["claims"]:
        words.setdefault(claim["kind"], Counter())[_word(claim)] += 1
    for kind, counts in words.items():
        listed = ", ".join(f"{count} {word}" for word, count in counts.items())
        console.print(f"{counts.total()} {kind}s: {listed}", highlight=False)


def _word(claim: dict[str, Any]) -> str:
    return str(claim["history"]["word"]) if claim["history"] else "unknown"


def _row(claim: dict[str, Any], measured: dict[str, Any]) -> list[str | Text]:
    """Return the cells of a claim's row."""
    history, word = claim["history"] or {}, _word(claim)
    by_dates = "\n(by dates: the measured commit is not here)" if history.get("by_dates") else ""
    return [
        Text(f"{claim['id']}  {claim['sentence']}"),
        Text(word + by_dates, style=COLOURS.get(word, "")),
        Text(_change(history.get("first"), with_count=False)),
        Text(_change(history.get("sentence"))),
        Text(_change(history.get("bound"))),
        Text("\n".join(map(_measurement, measured.get(claim["experiment"], ()))) or "never"),
    ]


def _change(change: dict[str, Any] | None, with_count: bool = True) -> str:
    """Return the time and commit of a change; "unchanged" if there was none since the first."""
    if change is None:
        return "-"
    if with_count and not change["changes"]:
        return "unchanged"
    count = f", changed {change['changes']}x" if with_count else ""
    return f"{_minute(change['time'])} {change['commit'][:8]}{count}"


def _measurement(each: dict[str, Any]) -> str:
    why = f": {each['why']}" if each["why"] else ""
    return f"{_minute(each['started'])} {each['scale']}, site {each['site']}{why}"


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")

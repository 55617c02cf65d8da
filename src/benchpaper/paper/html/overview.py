"""The report's first page: a card for each family, the verdicts, and what was not measured."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchpaper.analysis.claim_rows import KINDS, ClaimRow, of_kind
from benchpaper.analysis.history import History
from benchpaper.analysis.manifests import Manifest
from benchpaper.core.capabilities import CAPABILITIES
from benchpaper.core.project import slug
from benchpaper.core.settings import Card
from benchpaper.paper import claims_tex, gather
from benchpaper.paper.html.pages import counted, pages_below, table

CLASSES = {
    claims_tex.HOLDS: "good",
    claims_tex.FAILS: "bad",
    claims_tex.OPEN: "open",
    claims_tex.NONE: "open",
}
NEEDS = re.compile(r"needs ([\w, -]+)")
LONGEST = 60  # characters of an experiment's question as a card's question


@dataclass(frozen=True)
class Site:
    """What the pages of a report are made from: manifests and questions by experiment, in order."""

    title: str
    manifests: Mapping[str, Manifest]
    questions: Mapping[str, str]
    rows: Sequence[ClaimRow]
    past: History
    cards: Mapping[str, Card]
    pdfs: Sequence[str] = ()
    has_appendix: bool = False

    @property
    def families(self) -> list[str]:
        """The families: first those that have cards, in the order of these."""
        there = dict.fromkeys(name.split("/")[0] for name in self.manifests)
        return list(dict.fromkeys([*(name for name in self.cards if name in there), *there]))


def page(site: Site, below: Sequence[str]) -> str:
    """Return the first page; `below` are the pages that Sphinx puts below it."""
    where, days = gather.origin(list(site.manifests.values()))
    links = " ".join(
        f'<a href="{name}">{words} (PDF)</a>.'
        for name, words in zip(site.pdfs, ("The paper", "The supplement"), strict=False)
    )
    return "\n".join(
        [
            f"# {site.title}",
            "",
            f"From {where}{'' if days == gather.UNKNOWN else f', measured on {days}'}. {links}",
            "",
            f'<div class="cards">{"".join(_card(site, family) for family in site.families)}</div>',
            "",
            "## Verdicts",
            "",
            *verdicts(site.rows, site.past),
            "",
            "## What could not be measured, and what it would take",
            "",
            *_gaps(site),
            "",
            "## Experiments",
            "",
            *(_listed(name, manifest) for name, manifest in site.manifests.items()),
            "",
            *pages_below(below),
            "",
        ]
    )


def _card(site: Site, family: str) -> str:
    """Return the card of a family: its question, the answer with its verdict, and a figure."""
    names = [name for name in site.manifests if name.split("/")[0] == family]
    chosen = site.cards.get(family, Card())
    answer = _answer(site.rows, names, chosen.answer)
    experiment, figure = _figure(site, names, chosen.figure)
    question = chosen.question or site.questions[names[0]]
    said = ""
    if answer:
        words = f"{claims_tex.SYMBOLS[claims_tex.MARKS[answer.verdict]]} {answer.verdict}"
        said = f"<p>{html.escape(answer.sentence)} {_verdict(answer, words)}</p>"
    picture = (
        f'<a href="{slug(experiment)}.html"><img src="pictures/{figure}.png" loading="lazy" '
        f'alt="Figure {figure}, of {html.escape(experiment)}"></a>'
        if figure
        else "<p><em>Not measured here.</em></p>"
    )
    return (
        f'<section class="card" aria-label="{html.escape(family)}"><p class="question">'
        f"<strong>{html.escape(question)}</strong></p>{said}{picture}"
        f'<p><a href="{slug(experiment)}.html">more on {html.escape(experiment)}</a></p></section>'
    )


def _answer(rows: Sequence[ClaimRow], names: Sequence[str], wanted: str) -> ClaimRow | None:
    """Return the claim that answers a family's question: the chosen one, or its first finding."""
    its_rows = [row for row in rows if row.experiment in names]
    chosen = [row for row in its_rows if row.id == wanted]
    return next(iter([*chosen, *of_kind(its_rows, "finding"), *its_rows]), None)


def _figure(site: Site, names: Sequence[str], wanted: str) -> tuple[str, str]:
    """Return (experiment, figure) of a card; no figure if none of the family was measured."""
    measured = [
        (name, exhibit)
        for name in names
        for exhibit, entry in site.manifests[name].exhibits.items()
        if entry.kind == "figure" and not entry.missing
    ]
    chosen = [pair for pair in measured if pair[1] == wanted]
    return next(iter([*chosen, *measured]), (names[0], ""))


def _listed(name: str, manifest: Manifest) -> str:
    """Return the line on an experiment."""
    missing = gather.gaps(manifest.exhibits.values())
    gaps = f", {missing} of them not measured there" if missing else ""
    trail_page = f"[where each comes from]({slug(name)}-trail.md)"
    count = counted(len(manifest.exhibits), "exhibit")
    imported = ", imported and not measured here" if manifest.imported else ""
    return f"- [{name}]({slug(name)}.ipynb): {count}{imported}{gaps}; {trail_page}"


def verdicts(rows: Sequence[ClaimRow], past: History, link: bool = True) -> list[str]:
    """Return the tables of the claims, findings first; with `link` they can be filtered."""
    if not rows:
        return ["No claims are made."]
    lines = [_filters(rows)] if link and len(rows) > 1 else []
    for kind in KINDS:
        some = of_kind(rows, kind)
        if some:
            caption = f"{counted(len(some), kind).capitalize()}: value here, and verdict"
            body = [_row(row, past, link) for row in some]
            marks = [
                f'data-family="{html.escape(row.experiment.split("/")[0])}" '
                f'data-verdict="{html.escape(row.verdict)}"'
                for row in some
            ]
            lines.append(table(caption, ["claim", "here", "verdict", "why"], body, marks))
    return lines


def _row(row: ClaimRow, past: History, link: bool) -> list[str]:
    place = (
        f' (<a href="{slug(row.experiment)}.html">{html.escape(row.experiment)}</a>)'
        if link
        else ""
    )
    whom = f" Matters to {html.escape(row.matters_to)}." if row.matters_to else ""
    when = "" if past.why else f" {claims_tex.written(row, past).capitalize()}."
    sentence = f"<strong>{row.id}</strong> {html.escape(row.sentence)}{place}{whom}{when}"
    return [
        sentence,
        html.escape(row.text or "-"),
        _verdict(row, row.verdict),
        html.escape(row.why),
    ]


def _verdict(row: ClaimRow, words: str) -> str:
    mark = CLASSES[claims_tex.MARKS[row.verdict]]
    return f'<span class="verdict {mark}">{html.escape(words)}</span>'


def _filters(rows: Sequence[ClaimRow]) -> str:
    """Return two lists that choose by family and verdict; report.js hides the other rows."""
    choices = {
        "family": dict.fromkeys(row.experiment.split("/")[0] for row in rows),
        "verdict": dict.fromkeys(row.verdict for row in rows),
    }
    fields = "".join(
        f'<label>{name} <select data-filter="{name}"><option value="">all</option>'
        + "".join(f"<option>{html.escape(word)}</option>" for word in words)
        + "</select></label> "
        for name, words in choices.items()
    )
    return f'<p class="filters">{fields}<span role="status" class="filtered"></span></p>\n'


def _gaps(site: Site) -> Iterator[str]:
    """Yield a line for each reason why exhibits were not measured, with the remedy if known."""
    reasons: dict[str, list[str]] = {}
    for manifest in site.manifests.values():
        for name, exhibit in manifest.exhibits.items():
            if exhibit.missing:
                reasons.setdefault(exhibit.missing, []).append(name)
    if not reasons:
        yield "Everything that the paper shows was measured."
    for reason, names in reasons.items():
        shown = ", ".join(f"<code>{name}</code>" for name in names[:8])
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        yield f"- {html.escape(reason)}: {shown}{more}.{_remedies(reason)}"


def _remedies(reason: str) -> str:
    needed = NEEDS.search(reason)
    names = [name.strip() for name in needed[1].split(",")] if needed else []
    known = [CAPABILITIES[name] for name in names if name in CAPABILITIES]
    return "".join(f" {html.escape(item.meaning)}: {html.escape(item.remedy)}." for item in known)

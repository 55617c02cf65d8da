"""The words of the artifact appendix, in Markdown and in LaTeX."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from benchpaper.analysis.exhibits import tex
from benchpaper.analysis.stats import MIN_BLOCKS

HUMAN_MINUTES = 5  # per experiment, to start it and read its summary; an estimate

Appendix = dict[str, Any]  # as `appendix.make` returns it
Item = dict[str, Any]  # an experiment in it


def _time(minutes: float) -> str:
    if not minutes:  # imported results alone
        return "0 s"
    return f"{minutes:.1f} min" if minutes >= 0.95 else f"{max(1, round(60 * minutes))} s"


def _times(minutes: Mapping[str, float]) -> str:
    return ", ".join(f"{_time(value)} at {scale}" for scale, value in minutes.items())


def sections(appendix: Appendix) -> Iterator[tuple[str, Any]]:
    """Yield (kind, content) in order, for both writers.

    The content of "items" is (term, text) pairs; all other content is text. Text may have `code`.
    """
    scales = appendix["scales"]
    yield "section", "Artifact appendix"
    yield (
        "text",
        "Generated from the experiments' declarations, the claims and the measured trials. "
        "One command sets up and reproduces: `./reproduce`. "
        f"It measures at scale {scales.default}; "
        "`./reproduce --from reference` rebuilds figures and PDF from the authors' results.",
    )
    yield "subsection", "Badges sought"
    yield "items", [(badge["name"], _badge(badge)) for badge in appendix["badges"]]
    yield from _requirements(appendix)
    yield "subsection", "Major claims"
    yield (
        "items",
        [
            (claim["id"], f"{claim['sentence']} ({claim['experiment']}; {claim['verdict']})")
            for claim in appendix["claims"]
        ],
    )
    yield from _experiments(appendix)
    measured = [item for item in appendix["experiments"] if not item["imported"]]
    if len(scales.names) > 1 and measured:
        yield "subsection", "Why less is measured at the smaller scales"
        yield "text", _smaller_scales(appendix, measured)


def _requirements(appendix: Appendix) -> Iterator[tuple[str, Any]]:
    """Yield what a machine needs, and how to set it up."""
    scales, machine = appendix["scales"], appendix["machine"]
    yield "subsection", "Requirements"
    yield (
        "text",
        f"Hardware: {machine.hardware}. Software: {machine.software}. {_data(appendix)} "
        "What else single cells need is below; without it they are recorded as not testable, "
        "and printed as gaps.",
    )
    if appendix["needs"]:
        yield "items", [(need["name"], _need(need)) for need in appendix["needs"]]
    yield "subsection", "Set-up and basic test"
    yield (
        "text",
        f"Run `./reproduce --scale {scales.quickest}`: it sets up (some minutes, "
        f"{machine.disk}), measures every experiment in small "
        f"({_time(appendix['minutes'][scales.quickest])} of measuring) and builds the paper. "
        "`.venv/bin/benchpaper doctor` tells what this machine cannot measure. "
        "`benchpaper check` goes through the committee's checklist.",
    )


def _need(need: Mapping[str, Any]) -> str:
    users = ", ".join(need["experiments"])
    return f"{need['meaning']} ({users}). {_sentence(need['remedy'])}"


def _experiments(appendix: Appendix) -> Iterator[tuple[str, Any]]:
    """Yield what each experiment takes, and its results."""
    yield "subsection", "Experiments"
    yield (
        "text",
        f"All together, measuring takes {_times(appendix['minutes'])}. "
        "A claim is reproduced when its whole interval lies on the right side of the bound "
        "and the estimate clears it by the noise floor; the bound is the allowed variation. "
        "Absolute values may differ between machines as far as the bounds let them.",
    )
    for item in appendix["experiments"]:
        claims = f" [{', '.join(item['claims'])}]" if item["claims"] else ""
        yield "subsubsection", f"{item['id']}: {item['title']}{claims}"
        yield "items", _items(item, appendix["scales"].default)


def _smaller_scales(appendix: Appendix, measured: Sequence[Item]) -> str:
    """Return what the scales are for, and which are too small for an interval."""
    scales = appendix["scales"]
    fewest = {
        scaled["scale"]: min(item["scaled"][place]["blocks"] for item in measured)
        for place, scaled in enumerate(measured[0]["scaled"])
    }
    texts = ["Every scale runs the same systems, programs and notebooks."]
    for name in scales.names[:-1]:
        if fewest[name] < MIN_BLOCKS:
            what = "too few blocks for any interval, and shows only that everything works"
        else:
            what = f"the blocks that an interval takes, {fewest[name]} or more"
        texts.append(f"Scale {name} has {what}.")
    return " ".join([*texts, f"Scale {scales.paper} is what the paper prints."])


def _data(appendix: Appendix) -> str:
    users = [item["id"] for item in appendix["experiments"] if item["inputs"]]
    if not users:
        return f"{appendix['machine'].data}."
    return (
        f"Data: {', '.join(users)} read inputs, listed there with their digests; "
        "`benchpaper fetch` gets those that have an address, and checks all."
    )


def _badge(badge: Mapping[str, Any]) -> str:
    parts = [
        f"{'yes' if not problem else f'no ({problem})'}: {criterion}"
        for criterion, problem in badge["criteria"]
    ]
    return "; ".join(parts)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _imported_items(item: Item) -> Iterator[tuple[str, str]]:
    """Yield the terms of an experiment whose results others measured."""
    yield "Question", item["question"]
    yield "How to run", "others measured it; nothing is measured here"
    for name, text in item["imported"].trail.items():
        yield name.capitalize(), text
    yield from _results(item)


def _results(item: Item) -> Iterator[tuple[str, str]]:
    """Yield each claim's expected and present result."""
    for row in item["rows"]:
        expected = f"expected {row.asked}" if row.asked else "its cells were not planned"
        yield (
            f"Result {row.id}",
            f"{expected}; here {row.text or row.why}: {row.verdict}",
        )


def _items(item: Item, default_scale: str) -> Iterator[tuple[str, str]]:
    if item["imported"]:
        yield from _imported_items(item)
        return
    smaller = "; ".join(
        f"{scaled['scale']} {scaled['cells']} cells in {scaled['blocks']} blocks"
        + (f" ({scaled['counts']})" if scaled["counts"] else "")
        for scaled in item["scaled"]
    )
    measured = f"{item['trials']:,} measured trials at scale {item['measured_scale']}"
    yield "Question", item["question"]
    yield (
        "How to run",
        f"`./reproduce {item['name']} --scale {default_scale}`, then `.venv/bin/benchpaper claims`",
    )
    yield (
        "Hardware",
        "any machine as above" if not item["needs"] else f"cells need: {', '.join(item['needs'])}",
    )
    yield (
        "Effort",
        f"{HUMAN_MINUTES} human-minutes (estimated); "
        f"measuring {_times(item['minutes'])} (from {measured})",
    )
    yield (
        "Disk",
        f"{item['disk_mb']:.2f} MB of results (measured); "
        f"scratch up to {item['scratch_mb']:g} MB (announced)",
    )
    for text in item["inputs"]:
        yield "Input", text
    for text in item["accepted"]:
        yield "Accepted change", text
    yield from _results(item)
    yield "Scaled down", smaller


def markdown(appendix: Appendix) -> str:
    """Return the appendix as Markdown."""
    lines: list[str] = []
    for kind, content in sections(appendix):
        if kind == "text":
            lines += [content, ""]
        elif kind == "items":
            lines += [*(f"- **{term}**: {text}" for term, text in content), ""]
        else:
            lines += [
                "#" * (1 + ("section", "subsection", "subsubsection").index(kind)) + f" {content}",
                "",
            ]
    return "\n".join(lines)


def latex(appendix: Appendix) -> str:
    r"""Return the appendix as LaTeX, for `\input` after `\appendix` or anywhere else."""
    lines = ["% Generated by benchpaper (appendix); do not edit."]
    for kind, content in sections(appendix):
        if kind == "text":
            lines += [_tex(content), ""]
        elif kind == "items":
            listed = [rf"\item[{_tex(term)}] {_tex(text)}" for term, text in content]
            lines += [r"\begin{description}\small", *listed, r"\end{description}"] if listed else []
        else:
            lines.append(rf"\{kind}{'*' if kind == 'subsubsection' else ''}{{{_tex(content)}}}")
    return "\n".join([*lines, ""])


def _tex(text: str) -> str:
    parts = re.split(r"`([^`]*)`", text)
    return "".join(
        rf"\texttt{{{tex(part)}}}".replace("--", "-{}-") if number % 2 else tex(part)
        for number, part in enumerate(parts)
    )

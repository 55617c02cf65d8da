"""The results of `list`, `doctor`, and `claims`: as plain data, and as text."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from benchpaper.analysis.changes import changed_since_reference
from benchpaper.cli.common import each
from benchpaper.core import control_group, environment, lock, output, settings
from benchpaper.core.capabilities import CAPABILITIES, find_capability
from benchpaper.core.project import REFERENCE
from benchpaper.design.spec import Experiment
from benchpaper.hosts.site import HostEntry, assign
from benchpaper.workflow.pipeline import Pipeline, reference_seconds
from benchpaper.workflow.summary import describe_change

if TYPE_CHECKING:
    from benchpaper.analysis.claims import ClaimRow  # loads pandas

NARROW = 80  # columns: in fewer, a table becomes a list
PLAIN: dict[str, Any] = {"box": None, "padding": (0, 2, 0, 0)}
CLOCK = ("clock_offset_s", "clock_offset_error_s")


def experiment(loaded: Experiment, scale: str) -> dict[str, Any]:
    """Return {name, title, question, roles, needs at a scale} of a loaded experiment."""
    needs = sorted({need for cell in loaded.cells(scale) for need in loaded.capabilities(cell)})
    return {
        "name": loaded.name,
        "title": loaded.title,
        "question": loaded.question,
        "roles": list(loaded.roles),
        "needs": needs,
    }


def show_experiments(experiments: Sequence[dict[str, Any]]) -> None:
    """Print what `experiment` returned for each experiment."""
    if not experiments:
        print("there are no experiments yet; benchpaper new FAMILY/NAME writes one")
    for item in experiments:
        print(f"{item['name']}  {item['title']}")
        print(f"    {item['question']}")
        needs = ", ".join(item["needs"]) or "nothing special"
        print(f"    roles: {', '.join(item['roles'])}; cells need: {needs}\n")


def diagnosis(run: Pipeline) -> tuple[dict[str, Any], list[str]]:
    """Return what the site's hosts can measure, and the errors of experiments that do not load.

    The first is {site, hosts, capabilities, experiments, notes}. Each experiment has the number of
    cells that can run, and, for each missing capability, the number of cells that need it.
    """
    capabilities = {
        name: {**state, "meaning": CAPABILITIES[name].meaning, "remedy": CAPABILITIES[name].remedy}
        for name, state in run.probed["capabilities"].items()
    }
    experiments, mistakes = each(run.available, lambda name: (name, _runnable(run, name)))
    return {
        "site": run.site_name,
        "hosts": [_host(run, host) for host in run.site.hosts],
        "capabilities": capabilities,
        "experiments": dict(experiments),
        "notes": _notes(settings.needs(run.project.root).variables),
    }, mistakes


def _notes(prefixes: Iterable[str]) -> list[str]:
    """Return notes on the environment, with names of variables (also by prefix), never values."""
    notes = []
    if names := environment.set_aside(prefixes):
        notes.append(
            f"ignored in the environment: {', '.join(names)}; "
            "no trial, notebook or typesetting sees them"
        )
    if os.environ.get(lock.FOLDER):
        notes.append(
            f"{lock.FOLDER} is set: a run here does not wait for other measurements on this machine"
        )
    if not control_group.available():
        notes.append(
            "no control group can be made here (cgroups version 2, with write access): what a "
            "trial starts is found by descent, and after a kill by a mark in its limits; what "
            "keeps forking faster than these can be read may survive"
        )
    return notes


def _host(run: Pipeline, host: HostEntry) -> dict[str, Any]:
    """Return a host's name, roles, and facts, and a remote host's clock and capabilities."""
    remote = run.probed.get("hosts", {}).get(host.name)
    facts = (remote or run.probed)["facts"]
    described = {"name": host.name, "roles": list(host.roles), **facts}
    if remote:
        described["has"] = {
            name: state["present"] for name, state in remote["capabilities"].items()
        }
        if remote["clock"]:
            described |= dict(zip(CLOCK, remote["clock"], strict=True))
    return described


def _runnable(run: Pipeline, name: str) -> dict[str, Any]:
    """Return which cells of an experiment can run here, and what the others wait for."""
    experiment = run.experiment(name)
    cells = experiment.cells(settings.scales(run.project.root).paper)
    capabilities, present = run.capabilities(name), run.present(name)
    waiting: Counter[str] = Counter()
    for cell in cells:
        for need in experiment.capabilities(cell):
            find_capability(need)  # raises for an unknown name
            if need not in present:
                waiting[need] += 1
    roles = {role: host.name for role, host in assign(run.site, experiment.roles).items()}
    # Cells without a trial in the reference have code that the authors never ran. Without a
    # reference, these are all cells.
    measured = reference_seconds(run.project, name)
    return {
        "cells": len(cells),
        "runnable": sum(present.issuperset(experiment.capabilities(cell)) for cell in cells),
        "waiting_for": dict(waiting),
        "roles": roles,
        "missing": {need: capabilities[need]["detail"] for need in waiting},
        "never_executed_by_the_authors": [cell.id for cell in cells if cell.id not in measured],
        "changed_since_reference": changed_since_reference(run.project, name, run.site_name),
    }


def _show_table(
    console: Console,
    columns: Mapping[str, Mapping[str, Any]],
    rows: Iterable[Sequence[str | Text]],
    **look: Any,
) -> None:
    """Print rows of cells below their columns, {name: options of `Table.add_column`}.

    On a narrow terminal, each row becomes a few lines: its first cell, and below it the other cells
    with the names of their columns. `look` are options of `Table`.
    """
    if console.width >= NARROW:
        table = Table(pad_edge=False, **look)
        for name, options in columns.items():
            table.add_column(name, **{"overflow": "fold", **options})  # never cuts a name
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    for first, *others in rows:
        console.print(first, style="bold")
        for name, cell in zip(list(columns)[1:], others, strict=False):
            if str(cell) not in ("", "-"):
                text = cell if isinstance(cell, Text) else Text.from_markup(cell)
                line = Text.assemble(f"{name}: " if name else "", text)
                console.print(Padding(line, (0, 0, 0, 2), expand=False))
        if look.get("show_lines"):
            console.print()


def show_diagnosis(diagnosis: dict[str, Any]) -> None:
    """Print the first part of what `diagnosis` returned."""
    console = output.console()
    hosts, site = diagnosis["hosts"], diagnosis["site"]
    remote = [host for host in hosts if "has" in host]
    if remote:
        _show_side_by_side(console, hosts, site)
    else:
        for host in hosts:
            console.print(f"[bold]{host['name']}[/] ({', '.join(host['roles'])}) of site {site}")
            facts = {key: value for key, value in host.items() if key not in ("name", "roles")}
            line = "; ".join(f"{key} {value}" for key, value in facts.items())
            console.print(f"  {line}", highlight=False, markup=False)
    _show_capabilities(console, diagnosis["capabilities"], remote)
    for note in diagnosis["notes"]:
        console.print(note, highlight=False, markup=False)
    for name, item in diagnosis["experiments"].items():
        remedies = {
            need: (f" ({item['missing'][need]})" if remote else "")
            + f": {diagnosis['capabilities'][need]['remedy']}"
            for need in item["waiting_for"]
        }
        _show_runnable(console, name, item, remedies)


def _show_capabilities(
    console: Console, capabilities: dict[str, Any], remote: list[dict[str, Any]]
) -> None:
    """Print a row for each capability: where it is present, and the details or the remedy."""
    here = "here" if remote else ""
    names = [host["name"] for host in remote]
    columns = ("capability", here, *names, "meaning", "found here, or the remedy")
    rows: list[tuple[str | Text, ...]] = []
    for name, item in capabilities.items():
        there = [host["has"].get(name, False) for host in remote]
        last = item["detail"] if item["present"] and all(there) else item["remedy"]
        marks = map(_mark, there)
        rows.append((name, _mark(item["present"]), *marks, Text(item["meaning"]), Text(last)))
    _show_table(console, {column: {} for column in columns}, rows, **PLAIN)


def _show_runnable(
    console: Console, name: str, item: dict[str, Any], remedies: dict[str, str]
) -> None:
    """Print how many cells of an experiment can run, and what the others wait for."""
    roles = ", ".join(f"{role} on {host}" for role, host in item["roles"].items())
    console.print(
        f"[bold]{name}[/]: {item['runnable']} of {item['cells']} cells can run here ({roles})"
    )
    for need, count in item["waiting_for"].items():
        text = f"  {count} cells wait for {need}{remedies[need]}"
        console.print(text, highlight=False, markup=False)
    if changed := item["changed_since_reference"]:
        console.print(f"  {describe_change(changed)}", highlight=False, markup=False)
    if unexecuted := item["never_executed_by_the_authors"]:
        console.print(
            f"  {len(unexecuted)} cells are not in the reference: their code has never been "
            f"executed by the authors (for one: {unexecuted[0]})",
            highlight=False,
        )


def _mark(present: bool) -> str:
    return "[green]yes[/]" if present else "[yellow]no[/]"


def _show_side_by_side(console: Console, hosts: list[dict[str, Any]], site: str) -> None:
    """Print a column for each host: its facts, and the offset of its clock from ours."""
    console.print(f"site {site}", style="italic", highlight=False)
    hidden = ("name", "has", *CLOCK)
    rows: list[tuple[str | Text, ...]] = []
    for key in dict.fromkeys(key for host in hosts for key in host if key not in hidden):
        values = [host.get(key, "") for host in hosts]
        texts = [", ".join(value) if isinstance(value, list) else str(value) for value in values]
        rows.append((key, *map(Text, texts)))
    rows.append(("clock ahead of ours", *map(_clock, hosts)))
    columns: dict[str, dict[str, Any]] = {name: {} for name in ("", *(h["name"] for h in hosts))}
    _show_table(console, columns, rows, **PLAIN)


def _clock(host: dict[str, Any]) -> str:
    if "clock_offset_s" not in host:
        return "it is ours"
    return f"{host['clock_offset_s'] * 1e3:+.2f} ms ± {host['clock_offset_error_s'] * 1e3:.2f} ms"


def verdicts(here: "list[ClaimRow]", paper: "list[ClaimRow]") -> dict[str, Any]:
    """Return {claims, decided, wrong_by_chance_at_most} of the verdicts on one site's results.

    Each claim is its row of `here`, with the value and verdict from its row of `paper`.
    """
    from benchpaper.analysis.claims import by_chance

    papers = {row.id: row for row in paper}
    rows = [
        {
            **row.to_json(),
            "paper": papers[row.id].text,
            "paper_verdict": papers[row.id].verdict,
        }
        for row in here
    ]
    decided, wrong = by_chance(here)
    return {"claims": rows, "decided": decided, "wrong_by_chance_at_most": round(wrong, 3)}


def show_verdicts(judged: dict[str, Any]) -> None:
    """Print what `verdicts` returned, together with {site, source, reference_site}."""
    console = output.console()
    colours = {"reproduced": "green", "contradicted": "red", "inconclusive": "yellow"}
    words = (word for row in judged["claims"] for word in row["verdict"].split())
    columns: dict[str, dict[str, Any]] = {
        "claim": {"ratio": 8},
        "in the paper": {"ratio": 4},
        "here": {"ratio": 4},
        "verdict": {"width": max(max(map(len, words), default=0), 12)},
        "why": {"ratio": 7},
    }
    rows = []
    for row in judged["claims"]:
        verdict = Text(row["verdict"], style=colours.get(row["verdict"], "cyan"))
        claim = f"{row['id']}  {row['sentence']}" + (f"\n({row['asked']})" if row["asked"] else "")
        more = row["blocks_for_5_percent"]
        why = row["why"] + (f"; ±5 % takes about {more} blocks" if more and more > row["n"] else "")
        rows.append(
            [Text(claim), Text(row["paper"] or "-"), Text(row["text"] or "-"), verdict, Text(why)]
        )
    if (judged["source"], judged["site"]) == (REFERENCE, judged["reference_site"]):
        del columns["here"]  # the values here are those in the paper
        rows = [[claim, paper, *rest] for claim, paper, _, *rest in rows]
    _show_table(console, columns, rows, box=HORIZONTALS, show_lines=True, expand=True)
    console.print(
        f"{judged['decided']} of {len(judged['claims'])} claims have an interval; "
        f"by chance alone at most {judged['wrong_by_chance_at_most']:g} of these verdicts are "
        "wrong on average (--family-wise bounds the chance of any)",
        highlight=False,
    )

"""The results of `list` and `claims` as plain data and as text, and of `doctor` as plain data."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.box import HORIZONTALS
from rich.text import Text

from benchpaper.analysis.changes import changed_since_reference
from benchpaper.cli.common import each
from benchpaper.cli.diagnosis_text import CLOCK
from benchpaper.cli.tables import show_table
from benchpaper.core import control_group, environment, lock, output, settings
from benchpaper.core.capabilities import CAPABILITIES, find_capability
from benchpaper.core.project import REFERENCE
from benchpaper.design.spec import Experiment
from benchpaper.hosts.site import HostEntry, assign
from benchpaper.workflow import executed
from benchpaper.workflow.pipeline import Pipeline

if TYPE_CHECKING:
    from benchpaper.analysis.claims import ClaimRow  # loads pandas

COLOURS = {"reproduced": "green", "contradicted": "red", "inconclusive": "yellow"}


def experiment(loaded: Experiment, scale: str) -> dict[str, Any]:
    """Return {name, title, question, roles, needs at a scale, imported} of an experiment."""
    needs = sorted({need for cell in loaded.cells(scale) for need in loaded.capabilities(cell)})
    return {
        "name": loaded.name,
        "title": loaded.title,
        "question": loaded.question,
        "roles": list(loaded.roles),
        "needs": needs,
        "imported": loaded.is_imported,
    }


def show_experiments(experiments: Sequence[dict[str, Any]]) -> None:
    """Print what `experiment` returned for each experiment."""
    if not experiments:
        print("there are no experiments yet; benchpaper new FAMILY/NAME writes one")
    for item in experiments:
        print(f"{item['name']}  {item['title']}")
        print(f"    {item['question']}")
        needs = ", ".join(item["needs"]) or "nothing special"
        how = f"roles: {', '.join(item['roles'])}; cells need: {needs}"
        print(f"    {'imported: nothing is measured' if item['imported'] else how}\n")


def diagnosis(run: Pipeline) -> tuple[dict[str, Any], list[str]]:
    """Return what the site's hosts can measure, and the errors of experiments that do not load.

    The first is {site, hosts, capabilities, experiments, notes}. Each experiment has the number of
    cells that can run, and, for each missing capability, the number of cells that need it.
    """
    capabilities = {
        name: {
            **asdict(presence),
            "meaning": CAPABILITIES[name].meaning,
            "remedy": CAPABILITIES[name].remedy,
            "on_controller": CAPABILITIES[name].on_controller,
        }
        for name, presence in run.probed.here.capabilities.items()
    }
    names, mistakes = each(run.available, lambda name: (name, run.experiment(name).is_imported))
    imported = [name for name, is_imported in names if is_imported]
    experiments, more = each(
        [name for name, is_imported in names if not is_imported],
        lambda name: (name, _runnable(run, name)),
    )
    return {
        "site": run.site_name,
        "hosts": [_host(run, host) for host in run.site.hosts],
        "capabilities": capabilities,
        "experiments": dict(experiments),
        "notes": [
            *_notes(settings.needs(run.project.root).variables),
            *(f"{name}: imported; nothing is measured" for name in imported),
        ],
    }, mistakes + more


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
    probed = run.probed.host(host.name)
    described = {"name": host.name, "roles": list(host.roles), **probed.facts}
    if host.name in run.probed.hosts:
        described["has"] = {
            name: state.present
            for name, state in probed.capabilities.items()
            if name in CAPABILITIES and not CAPABILITIES[name].on_controller
        }
    if probed.clock:
        described |= dict(zip(CLOCK, probed.clock, strict=True))
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
    # Cells without a trial in the reference have code that the authors never ran, unless an
    # emulated machine ran it. Without a reference, these are all cells.
    runs = executed.in_reference(run.project, name)
    emulated = executed.elsewhere(experiment, cells, runs)
    return {
        "cells": len(cells),
        "runnable": sum(present.issuperset(experiment.capabilities(cell)) for cell in cells),
        "waiting_for": dict(waiting),
        "roles": roles,
        "missing": {need: capabilities[need].detail for need in waiting},
        "never_executed_by_the_authors": [
            cell.id for cell in cells if cell.id not in runs and cell.id not in emulated
        ],
        "executed_in_emulation": {
            cell: {"as": stand_in, "when": execution.date, "versions": dict(execution.versions)}
            for cell, (stand_in, execution) in emulated.items()
        },
        "changed_since_reference": changed_since_reference(run.project, name, run.site_name),
    }


def verdicts(here: "list[ClaimRow]", paper: "list[ClaimRow]") -> dict[str, Any]:
    """Return {claims, findings, checks, decided, on_imported, wrong_by_chance_at_most} of verdicts.

    Each claim is its row of `here`, with the value and verdict from its row of `paper`; `findings`
    and `checks` are {verdict: how many}.
    """
    from benchpaper.analysis.claims import by_chance, of_kind, on_imported

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
    return {
        "claims": rows,
        "findings": dict(Counter(row.verdict for row in of_kind(here, "finding"))),
        "checks": dict(Counter(row.verdict for row in of_kind(here, "check"))),
        "decided": decided,
        "on_imported": on_imported(here),
        "wrong_by_chance_at_most": round(wrong, 3),
    }


def show_verdicts(judged: dict[str, Any]) -> None:
    """Print what `verdicts` returned, together with {site, source, reference_site}."""
    console = output.console()
    words = (word for row in judged["claims"] for word in row["verdict"].split())
    columns: dict[str, dict[str, Any]] = {
        "claim": {"ratio": 8},
        "in the paper": {"ratio": 4},
        "here": {"ratio": 4},
        "verdict": {"width": max(max(map(len, words), default=0), 12)},
        "why": {"ratio": 7},
    }
    is_reference = (judged["source"], judged["site"]) == (REFERENCE, judged["reference_site"])
    if is_reference:
        del columns["here"]  # the values here are those in the paper
    for kind in ("finding", "check"):
        chosen = [row for row in judged["claims"] if row["kind"] == kind]
        if chosen:
            console.print(f"{kind}s: {_counted(judged[f'{kind}s'])}", style="bold", highlight=False)
            rows = _verdict_rows(chosen, is_reference)
            show_table(console, columns, rows, box=HORIZONTALS, show_lines=True, expand=True)
    count = judged["on_imported"]
    others = f"{count} of them were decided on imported results; " if count else ""
    console.print(
        f"{judged['decided']} of {len(judged['claims'])} claims have an interval; "
        f"{others}by chance alone at most {judged['wrong_by_chance_at_most']:g} of these verdicts "
        "are wrong on average (--family-wise bounds the chance of any)",
        highlight=False,
    )


def _counted(verdicts: dict[str, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items())


def _verdict_rows(claims: "Sequence[dict[str, Any]]", is_reference: bool) -> list[list[str | Text]]:
    """Return the cells of claims; on the reference itself without the values here."""
    rows: list[list[str | Text]] = []
    for row in claims:
        verdict = Text(row["verdict"], style=COLOURS.get(row["verdict"], "cyan"))
        claim = f"{row['id']}  {row['sentence']}" + (f"\n({row['asked']})" if row["asked"] else "")
        more = row["blocks_for_5_percent"]
        why = row["why"] + (f"; ±5 % takes about {more} blocks" if more and more > row["n"] else "")
        here = [] if is_reference else [Text(row["text"] or "-")]
        rows.append([Text(claim), Text(row["paper"] or "-"), *here, verdict, Text(why)])
    return rows

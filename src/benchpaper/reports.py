"""What `list`, `doctor` and `plan` tell: each as plain data, and as text to read."""

import os
from collections import Counter

from rich.box import HORIZONTALS
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from benchpaper import environment, lock, output, pilot
from benchpaper.commands import each
from benchpaper.hosts import probe
from benchpaper.hosts.site import assign
from benchpaper.pipeline import changed_since_reference, reference_seconds
from benchpaper.project import REFERENCE


NARROW = 80  # columns: with fewer, a table becomes a list
PLAIN = {"box": None, "padding": (0, 2, 0, 0)}


def duration(seconds):
    """Return seconds as `45 s`, `12 min` or `2 h 05 min`."""
    seconds = round(seconds)
    if seconds < 90:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def told_change(changed):
    """Return the warning that an experiment is no longer the one that the reference results come from."""
    return f"changed since the reference was measured: {', '.join(changed)}; the reference shows the code as it was"


def experiment(loaded):
    """Return {name, title, question, roles, needs} of a loaded experiment."""
    needs = sorted({need for cell in loaded.cells("full") for need in loaded.capabilities(cell)})
    about = {"title": loaded.title, "question": loaded.question, "roles": list(loaded.roles)}
    return {"name": loaded.name, **about, "needs": needs}


def show_experiments(found):
    if not found:
        print("there are no experiments yet; benchpaper new FAMILY/NAME writes one")
    for item in found:
        print(f"{item['name']}  {item['title']}")
        print(f"    {item['question']}")
        print(f"    roles: {', '.join(item['roles'])}; cells need: {', '.join(item['needs']) or 'nothing special'}\n")


def diagnosis(run):
    """Return ({site, hosts, capabilities, experiments, notes}, mistakes): what the site's hosts are and can do, and per
    experiment how many cells run, and for each missing capability which cells wait for it; and what is wrong with those
    experiments that cannot be loaded."""
    capabilities = {
        name: {**found, "meaning": probe.CAPABILITIES[name].meaning, "remedy": probe.CAPABILITIES[name].remedy}
        for name, found in run.probed["capabilities"].items()
    }
    found, mistakes = each(run.available, lambda name: (name, _runnable(run, name)))
    hosts = [_host(run, host) for host in run.site["hosts"]]
    return {
        "site": run.site_name, "hosts": hosts, "capabilities": capabilities, "experiments": dict(found),
        "notes": _notes(),
    }, mistakes  # fmt: skip


def _notes():
    """Return what in the environment of this command a reader should know of; names, never values."""
    notes = []
    if names := environment.set_aside():
        notes.append(f"ignored in the environment: {', '.join(names)}; no trial, notebook or typesetting sees them")
    if os.environ.get(lock.FOLDER):
        notes.append(f"{lock.FOLDER} is set: a run here does not wait for other measurements on this machine")
    return notes


def _host(run, host):
    """Return a host's name, roles and facts, and of a remote one its clock and its own capabilities."""
    about = run.probed.get("hosts", {}).get(host["name"])
    found = {"name": host["name"], "roles": host["roles"], **(about or run.probed)["facts"]}
    if about:
        found["has"] = {name: one["present"] for name, one in about["capabilities"].items()}
        if about["clock"]:
            found["clock_offset_s"], found["clock_offset_error_s"] = about["clock"]
    return found


def _runnable(run, name):
    experiment = run.experiment(name)
    cells = experiment.cells("full")
    found = run.capabilities(name)
    present = run.present(name)
    waiting = Counter()
    for cell in cells:
        for need in experiment.capabilities(cell):
            probe.known(need)  # a name nobody probes is the experiment's mistake
            if need not in present:
                waiting[need] += 1
    runnable = sum(present.issuperset(experiment.capabilities(cell)) for cell in cells)
    roles = {role: host["name"] for role, host in assign(run.site, experiment.roles).items()}
    # What no trial of the reference has measured was never executed by the authors; without a reference, nothing was.
    measured = reference_seconds(run.project, name)
    unexecuted = [cell.id for cell in cells if cell.id not in measured]
    return {
        "cells": len(cells), "runnable": runnable, "waiting_for": dict(waiting), "roles": roles,
        "missing": {need: found[need]["detail"] for need in waiting},
        "never_executed_by_the_authors": unexecuted,
        "changed_since_reference": changed_since_reference(run.project, name, run.site_name),
    }  # fmt: skip


def _show_table(console, columns, rows, **look):
    """Print rows of cells below their columns, {name: options of `Table.add_column`}. On a narrow terminal each row
    becomes a few lines instead: its first cell, and below it the others by name."""
    if console.width >= NARROW:
        table = Table(pad_edge=False, **look)
        for name, options in columns.items():
            table.add_column(name, **{"overflow": "fold", **options})  # a name is never cut
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    for first, *others in rows:
        console.print(first, style="bold")
        for name, cell in zip(list(columns)[1:], others):
            if str(cell) not in ("", "-"):
                text = cell if isinstance(cell, Text) else Text.from_markup(cell)
                console.print(Padding(Text.assemble(f"{name}: " if name else "", text), (0, 0, 0, 2), expand=False))
        if look.get("show_lines"):
            console.print()


def show_diagnosis(found):
    console = output.console()
    remote = [host for host in found["hosts"] if "has" in host]
    if remote:
        _show_side_by_side(console, found["hosts"], found["site"])
    else:
        for host in found["hosts"]:
            console.print(f"[bold]{host['name']}[/] ({', '.join(host['roles'])}) of site {found['site']}")
            facts = {key: value for key, value in host.items() if key not in ("name", "roles")}
            told = "; ".join(f"{key} {value}" for key, value in facts.items())
            console.print(f"  {told}", highlight=False, markup=False)
    here = "here" if remote else ""
    columns = ("capability", here, *(host["name"] for host in remote), "meaning", "found here, or the remedy")
    rows = []
    for name, item in found["capabilities"].items():
        there = [_mark(host["has"].get(name, False)) for host in remote]
        last = item["detail"] if item["present"] and all(host["has"].get(name) for host in remote) else item["remedy"]
        rows.append((name, _mark(item["present"]), *there, Text(item["meaning"]), Text(last)))
    _show_table(console, dict.fromkeys(columns, {}), rows, **PLAIN)
    for note in found["notes"]:
        console.print(note, highlight=False, markup=False)
    for name, item in found["experiments"].items():
        roles = ", ".join(f"{role} on {host}" for role, host in item["roles"].items())
        console.print(f"[bold]{name}[/]: {item['runnable']} of {item['cells']} cells can run here ({roles})")
        for need, count in item["waiting_for"].items():
            remedy = found["capabilities"][need]["remedy"]
            where = f" ({item['missing'][need]})" if remote else ""
            console.print(f"  {count} cells wait for {need}{where}: {remedy}", highlight=False, markup=False)
        if changed := item["changed_since_reference"]:
            console.print(f"  {told_change(changed)}", highlight=False, markup=False)
        if unexecuted := item["never_executed_by_the_authors"]:
            console.print(
                f"  {len(unexecuted)} cells are not in the reference: their code has never been executed by the "
                f"authors (for one: {unexecuted[0]})", highlight=False,
            )  # fmt: skip


def _mark(present):
    return "[green]yes[/]" if present else "[yellow]no[/]"


def _show_side_by_side(console, hosts, site):
    """A column per host: its facts, and how far its clock is ahead of ours."""
    console.print(f"site {site}", style="italic", highlight=False)
    rows, hidden = [], ("name", "has", "clock_offset_s", "clock_offset_error_s")
    for key in dict.fromkeys(key for host in hosts for key in host if key not in hidden):
        values = [host.get(key, "") for host in hosts]
        rows.append((key, *(Text(", ".join(value) if isinstance(value, list) else str(value)) for value in values)))
    rows.append(("clock ahead of ours", *map(_clock, hosts)))
    _show_table(console, dict.fromkeys(("", *(host["name"] for host in hosts)), {}), rows, **PLAIN)


def _clock(host):
    if "clock_offset_s" not in host:
        return "it is ours"
    return f"{host['clock_offset_s'] * 1e3:+.2f} ms ± {host['clock_offset_error_s'] * 1e3:.2f} ms"


def plan(run, name, with_trials=False):
    """Return an experiment's plan as plain data; with every trial in its order when asked."""
    made = run.plan(name)
    about = {
        "experiment": name, "site": run.site_name, "scale": made.scale, "seed": made.seed, "digest": made.digest,
        "cells": len(made.blocks[0]), "blocks": len(made.blocks), "trials": len(made.trials),
        "seconds": round(made.seconds, 1), "disk_mb": made.disk_mb,
        "pilot": made.pilot, "blocks_fixed": run.blocks_fixed(name), "again": run.again(name),
    }  # fmt: skip
    if with_trials:
        about["order"] = [
            {"block": t.block, "position": t.position, "cell": t.cell.id, "seed": t.seed} for t in made.trials
        ]
    return about


def told_again(again):
    """Return why blocks are measured again, as one line."""
    return f"{again['blocks']} blocks that were measured before are measured again: {'; '.join(again['why'])}"


def show_plans(found):
    for item in found:
        print(
            f"{item['experiment']} at scale {item['scale']} on site {item['site']}: {item['cells']} cells x "
            f"{item['blocks']} blocks = {item['trials']} trials, about {duration(item['seconds'])}, up to "
            f"{item['disk_mb']:g} MB of disk; seed {item['seed']}, plan {item['digest'][:12]}"
        )
        if item["blocks_fixed"]:
            print(f"  {pilot.told(item['blocks_fixed'])}")
        elif item["pilot"]:
            command = f"benchpaper pilot {item['experiment']} --scale {item['scale']}"
            print(f"  these are the pilot; {command} measures it, and fixes how many blocks follow")
        if item["again"]:
            print(f"  {told_again(item['again'])}")
        for trial in item.get("order", []):
            print(f"  block {trial['block']:3d}  {trial['position']:4d}  {trial['cell']}")
    if len(found) > 1:
        trials, seconds = (sum(item[key] for item in found) for key in ("trials", "seconds"))
        print(f"in all {len(found)} experiments: {trials} trials, about {duration(seconds)}")


def verdicts(here, paper):
    """Return {claims: rows with the paper's value beside this site's, by_chance} of judged claims."""
    from benchpaper.claims import by_chance

    papers = {row["id"]: row for row in paper}
    rows = [{**row, "paper": papers[row["id"]]["text"], "paper_verdict": papers[row["id"]]["verdict"]} for row in here]
    decided, wrong = by_chance(here)
    return {"claims": rows, "decided": decided, "wrong_by_chance_at_most": round(wrong, 3)}


def show_verdicts(found):
    console = output.console()
    colours = {"reproduced": "green", "contradicted": "red", "inconclusive": "yellow"}
    width = max((len(word) for row in found["claims"] for word in row["verdict"].split()), default=0)
    columns = {
        "claim": {"ratio": 8}, "in the paper": {"ratio": 4}, "here": {"ratio": 4}, "verdict": {"width": max(width, 12)},
        "why": {"ratio": 7},
    }  # fmt: skip
    rows = []
    for row in found["claims"]:
        verdict = Text(row["verdict"], style=colours.get(row["verdict"], "cyan"))
        claim = f"{row['id']}  {row['sentence']}" + (f"\n({row['asked']})" if row["asked"] else "")
        more = row["blocks_for_5_percent"]
        why = row["why"] + (f"; ±5 % takes about {more} blocks" if more and more > row["n"] else "")
        rows.append([Text(claim), Text(row["paper"] or "-"), Text(row["text"] or "-"), verdict, Text(why)])
    if (found["source"], found["site"]) == (REFERENCE, found["reference_site"]):  # nothing was measured here
        del columns["here"]
        rows = [[claim, paper, *rest] for claim, paper, _, *rest in rows]
    _show_table(console, columns, rows, box=HORIZONTALS, show_lines=True, expand=True)
    console.print(
        f"{found['decided']} of {len(found['claims'])} claims have an interval; by chance alone at most "
        f"{found['wrong_by_chance_at_most']:g} of these verdicts are wrong on average (--family-wise bounds the chance "
        "of any)",
        highlight=False,
    )

"""The diagnosis of `doctor` as text: the hosts, their capabilities, and what can be measured."""

from typing import Any

from rich.console import Console
from rich.text import Text

from benchpaper.cli.tables import PLAIN, show_table
from benchpaper.core import output
from benchpaper.workflow.summary import describe_change

CLOCK = ("clock_offset_s", "clock_offset_error_s")


def show_diagnosis(diagnosis: dict[str, Any]) -> None:
    """Print the first part of what `views.diagnosis` returned."""
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
            need: (f" ({item['missing'][need]})" if remote or ":" in need else "")
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
        # Python packages, say, need to be on this machine only, which sends them.
        hosts = [] if item["on_controller"] else remote
        there = [host["has"].get(name, False) for host in hosts]
        last = item["detail"] if item["present"] and all(there) else item["remedy"]
        marks = map(_mark, there) if hosts else ["-"] * len(remote)
        rows.append((name, _mark(item["present"]), *marks, Text(item["meaning"]), Text(last)))
    show_table(console, {column: {} for column in columns}, rows, **PLAIN)


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
    if emulated := item["executed_in_emulation"]:
        cell, run = max(emulated.items(), key=lambda pair: pair[1]["when"])
        versions = ", ".join(f"{tool} {version}" for tool, version in run["versions"].items())
        text = (
            f"  {len(emulated)} cells are not in the reference, but others ran their code in "
            f"emulated machines, last on {run['when']} ({versions}): it moves the right bytes, and "
            f"its times are unknown (for one: {cell}, by {run['as']})"
        )
        console.print(text, highlight=False, markup=False)


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
    show_table(console, columns, rows, **PLAIN)


def _clock(host: dict[str, Any]) -> str:
    if "clock_offset_s" not in host:
        return "it is ours"
    return f"{host['clock_offset_s'] * 1e3:+.2f} ms ± {host['clock_offset_error_s'] * 1e3:.2f} ms"

"""`benchpaper accept-change`: results stay valid although their code changed, for a stated reason.

Only code may have changed. Everything else that results record and trials depend on is compared,
and the first difference refuses the change.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from benchpaper import results
from benchpaper.analysis.changes import changed_inputs, changed_since
from benchpaper.artifact.importing import plain
from benchpaper.core import lock
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE
from benchpaper.design import catalog
from benchpaper.design.checks import check_text
from benchpaper.design.inputs import UNDECLARED
from benchpaper.measure.provenance import is_environment
from benchpaper.results import accepted
from benchpaper.results.accepted import AcceptedChange
from benchpaper.workflow import reasons
from benchpaper.workflow.pipeline import Pipeline

DECLARED = {  # parts of a description, and what of each decides about the meaning of results
    "factors": ("name", "levels", "unit"),
    "metrics": ("name", "unit", "better", "kept", "minimum", "optional"),
    "evidence": ("name",),
}


def accept(run: Pipeline, name: str, why: str) -> list[AcceptedChange]:
    """Record that the change of an experiment's code alters nothing that was measured.

    Returns the changes, which now stand next to the results of the pipeline's source. Raises
    `UserError` without a reason, for results that are not stale, and if anything but code changed.
    """
    if not (why := " ".join(why.split())):
        raise UserError('a change is accepted for a reason only; give it: --why "renamed a helper"')
    check_text("--why", why)
    with lock.held(run.project.state / "run.lock", f"benchpaper accept-change {name}"):
        return _accept(run, name, why)


def _accept(run: Pipeline, name: str, why: str) -> list[AcceptedChange]:
    folder = run.folder / name
    if not folder.exists():
        raise UserError(f"{name}: there are no {run.source} results of it; measure first")
    stale = _stale_reference(run, name) if run.source == REFERENCE else _stale_blocks(run, name)
    now = catalog.source_digests(run.project, name)
    when = datetime.now(UTC).isoformat(timespec="seconds")
    changes = [
        AcceptedChange(code, catalog.combined(now), _files(then, now), why, when)
        for code, then in stale.items()
    ]
    accepted.add(folder, changes)
    return changes


def _files(then: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {path: (then.get(path, ""), now.get(path, "")) for path in catalog.differing(then, now)}


def _refuse(name: str, differences: Sequence[str]) -> None:
    if differences:
        raise UserError(
            f"{name}: more than code changed ({'; '.join(differences)}), "
            "so the results cannot stay; measure again"
        )


def _not_stale(name: str) -> UserError:
    return UserError(f"{name}: its code is the one that was measured; there is nothing to accept")


def _stale_blocks(run: Pipeline, name: str) -> dict[str, dict[str, str]]:
    """Return {code digest: sources} of the blocks that would be measured again for their code."""
    stale: dict[str, dict[str, str]] = {}
    for block in run.blocks(name):
        if then := block.before():
            others = {**then, "sources": block.depends["sources"]}
            if others != plain(block.depends):
                _refuse(name, reasons.reasons(others, block.depends))
            stale[catalog.combined(then["sources"])] = then["sources"]
    if not stale:
        raise _not_stale(name)
    return stale


def _stale_reference(run: Pipeline, name: str) -> dict[str, dict[str, str]]:
    """Return {code digest: sources} of the reference, if its code changed."""
    path = run.folder / name / results.TRIALS
    table, described = results.read(path)
    if not changed_since(run.project, name, path):
        raise _not_stale(name)
    _refuse(name, list(_differences(run, name, table, described)))
    commits = table.column("git_commit").unique().to_pylist()
    now = catalog.source_digests(run.project, name)
    then = catalog.as_digested_now(run.project, described.get("sources", {}), commits, now)
    return dict.fromkeys(table.column("code_digest").unique().to_pylist(), then)


def _differences(
    run: Pipeline, name: str, table: Any, described: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what differs between a reference and its experiment now, apart from the code."""
    experiment, scale = run.experiment(name), table.column("scale")[0].as_py()
    now = plain(experiment.describe())
    for part, fields in DECLARED.items():
        then = _chosen(described[part], fields)
        if then != _chosen(now[part], fields):
            yield f"its {part} differ"
    for part in ("twin", "null", "roles"):
        if part in described and described[part] != now[part]:
            yield f"its {part} differ"
    cells = {cell.id for cell in experiment.cells(scale)}
    if measured := cells ^ set(table.column("cell").to_pylist()):
        yield f'the cell "{min(measured)}" is new, or no longer exists'
    yield from _counted(experiment.scale(scale), table, described)
    tools = dict(table.column("tools")[0].as_py())
    known = {tool: version for tool, version in tools.items() if not tool.startswith(UNDECLARED)}
    named = {tool: version for tool, version in known.items() if not is_environment(tool)}
    yield from reasons.changed(named, experiment.tools())
    ran_in = {item["role"]: item["name"] for item in described.get(results.ENVIRONMENTS, ())}
    yield from reasons.environments(ran_in, experiment.environments.names)
    declared = {item.path: item.sha256 for item in experiment.inputs}
    used = {item["path"]: item["sha256"] for item in described.get(results.INPUTS, ())}
    other = [path for path in {**declared, **used} if not _same_input(path, declared, used)]
    changed = changed_inputs(run.project, run.site_name, described)
    yield from (f"input {path} changed" for path in sorted({*other, *changed}))


def _same_input(path: str, declared: Mapping[str, str], used: Mapping[str, str]) -> bool:
    """Return whether an input is declared, and was used, with the same digest if it has one."""
    return path in declared and path in used and declared[path] in ("", used[path])


def _counted(scale: Any, table: Any, described: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs in the numbers of a scale. Old results do not record its counts."""
    blocks = len(table.column("block").unique())
    if "blocks_fixed" not in described and blocks != (expected := scale.pilot or scale.blocks):
        yield f"blocks {blocks} -> {expected}"
    if "counts" in described:
        yield from reasons.changed(described["counts"], plain(scale.counts))


def _chosen(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> list[dict[str, Any]]:
    return [{field: row[field] for field in fields if field in row} for row in rows]


def show(changes: Sequence[AcceptedChange]) -> None:
    """Print what was accepted."""
    for change in changes:
        print(f"accepted: {change}")
        for path in change.files:
            print(f"  {path}")
    print(f"commit {accepted.FILE} together with the results")

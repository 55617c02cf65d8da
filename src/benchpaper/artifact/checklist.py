"""`benchpaper check`: what an artifact committee looks for, each point with its remedy.

`file_checks` and `paper_checks` hold the checks. Those of `BADGES` are fast, because they read only
files; the appendix lists them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from benchpaper.artifact.file_checks import (
    absolute_paths,
    citation,
    licence,
    lock,
    readme,
    small_files,
)
from benchpaper.artifact.metadata_checks import own_metadata
from benchpaper.artifact.paper_checks import (
    clean_clone,
    committed,
    linked_claims,
    trails,
    whole_experiments,
)
from benchpaper.artifact.paper_lint import (
    cited_floats,
    discussed_failures,
    few_numbers,
    legible_figures,
    small_tables,
)
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project

Check = Callable[[Project], Iterable[str]]
Outcome = tuple[str, list[str] | None]  # (the rule, its problems; None if it was not checked)

FILES: tuple[Check, ...] = (
    readme,
    licence,
    citation,
    own_metadata,
    lock,
    linked_claims,
    whole_experiments,
    absolute_paths,
    small_files,
)
PRINT: tuple[Check, ...] = (
    legible_figures,
    cited_floats,
    small_tables,
    few_numbers,
    discussed_failures,
)
ALL: tuple[Check, ...] = (*FILES, committed, trails, *PRINT)
SLOW: tuple[Check, ...] = (clean_clone,)
BADGES: dict[str, tuple[Check, ...]] = {
    "Available": (licence, citation),
    "Functional": (readme, lock, absolute_paths),
    "Reproduced": (linked_claims,),
}


def problems(project: Project, check: Check) -> list[str]:
    """Return the problems that a check finds; an error that stops the check is one of them."""
    try:
        return list(check(project))
    except UserError as error:
        return [str(error)]


def run(project: Project, slow: bool = True) -> list[Outcome]:
    """Return the outcome of all checks; slow checks run only if `slow`."""
    outcomes: list[Outcome] = [(rule(check), problems(project, check)) for check in ALL]
    for check in SLOW:
        outcomes.append((rule(check), problems(project, check) if slow else None))
    return outcomes


def badges(project: Project) -> list[dict[str, Any]]:
    """Return [{name, criteria: [(rule, first problem or empty)]}] for the appendix."""
    return [
        {"name": name, "criteria": [_criterion(project, check) for check in checks]}
        for name, checks in BADGES.items()
    ]


def _criterion(project: Project, check: Check) -> tuple[str, str]:
    problem = next(iter(problems(project, check)), "")
    return rule(check).rstrip("."), problem.split(";")[0]


def rule(check: Callable[..., Iterable[str]]) -> str:
    """Return the rule that a check checks: its docstring."""
    return " ".join((check.__doc__ or "").split())


def show(outcomes: Sequence[Outcome]) -> bool:
    """Print the outcome of each check; return whether no check found a problem."""
    for text, wrong in outcomes:
        if wrong is None:
            print(f"  --    {text} (not checked: leave out --fast)")
        for problem in wrong or []:
            print(f"  FAIL  {problem}")
        if wrong == []:
            print(f"  ok    {text}")
    return not any(wrong for _, wrong in outcomes)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as JSON: [{asked, problems}]."""
    return json.dumps([{"asked": text, "problems": wrong} for text, wrong in outcomes], indent=1)

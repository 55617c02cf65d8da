"""The claims that analysis/claims.py and analysis/claims_FAMILY.py register."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from benchpaper.analysis.claim_rows import FINDING, KINDS, Kind
from benchpaper.analysis.estimates import Results
from benchpaper.analysis.values import Comparison
from benchpaper.core.errors import UserError, one_of
from benchpaper.core.project import Project
from benchpaper.design import catalog

Compare: TypeAlias = Callable[[Results], Comparison]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Claim:
    """One claim: the `id` that the paper cites, and its `sentence`.

    The results of `experiment` decide it, by `compare(results)`. A finding could have come out
    otherwise, and `matters_to` says to whom it matters. A check is a theorem, a control, or a
    self-test of the harness. `after_trial_runs` admits that the authors saw data before they chose
    the bound, though no such data were committed.
    """

    id: str
    experiment: str
    sentence: str
    compare: Compare
    kind: Kind = FINDING
    matters_to: str = ""
    after_trial_runs: bool = False


_registered: list[Claim] = []


def claim(
    id: str,
    *,
    experiment: str,
    kind: Kind = FINDING,
    matters_to: str = "",
    after_trial_runs: bool = False,
) -> Callable[[F], F]:
    """Decorator: make a function of an experiment's `Results` the claim `id`.

    It returns a `Comparison`; its docstring is the sentence that the paper prints. `kind` is
    "finding", or "check" for what cannot come out otherwise unless something is broken. The other
    arguments are those of `Claim`. Raises `UserError` without a docstring, for an id that another
    claim has, and for an unknown kind.
    """

    def register(function: F) -> F:
        sentence = " ".join((function.__doc__ or "").split())
        if not sentence:
            raise UserError(f"claim {id}: needs a docstring, the sentence as the paper prints it")
        if any(other.id == id for other in _registered):
            raise UserError(f"claim {id} is made twice; each id belongs to one sentence")
        one_of(f"claim {id}: kind", kind, KINDS)
        _registered.append(
            Claim(id, experiment, sentence, function, kind, matters_to, after_trial_runs)
        )
        return function

    return register


def files(project: Project) -> list[Path]:
    """Return the files with claims: analysis/claims.py, then each analysis/claims_FAMILY.py."""
    return sorted([*project.analysis.glob("claims.py"), *project.analysis.glob("claims_*.py")])


def load_claims(project: Project) -> list[Claim]:
    """Return the claims of `files`, in order.

    Raises `UserError` when a file does not import, or a claim names an unknown experiment.
    """
    _registered.clear()
    for path in files(project):
        before, where = len(_registered), path.relative_to(project.root)
        try:
            _run(path)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{where} does not import: {type(error).__name__}: {error}") from error
        for new in _registered[before:]:
            one_of(f"{where}: claim {new.id}: experiment", new.experiment, catalog.names(project))
    return list(_registered)


def _run(path: Path) -> None:
    """Execute a Python file as a module that is not imported otherwise."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))

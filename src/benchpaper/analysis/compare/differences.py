"""Differences between two runs of an experiment before measuring: hosts, tools, code, and scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchpaper.analysis.estimates import Results
from benchpaper.core.project import Project
from benchpaper.design.catalog import as_digested_now, differing

FACTS = ("cpu", "cpus", "memory_gib", "kernel", "governor", "virtualised", "os", "nic", "disk")


@dataclass(frozen=True)
class Difference:
    """A fact and its texts on both sides."""

    what: str
    here: str
    reference: str


@dataclass(frozen=True)
class Differences:
    """Facts that differ, the names of the others, and source files that differ."""

    different: tuple[Difference, ...]
    same: tuple[str, ...]
    sources: tuple[str, ...]


def differences(project: Project, here: Results, reference: Results) -> Differences:
    """Return what differs between two runs: facts on hosts, tools, and code, and source files."""
    sides = [_facts(results) for results in (here, reference)]
    different: list[Difference] = []
    same: list[str] = []
    for what in dict.fromkeys(what for side in sides for what in side):
        left, right = (side.get(what, "-") for side in sides)
        if left == right:
            same.append(what)
        else:
            different.append(Difference(what, left, right))
    return Differences(tuple(different), tuple(same), _sources(project, here, reference))


def _sources(project: Project, here: Results, reference: Results) -> tuple[str, ...]:
    """Return the differing sources of the experiment; empty if a side did not record them."""
    sides = (here, reference)
    left, right = (results.described.get("sources", {}) for results in sides)
    commits = [list(results.trial_df["git_commit"].unique()) for results in sides]
    if not left or not right:
        return ()
    left = as_digested_now(project, left, commits[0], {})
    return tuple(differing(left, as_digested_now(project, right, commits[1], left)))


def _facts(results: Results) -> dict[str, str]:
    """Return {fact: text} of all that decides how fast a run is."""
    trial = results.trial_df.iloc[0]
    hosts, tools = dict(trial["hosts"]), dict(trial["tools"])
    roles = list(dict.fromkeys(key.split(".")[0] for key in hosts))
    by_fact = {
        fact: {role: hosts[f"{role}.{fact}"] for role in roles if f"{role}.{fact}" in hosts}
        for fact in FACTS
    }
    return {
        **{
            fact.replace("_gib", ""): _text(fact, by_role)
            for fact, by_role in by_fact.items()
            if by_role
        },
        **{f"version of {tool}": version for tool, version in sorted(tools.items())},
        "code": f"digest {trial['code_digest'][:12]}",
        "capabilities": ", ".join(trial["capabilities"]),
        "site": trial["site"],
        "scale": trial["scale"],
        "blocks": str(results.blocks),
    }


def _text(fact: str, by_role: Mapping[str, Any]) -> str:
    """Return one text if all roles agree, else the text of each role."""
    unit = " GiB" if fact.endswith("_gib") else ""
    texts = {role: f"{value}{unit}" for role, value in by_role.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{role} {text}" for role, text in texts.items())

"""The reasons to measure a block again: its dependencies now, compared with those of last time."""

from collections.abc import Iterator, Mapping
from typing import Any

from benchpaper.core.errors import first_few
from benchpaper.design.catalog import differing
from benchpaper.design.inputs import MISSING

Depends = dict[str, Any]  # see `Block.depends`


def reasons(then: Depends, now: Depends) -> list[str]:
    """Return a short text for each difference; those that a reader needs most come first."""
    return [
        *_machines(then["hosts"], now["hosts"]),
        *_facts(then["facts"], now["facts"]),
        *_files("", then["sources"], now["sources"]),
        *_files("input ", then.get("inputs", {}), now.get("inputs", {})),
        *_levels(then["levels"], now["levels"]),
        *changed(then["plan"], now["plan"], but="digest"),
        *changed(then["counts"], now["counts"]),
        *environments(then.get("environments", {}), now.get("environments", {})),
        *changed(then["tools"], now["tools"]),
        *_capabilities(set(then["capabilities"]), set(now["capabilities"])),
        *changed({"results schema": then["schema"]}, {"results schema": now["schema"]}),
    ] or ["its plan differs"]  # the same cells in another order


def levels_added(then: Depends, now: Depends) -> bool:
    """Return whether a factor has a level now that it did not have then."""
    return any(
        level not in then["levels"].get(factor, ())
        for factor, levels in now["levels"].items()
        for level in levels
    )


def elsewhere(then: Depends, now: Depends) -> bool:
    """Return whether another machine plays a role now."""
    return bool(list(_machines(then["hosts"], now["hosts"])))


def machine(facts: dict[str, dict[str, Any]]) -> str:
    """Return the facts by which people recognise a machine; by role, where the roles differ."""
    texts = {
        role: f"{host['cpu']}, {host['cpus']} CPUs, {host['memory_gib']} GiB"
        for role, host in facts.items()
    }
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{role}: {text}" for role, text in texts.items())


def _machines(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    moved = [role for role in now if role in then and then[role][1] != now[role][1]]
    if moved:
        yield "another machine" + (f" as {' and '.join(moved)}" if len(moved) < len(now) else "")


def _facts(then: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """Yield the changed facts of the hosts, with their roles unless all changed alike."""
    for fact in dict.fromkeys(fact for host in (*then.values(), *now.values()) for fact in host):
        before = {role: {fact: then.get(role, {}).get(fact, "none")} for role in now}
        texts = {
            role: changed(before[role], {fact: host.get(fact, "none")})
            for role, host in now.items()
        }
        changes = {role: text[0] for role, text in texts.items() if text}
        if len(changes) == len(now) and len(set(changes.values())) == 1:
            yield next(iter(changes.values()))
        else:
            yield from (f"{text} ({role})" for role, text in changes.items())


def changed(then: Mapping[str, Any], now: Mapping[str, Any], but: str = "") -> list[str]:
    """Return "name old -> new" of the changed values, `but` for one name."""
    names = [name for name in {**then, **now} if name != but and then.get(name) != now.get(name)]
    return [f"{name} {then.get(name, 'none')} -> {now.get(name, 'none')}" for name in names]


def environments(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return texts for the changed environments, {role: name}."""
    old, new = ({f"environment of {role}": e for role, e in names.items()} for names in (then, now))
    return changed(old, new)


def _files(what: str, then: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    """Yield a text for the files, called `what`, that changed, were added, or were removed."""
    kinds: dict[str, list[str]] = {"changed": [], "added": [], "removed": [], "missing": []}
    for path in differing(then, now):
        kind = "added" if path not in then else "removed" if path not in now else "changed"
        kinds["missing" if now.get(path) == MISSING else kind].append(path)
    for kind, paths in kinds.items():
        if paths:
            yield f"{what}{first_few(paths)} {kind}"


def _levels(then: dict[str, list[Any]], now: dict[str, list[Any]]) -> Iterator[str]:
    for factor in {**then, **now}:
        old, new = then.get(factor, []), now.get(factor, [])
        if added := [level for level in new if level not in old]:
            yield f"level {first_few(added)} of {factor} added"
        if removed := [level for level in old if level not in new]:
            yield f"level {first_few(removed)} of {factor} removed"


def _capabilities(then: set[str], now: set[str]) -> Iterator[str]:
    for kind, names in (("is there now", sorted(now - then)), ("is gone", sorted(then - now))):
        if names:
            yield f"{first_few(names)} {kind}"

"""Why a block is measured again: what its trials depend on now, beside what they depended on when it was measured."""

from collections.abc import Iterator

from benchpaper.design.catalog import differing

SHOWN = 3  # files, levels or tools of a kind that are named


def reasons(then: dict, now: dict) -> list[str]:
    """Return what differs between two of `Block.depends`, a short text each; the most telling comes first."""
    return [
        *_machines(then["hosts"], now["hosts"]),
        *_facts(then["facts"], now["facts"]),
        *_sources(then["sources"], now["sources"]),
        *_levels(then["levels"], now["levels"]),
        *_changed(then["plan"], now["plan"], but="digest"),
        *_changed(then["counts"], now["counts"]),
        *_changed(then["tools"], now["tools"]),
        *_capabilities(set(then["capabilities"]), set(now["capabilities"])),
        *_changed({"results schema": then["schema"]}, {"results schema": now["schema"]}),
    ] or ["its plan differs"]  # of the same cells, in another order


def elsewhere(then: dict, now: dict) -> bool:
    """Say whether a host that plays a role is another machine than then."""
    return bool(list(_machines(then["hosts"], now["hosts"])))


def machine(facts: dict) -> str:
    """Return the facts by which people know a machine, in words."""
    known = {
        role: f"{about['cpu']}, {about['cpus']} CPUs, {about['memory_gib']} GiB"
        for role, about in facts.items()
    }
    if len(set(known.values())) == 1:
        return next(iter(known.values()))
    return "; ".join(f"{role}: {text}" for role, text in known.items())


def _machines(then: dict, now: dict) -> Iterator[str]:
    moved = [role for role in now if role in then and then[role][1] != now[role][1]]
    if moved:
        yield "another machine" + (f" as {' and '.join(moved)}" if len(moved) < len(now) else "")


def _facts(then: dict, now: dict) -> Iterator[str]:
    """The roles are named where they did not all change alike."""
    for fact in dict.fromkeys(fact for about in (*then.values(), *now.values()) for fact in about):
        texts = {
            role: _changed(
                {fact: then.get(role, {}).get(fact, "none")}, {fact: now[role].get(fact, "none")}
            )
            for role in now
        }
        told = {role: text[0] for role, text in texts.items() if text}
        if len(told) == len(now) and len(set(told.values())) == 1:
            yield next(iter(told.values()))
        else:
            yield from (f"{text} ({role})" for role, text in told.items())


def _changed(then: dict, now: dict, but: str = "") -> list[str]:
    names = [name for name in {**then, **now} if name != but and then.get(name) != now.get(name)]
    return [f"{name} {then.get(name, 'none')} -> {now.get(name, 'none')}" for name in names]


def _sources(then: dict, now: dict) -> Iterator[str]:
    kinds = {"changed": [], "added": [], "removed": []}
    for path in differing(then, now):
        kinds[
            "changed" if path in then and path in now else "added" if path in now else "removed"
        ].append(path)
    for kind, paths in kinds.items():
        if paths:
            yield f"{_some(paths)} {kind}"


def _levels(then: dict, now: dict) -> Iterator[str]:
    for factor in {**then, **now}:
        old, new = then.get(factor, []), now.get(factor, [])
        for kind, levels in (
            ("added", [x for x in new if x not in old]),
            ("removed", [x for x in old if x not in new]),
        ):
            if levels:
                yield f"level {_some(levels)} of {factor} {kind}"


def _capabilities(then: set, now: set) -> Iterator[str]:
    for kind, names in (("is there now", sorted(now - then)), ("is gone", sorted(then - now))):
        if names:
            yield f"{_some(names)} {kind}"


def _some(items: list) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(map(str, items[:SHOWN])) + more

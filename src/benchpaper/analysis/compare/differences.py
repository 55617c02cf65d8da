"""What differs between two runs of an experiment before anything is measured: hosts, tools, code, and amount."""

from benchpaper.design.catalog import as_digested_now, differing

FACTS = ("cpu", "cpus", "memory_gib", "kernel", "governor", "virtualised", "os", "nic", "disk")


def differences(project, here, reference):
    """Return {"different": [{what, here, reference}], "same": [what], "sources": [files of the experiment that differ]}
    of two `Results`."""
    sides = [_facts(results) for results in (here, reference)]
    different, same = [], []
    for what in dict.fromkeys(what for side in sides for what in side):
        left, right = (side.get(what, "-") for side in sides)
        if left == right:
            same.append(what)
        else:
            different.append({"what": what, "here": left, "reference": right})
    return {"different": different, "same": same, "sources": _sources(project, here, reference)}


def _sources(project, here, reference):
    """Return the sources of the experiment that differ; none where a side did not record them."""
    sides = (here, reference)
    left, right = (results.described.get("sources", {}) for results in sides)
    commits = [list(results.trial_df["git_commit"].unique()) for results in sides]
    if not left or not right:
        return []
    left = as_digested_now(project, left, commits[0], {})
    return differing(left, as_digested_now(project, right, commits[1], left))


def _facts(results):
    """Return {what: text} of whatever decides how fast a run is."""
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


def _text(fact, by_role):
    """One text when all roles agree, else each role's."""
    unit = " GiB" if fact.endswith("_gib") else ""
    texts = {role: f"{value}{unit}" for role, value in by_role.items()}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{role} {text}" for role, text in texts.items())

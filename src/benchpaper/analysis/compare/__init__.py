"""This run beside the reference: per cell, per claim, by shape, and first of all what differs between the sites.

A cell is compared by the ratio of its levels, here over reference, from two independent sets of blocks (see
`stats.independent_ratio`), against the larger noise floor of the two runs. Nothing is said to differ without saying by
how much, and against which noise.
"""

from dataclasses import dataclass
from itertools import combinations
from math import expm1, log

import numpy as np

from benchpaper.analysis import claims, stats
from benchpaper.analysis.compare.differences import differences
from benchpaper.analysis.compare.ratios import names_of, ratio_row, shown_ratio, words
from benchpaper.analysis.values import Comparison, NotEnough, digits
from benchpaper.core.errors import UserError
from benchpaper.core.project import REFERENCE, slug


@dataclass(frozen=True)
class Pair:
    """The results of one experiment, `here` and of the `reference`, and what they have in common."""

    here: object
    reference: object

    @property
    def sides(self):
        return {"here": self.here, "in the reference": self.reference}

    @property
    def cells(self):
        """The ids of the cells that both runs planned, in declared order, without the twins."""
        others = set(self.reference.cells()["cell"])
        return [cell for cell in self.here.cells()["cell"] if cell in others]

    def only(self):
        """How many cells only one side planned: {"here": n, "in the reference": n}."""
        return {
            side: len(results.cells()) - len(self.cells) for side, results in self.sides.items()
        }


def compare(project, experiment, site, source, reference_site, metric=None):
    """Return everything that can be said of an experiment's run beside the reference, as plain data."""
    pair = pair_of(project, experiment, site, source, reference_site)
    chosen = pair.here.metric(metric) if metric else pair.here.telling
    check_alike(pair, chosen["name"])
    rows = cells(pair, chosen)
    return {
        "experiment": experiment,
        "here": pair.here.source,
        "reference": pair.reference.source,
        "sites": differences(project, pair.here, pair.reference),
        "factors": pair.here.described["factors"],
        "metric": chosen["name"],
        "unit": chosen["unit"],
        "better": chosen["better"],
        "names": names_of(chosen),
        "noise": noise(pair, chosen["name"]),
        "common": len(pair.cells),
        "only": pair.only(),
        "cells": rows,
        "words": words(rows),
        "shapes": [shape(pair, one) for one in directed(pair)],
        "crossovers": crossovers(pair, chosen["name"]),
        "claims": claim_rows(project, pair, site, source, reference_site),
    }


def pair_of(project, experiment, site, source, reference_site):
    """Return the `Pair` of an experiment. Raises `UserError` naming the side that has no results of it."""
    if (site, source) == (reference_site, REFERENCE):
        raise UserError(
            "the reference cannot be compared with itself; measure first (./reproduce), or name another --reference-site"
        )
    found = {}
    for side, place in (
        ("here", (site, source)),
        ("in the reference", (reference_site, REFERENCE)),
    ):
        found[side] = claims.results_of(project, experiment, *place)
        if found[side] is None:
            where = f'{side} (site "{place[0]}", {place[1]})'
            raise UserError(f"no results of {experiment} {where}, so there is nothing to compare")
    return Pair(*found.values())


def directed(pair):
    """The metrics with a direction that both sides have."""
    names = {metric["name"] for metric in pair.reference.described["metrics"]}
    return [
        m for m in pair.here.described["metrics"] if m["better"] != "neither" and m["name"] in names
    ]


def check_alike(pair, metric):
    """Raise `UserError`, naming both sides, when the experiment has other factors or another such metric there."""
    factors, metrics = {}, {}
    for side, results in pair.sides.items():
        factors[side] = {
            f"{f['name']} ({f['unit']})" if f["unit"] else f["name"]
            for f in results.described["factors"]
        }
        known = {m["name"]: m for m in results.described["metrics"]}
        metrics[side] = (
            "{unit}, {better} is better, {kept} kept".format(**known[metric])
            if metric in known
            else "not declared"
        )
    for what, found in (("factors", factors), (f"metric {metric}", metrics)):
        here, reference = (
            ", ".join(sorted(x)) if isinstance(x, set) else x for x in found.values()
        )
        if here != reference:
            raise UserError(
                f"{pair.here.experiment}: {what} here: {here}; in the reference: {reference}; "
                "these cannot be compared: "
                "use the version of the experiment that the reference was measured with"
            )


# --- cells -----------------------------------------------------------------------------------


def noise(pair, metric, q=0.5):
    """Return the noise floors (relative: 0.05 is 5 %) of both sides, and {"delta": the larger, on the log scale, or
    None, "why": why there is none}."""
    found, why = {}, []
    for side, results in pair.sides.items():
        floor, reason = None, ""
        try:
            floor = results.floor(metric, q)
        except NotEnough as error:
            reason = str(error)
        else:
            reason = f"{floor.interval.n} blocks are too few" if floor.delta is None else ""
            reason = "two identical cells differ" if floor.biased else reason
        found[side] = floor.delta if floor and not reason else None
        why += [f"{side}: {reason}"] if reason else []
    delta = None if why else max(found.values())
    shown = {side: None if d is None else expm1(d) for side, d in found.items()}
    return {**shown, "delta": delta, "why": "; ".join(why)}


def cells(pair, metric):
    """Return a row (a dict) per common cell: its levels, the values on both sides, ratio, interval, word and text."""
    levels = {row["cell"]: row for row in pair.here.cells().to_dict("records")}
    floors, names = noise(pair, metric["name"]), names_of(metric)
    rows = []
    for cell in pair.cells:
        sides = [_values(results, metric["name"], cell) for results in pair.sides.values()]
        rows.append({**levels[cell], **ratio_row(*sides, floors, names)})
    return rows


def _values(results, metric, cell):
    """The cell's blocks (in the order of measuring), or a text that says why there are none."""
    estimate = results.of_cell(metric, cell)
    return estimate.missing if estimate.value is None else list(estimate.values)


# --- shape -----------------------------------------------------------------------------------


def shape(pair, metric):
    """Return Kendall's tau between the two sides' values of a metric over the cells that both have."""
    found = [series(pair, metric["name"], cell) for cell in pair.cells]
    levels = np.array(
        [
            [stats.median_interval(side.to_numpy()).estimate for side in both]
            for both in found
            if both
        ]
    )
    empty = {"metric": metric["name"], "cells": len(levels), "tau": None, "low": None, "high": None}
    try:
        tau = stats.rank_agreement(*(levels.T if len(levels) else ([], [])))
    except ValueError:
        return {
            **empty,
            "text": f"no ranks: {len(levels)} cells have a value on both sides, or all have the same",
        }
    interval = (
        f" [{digits(tau.low, tau.estimate)}, {digits(tau.high, tau.estimate)}]"
        if tau.decidable
        else ""
    )
    text = f"rank agreement {digits(tau.estimate)}{interval} over {tau.n} cells (1: the same order, 0: none, -1: reversed)"
    return {**empty, "tau": tau.estimate, "low": tau.low, "high": tau.high, "text": text}


def series(pair, metric, cell):
    """Return the cell's values by block, of both sides; None unless both have some."""
    try:
        both = [
            results.block_df(metric, cell).set_index("block")["value"]
            for results in pair.sides.values()
        ]
    except NotEnough:
        return None
    return both if all(map(len, both)) else None


def crossovers(pair, metric):
    """Return the pairs of cells whose order is decided on both sides, and opposite: [{cells, here, reference}]. A side
    decides by the ratio within its blocks, against its own noise floor."""
    floors = noise(pair, metric)
    if floors["delta"] is None:
        return []
    found = {cell: series(pair, metric, cell) for cell in pair.cells}
    found = {
        cell: both for cell, both in found.items() if both and min(side.min() for side in both) > 0
    }
    crossed = []
    for one, other in combinations(found, 2):
        ratios = [
            _ordered(a, b, floors[side]) for side, a, b in zip(pair.sides, found[one], found[other])
        ]
        if all(ratios) and (ratios[0].estimate > 1) != (ratios[1].estimate > 1):
            here, reference = map(shown_ratio, ratios)
            crossed.append({"cells": [one, other], "here": here, "reference": reference})
    return crossed


def _ordered(a, b, floor):
    """Return the ratio a/b within blocks when it is decided, else None."""
    both = a.index.intersection(b.index)
    if len(both) < stats.MIN_BLOCKS:
        return None
    ratio = stats.paired_ratio(a[both].to_numpy(), b[both].to_numpy())
    decided = not ratio.low <= 1 <= ratio.high and abs(log(ratio.estimate)) > log(1 + floor)
    return ratio if decided else None


# --- claims ----------------------------------------------------------------------------------


def claim_rows(project, pair, site, source, reference_site):
    """Return a row per claim of the experiment: its verdict on both sides, and the ratio of what it asks for."""
    places, name = ((site, source), (reference_site, REFERENCE)), pair.here.experiment
    judged = [claims.judge_all(project, *place, only=name) for place in places]
    rows = []
    for claim, here, reference in zip(
        [c for c in claims.load_claims(project) if c.experiment == name], *judged
    ):
        verdicts = {"verdict": here["verdict"], "verdict_in_reference": reference["verdict"]}
        both = {"id": claim.id, "sentence": claim.sentence, **verdicts}
        rows.append({**both, **_claim_ratio(claim, pair, here, reference)})
    return rows


def _claim_ratio(claim, pair, *rows):
    sides, comparison = [], None
    for results, row in zip(pair.sides.values(), rows):
        found = claims.compared(claim, results, "")
        comparison = found if isinstance(found, Comparison) else comparison
        sides.append(row["why"] if row["value"] is None else list(found.estimate.values))
    if comparison is None:
        return ratio_row(*sides, None, None)
    estimate = comparison.estimate
    return ratio_row(
        *sides, noise(pair, estimate.metric, estimate.q), ("larger", "smaller"), estimate.paired
    )


# --- telling it ------------------------------------------------------------------------------


def draw(project, found, site, source):
    """Draw the forest plot below the build folder; return the paths of PNG and PDF, none when nothing has a ratio."""
    from benchpaper.analysis.compare import forest

    figure = forest.draw(found)
    return (
        forest.save(figure, project.build(site, source) / "compare", slug(found["experiment"]))
        if figure
        else []
    )


def show_all(found):
    """Print comparisons, each with where its figure lies."""
    for one in found:
        show(one)
        print(
            f"  figure: {' and '.join(one['figures'])}"
            if one["figures"]
            else "  no figure: no cell has a ratio"
        )


def show(found):
    """Print a comparison: what differs between the sites first, then claims, shape, and the cells."""
    print(f"{found['experiment']}: {found['here']}, beside {found['reference']}")
    sites = found["sites"]
    print(
        "  what differs between the sites:"
        if sites["different"]
        else "  nothing is known to differ between the sites"
    )
    for row in sites["different"]:
        print(f"    {row['what']}: here {row['here']}; in the reference {row['reference']}")
    if sites["sources"]:
        print(f"    files of the experiment: {', '.join(sites['sources'])}")
    print(f"  the same on both: {', '.join(sites['same']) or 'nothing'}")
    for row in found["claims"]:
        print(
            f"  {row['id']}: here: {row['verdict']}; in the reference: {row['verdict_in_reference']}; {row['text']}"
        )
    for row in found["shapes"]:
        print(f"  {row['metric']}: {row['text']}")
    for row in found["crossovers"]:
        both = f"here {row['here']}, in the reference {row['reference']}"
        print(f"  crossover: {row['cells'][0]} over {row['cells'][1]}: {both}")
    _show_cells(found)


def _show_cells(found):
    only = "; ".join(f"{count} only {side}" for side, count in found["only"].items() if count)
    counts = ", ".join(f"{count} {word}" for word, count in found["words"].items())
    print(
        f"  {found['metric']} in the {found['common']} cells common to both{f' ({only})' if only else ''}: {counts}"
    )
    reasons = {}
    for row in found["cells"]:
        if row["ratio"] is None:
            reasons.setdefault(row["text"], []).append(row["cell"])
        else:
            print(f"    {row['cell']}: {row['text']}")
    for reason, which in reasons.items():
        print(f"    {len(which)} cells {reason}")
    judged = sum(row["low"] is not None for row in found["cells"])
    print(
        f"  of {judged} such words at most {judged * (1 - stats.CONFIDENCE):.1f} are wrong by chance, on average"
    )

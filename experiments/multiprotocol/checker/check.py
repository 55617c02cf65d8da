"""Check of a history, key by key: compiled if every value is written once, else by search.

Values that are written once are looked at first even where others repeat, because what they prove
needs no search.
"""

import math
import time
from dataclasses import dataclass, field

import numpy as np

from experiments.multiprotocol.checker import native, register, witness
from experiments.multiprotocol.checker.history import NOTHING
from experiments.multiprotocol.checker.search import (
    DEFAULT_BOUNDS,
    LINEARIZABLE,
    UNKNOWN,
    VIOLATION,
    Bounds,
)

MOMENT = 0.05  # s, given to each key's search while the total time allows it


@dataclass
class Verdict:
    """Verdict on one key (a number): one of the three words, and its witness if violated.

    `explain` sets the witness, a `witness.Witness`.
    """

    key: int
    word: str
    proof: list = field(default_factory=list)  # places of operations that matter
    certain: bool = False  # the violation is certain once the first of those completes
    witness: object = None


def check(history, bounds=DEFAULT_BOUNDS, library=None):
    """Return a `Verdict` for each key with operations, without witnesses (see `explain`)."""
    library = native.library() if library is None else library
    if not library:
        keys = np.unique(history.key[history.kind != NOTHING])
        verdicts = [Verdict(key, UNKNOWN) for key in keys.tolist()]
        _in_passes(verdicts, bounds, lambda *more: _search_in_python(history, bounds, *more))
        return verdicts
    grouped = native.check(library, history)
    verdicts = [
        Verdict(key, register.WORDS[grouped.verdict[key]], _named(grouped.proof[key]))
        for key in np.flatnonzero(np.diff(grouped.start)).tolist()
    ]
    _in_passes(verdicts, bounds, lambda *more: _search_natively(library, grouped, bounds, *more))
    return verdicts


def _in_passes(verdicts, bounds, search):
    """Decide the unknown of these `Verdict`s within `bounds.seconds`.

    The first pass gives each key a moment, so that many hard keys leave time for easy ones. The
    second gives each undecided key an equal share of the remaining time.
    """
    deadline = time.monotonic() + bounds.seconds
    most_each = MOMENT
    for _ in range(2):
        unknown = [verdict for verdict in verdicts if verdict.word == UNKNOWN]
        if not unknown or time.monotonic() > deadline:
            return
        most_each = max(most_each, bounds.seconds / (10 * len(unknown)))
        search(unknown, deadline, most_each)
        most_each = math.inf


def _search_natively(library, grouped, bounds, verdicts, deadline, most_each):
    keys = [verdict.key for verdict in verdicts]
    left = max(0.0, deadline - time.monotonic())
    results = native.search_keys(
        library, grouped, keys, left, most_each, bounds.configurations, register.BEAM
    )
    for verdict, word, proof, certain in zip(verdicts, *results, strict=True):
        verdict.word, verdict.certain = register.WORDS[word], bool(certain)
        verdict.proof = _named(proof)


def _search_in_python(history, bounds, verdicts, deadline, most_each):
    for number, verdict in enumerate(verdicts):
        left = deadline - time.monotonic()
        if left <= 0:
            return
        of_key = register.of(history, history.of_key(verdict.key)).possible()
        share = Bounds(min(most_each, left / (len(verdicts) - number)), bounds.configurations)
        decision = of_key.decide(share, library=False)
        verdict.word, verdict.certain = decision.word, decision.certain
        verdict.proof = of_key.place[decision.mattering].tolist()


def _named(proof):
    return [place for place in proof.tolist() if place >= 0]


def overall(verdicts):
    """Return the word for the whole history: a violation of any key violates the history."""
    words = {verdict.word for verdict in verdicts}
    return next((word for word in (VIOLATION, UNKNOWN) if word in words), LINEARIZABLE)


def explain(history, verdict, seconds=5.0, library=None):
    """Give the verdict of a violated key its witness, within about `seconds` seconds."""
    of_key = register.of(history, history.of_key(verdict.key))
    verdict.witness = witness.find(of_key, verdict.proof, verdict.certain, seconds, library)
    return verdict

"""Check of a history, key by key: compiled if every value is written once, else by search."""

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

NATIVE_VERDICTS = (LINEARIZABLE, VIOLATION, UNKNOWN)
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
    if library:
        word_of, proof, start, order = native.check(library, history)
        keys = np.flatnonzero(np.diff(start))
    else:
        keys = np.unique(history.key[history.kind != NOTHING])
    places_of = (lambda key: order[start[key] : start[key + 1]]) if library else history.of_key
    verdicts = [
        Verdict(key, NATIVE_VERDICTS[word_of[key]] if library else UNKNOWN) for key in keys.tolist()
    ]
    for verdict in verdicts:
        if verdict.word == VIOLATION:
            verdict.proof = [place for place in proof[verdict.key].tolist() if place >= 0]
    undecided = [verdict for verdict in verdicts if verdict.word == UNKNOWN]
    _search(undecided, lambda key: register.of(history, places_of(key)), bounds, library)
    return verdicts


def _search(undecided, register_of, bounds, library):
    """Decide these `Verdict`s by searches within `bounds.seconds`.

    The first pass gives each key a moment. The second gives each undecided key an equal share of
    the remaining time. After the deadline, the first pass still decides what takes no time, and the
    second pass stops.
    """
    deadline = time.monotonic() + bounds.seconds

    def decide(verdict, seconds):
        part = register_of(verdict.key)
        verdict.word, mattering = part.decide(Bounds(seconds, bounds.configurations), library)
        verdict.proof, verdict.certain = part.place[mattering].tolist(), bool(mattering)

    for number, verdict in enumerate(undecided):
        left = max(0.0, deadline - time.monotonic())
        share = left / (len(undecided) - number)
        decide(verdict, max(left / (10 * len(undecided)), min(MOMENT, share)))
    undecided = [verdict for verdict in undecided if verdict.word == UNKNOWN]
    for number, verdict in enumerate(undecided):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        decide(verdict, max(min(MOMENT, left), left / (len(undecided) - number)))


def overall(verdicts):
    """Return the word for the whole history: a violation of any key violates the history."""
    words = {verdict.word for verdict in verdicts}
    return next((word for word in (VIOLATION, UNKNOWN) if word in words), LINEARIZABLE)


def explain(history, verdict, seconds=5.0, library=None):
    """Give the verdict of a violated key its witness, within about `seconds` seconds."""
    of_key = register.of(history, history.of_key(verdict.key))
    verdict.witness = witness.find(of_key, verdict.proof, verdict.certain, seconds, library)
    return verdict

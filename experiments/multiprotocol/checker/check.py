"""Checks a history key by key: the compiled check where every value is written once, else the search."""

import time
from dataclasses import dataclass, field

import numpy as np

from experiments.multiprotocol.checker import native, witness
from experiments.multiprotocol.checker.history import NOTHING
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds, Operation, search

NATIVE_VERDICTS = (LINEARIZABLE, VIOLATION, None)


@dataclass
class Verdict:
    """What was found of one key (its number): one of the three words, and for a violation the `witness.Witness`."""

    key: int
    word: str
    proof: list = field(default_factory=list)
    witness: object = None


def check(history, bounds=Bounds(), library=None):
    """Return a `Verdict` for each key that anything was done to, without witnesses (see `explain`)."""
    library = native.library() if library is None else library
    if library:
        word_of, proof, start, order = native.check(library, history)
        keys = np.flatnonzero(np.diff(start))
    else:
        keys = np.unique(history.key[history.kind != NOTHING])
    deadline, verdicts = time.monotonic() + bounds.seconds, []
    for key in keys.tolist():
        word = NATIVE_VERDICTS[word_of[key]] if library else None
        found = Verdict(key, word)
        if word is None:
            left = Bounds(max(0.1, deadline - time.monotonic()), bounds.configurations)
            places = order[start[key] : start[key + 1]] if library else history.of_key(key)
            found.word, _ = search(operations(history, places), 0, left)
        elif word == VIOLATION:
            found.proof = [place for place in proof[key].tolist() if place >= 0]
        verdicts.append(found)
    return verdicts


def overall(verdicts):
    """Return the word for the whole history: a violation of one key is one of all."""
    words = {found.word for found in verdicts}
    return next((word for word in (VIOLATION, UNKNOWN) if word in words), LINEARIZABLE)


def explain(history, verdict, seconds=5.0):
    """Give the verdict of a violated key its witness, found within about so many seconds."""
    verdict.witness = witness.find(operations(history, history.of_key(verdict.key)), verdict.proof, seconds)
    return verdict


def operations(history, places):
    """Return the `Operation`s at these places of a history."""
    columns = [getattr(history, name)[places].tolist() for name in ("kind", "value", "set_to", "invoked", "completed")]
    return [Operation(*entry) for entry in zip(*columns, np.asarray(places).tolist())]

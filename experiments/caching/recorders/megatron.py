"""Which bytes Megatron's data loader reads, and in which order: our own implementation.

A corpus is one `.bin` file, the tokens of its documents one after the other, with an index of where
each begins. The published algorithm (Megatron-Core's `GPTDataset` and `BlendedDataset`) repeats
the documents for as many epochs as the samples need, shuffles them all together, cuts the result
into samples of `sequence` tokens, and shuffles the samples. A blend takes, at each step, from the
corpus that is furthest behind its weight.
"""

from dataclasses import dataclass

import numpy as np

TOKEN_BYTES = 2
LAST_EPOCH_SHARE = 0.8  # a last epoch of which less is needed is shuffled by itself


@dataclass(frozen=True)
class Order:
    """The samples of one corpus: which documents each covers, and the order in which they come.

    Sample s covers the documents `documents[begins[s, 0] : begins[s + 1, 0] + 1]`, from token
    `begins[s, 1]` of the first to token `begins[s + 1, 1]` of the last. `shuffled` lists samples.
    """

    documents: np.ndarray
    begins: np.ndarray
    shuffled: np.ndarray
    epochs: int


def order(lengths, samples, sequence, seed):
    """Return the `Order` of at least `samples` samples from documents of these lengths (tokens).

    Raises `ValueError` for a corpus without tokens.
    """
    lengths = np.asarray(lengths, np.int64)
    tokens = int(lengths.sum())
    if tokens == 0:
        raise ValueError("the corpus has no tokens; give documents of at least one token")
    epochs = max(1, -(-(samples * sequence + 1) // tokens))
    before_last = ((epochs - 1) * tokens - 1) // sequence if epochs > 1 else 0
    in_last = samples - before_last
    apart = epochs > 1 and in_last < int(LAST_EPOCH_SHARE * ((tokens - 1) // sequence))
    rng = np.random.RandomState(seed)
    documents = _documents(len(lengths), epochs, apart, rng)
    begins = _sample_begins(lengths[documents], sequence)
    total = len(begins) - 1
    parts = (before_last, total) if apart else (total,)
    shuffled = [np.arange(a, b) for a, b in zip((0, *parts), parts, strict=False)]
    for part in shuffled:
        rng.shuffle(part)
    return Order(documents, begins, np.concatenate(shuffled), epochs)


def _documents(count, epochs, apart, rng):
    """Return the documents of all epochs, shuffled together; the last by itself if `apart`."""
    parts = [epochs - 1, 1] if apart else [epochs]
    orders = [np.tile(np.arange(count, dtype=np.int32), part) for part in parts]
    for part in orders:
        rng.shuffle(part)
    return np.concatenate(orders)


def _sample_begins(lengths, sequence):
    """Return (place in the documents, token) where each sample begins, and the last ends."""
    ends = np.cumsum(lengths)
    samples = (int(ends[-1]) - 1) // sequence
    tokens = np.arange(samples + 1, dtype=np.int64) * sequence
    places = np.searchsorted(ends, tokens, side="right")
    return np.stack([places, tokens - (ends[places] - lengths[places])], axis=1)


def reads(chosen, lengths, sample):
    """Return [(offset, size)] in bytes of the reads of one sample: one for each of its documents.

    `lengths` are those of the corpus's documents, in tokens. A sample reads one token more than its
    length, the label of its last token.
    """
    starts = np.cumsum(lengths) - lengths
    (first, begin), (last, end) = chosen.begins[sample], chosen.begins[sample + 1]
    pieces = []
    for place in range(first, last + 1):
        document = chosen.documents[place]
        start = begin if place == first else 0
        stop = end + 1 if place == last else lengths[document]
        if stop > start:
            offset = int(starts[document] + start) * TOKEN_BYTES
            pieces.append((offset, int(stop - start) * TOKEN_BYTES))
    return pieces


def blend(weights, samples):
    """Return (corpus, sample of it) of each step of a blend, two int arrays."""
    weights = np.asarray(weights, np.float64) / np.sum(weights)
    taken = np.zeros(len(weights), np.int64)
    corpora, indices = np.empty(samples, np.int64), np.empty(samples, np.int64)
    for step in range(samples):
        chosen = int(np.argmax(weights * max(step, 1) - taken))
        corpora[step], indices[step] = chosen, taken[chosen]
        taken[chosen] += 1
    return corpora, indices

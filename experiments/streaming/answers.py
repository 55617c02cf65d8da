"""The correct answers of the pipelines, computed independently of them."""

import numpy as np

A, C, MODULUS = 6364136223846793005, 1442695040888963407, 1 << 64


def steps(k):
    """Return (a, c): x -> a x + c is k steps of the generator x -> A x + C (modulo 2^64)."""
    a, c, base_a, base_c = 1, 0, A, C
    while k:
        if k & 1:
            a, c = a * base_a % MODULUS, (c * base_a + base_c) % MODULUS
        base_a, base_c = base_a * base_a % MODULUS, (base_c * base_a + base_c) % MODULUS
        k >>= 1
    return a, c


def boundaries(events, total_steps):
    """Return (count, sum modulo 2^64) of the even results of streaming/boundaries.

    The pipeline takes `total_steps` steps from each number below `events`. A and C are odd, so each
    step flips the lowest bit, and every second number has an even result.
    """
    a, c = steps(total_steps)
    first = total_steps % 2
    count = (events - first + 1) // 2
    sum_of_numbers = count * first + count * (count - 1)
    return count, (a * sum_of_numbers + c * count) % MODULUS


def events(count, keys):
    """Return `count` events of streaming/engines as int64.

    The lowest eight bits are the key; the 24 bits above are the value.
    """
    numbers = np.arange(count, dtype=np.uint64) * np.uint64(A) + np.uint64(C)
    numbers ^= numbers >> np.uint64(29)
    return (numbers >> np.uint64(40) << np.uint64(8) | numbers % np.uint64(keys)).astype("<i8")


def aggregation(events, window):
    """Return (number of results, sum of their `mixed` bits modulo 2^64).

    Each result has the count and the sum of one key's events in one window of `window` events.
    """
    key, value = events & 255, events >> 8
    rows = checksum = 0
    for number in range(-(-len(events) // window)):
        part = slice(number * window, (number + 1) * window)
        counts = np.bincount(key[part], minlength=256)
        totals = np.zeros(256, dtype=np.int64)
        np.add.at(totals, key[part], value[part])
        for k in np.flatnonzero(counts):
            rows += 1
            checksum += mixed(number, int(k), int(counts[k]), int(totals[k]))
    return rows, checksum % MODULUS


def mixed(window, key, count, total):
    """Return a 64-bit hash of one result."""
    a, c = steps(3)
    return (a * (((window * 256 + key) * 1000003 + count) * 1000003 + total) + c) % MODULUS


LINES, BILLION_KEYS = 4096, 64


def billion(first, length):
    """Return (counts, sums) by key of the window of `length` events of streaming/billion.

    The window starts at event `first`. Event i is line i mod 4096 of a table. Line n has the key
    31 n mod 64 and the value 7919 n mod 100,000.
    """
    line = np.arange(LINES, dtype=np.int64)
    whole, rest = divmod(length, LINES)
    times = np.full(LINES, whole, dtype=np.int64)
    times[(first + np.arange(rest)) % LINES] += 1
    key, value = line * 31 % BILLION_KEYS, line * 7919 % 100_000
    counts = np.bincount(key, weights=times, minlength=BILLION_KEYS).astype(np.int64)
    totals = np.zeros(BILLION_KEYS, dtype=np.int64)
    np.add.at(totals, key, value * times)
    return counts, totals

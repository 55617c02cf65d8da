"""The checker keeps its time whatever the history, and decides what needs no search."""

import random
import time

import pytest
from histories import as_text, brute_force, random_history
from history_operations import LIBRARIES, cas, read, write

from experiments.multiprotocol.checker import native, reading
from experiments.multiprotocol.checker.check import check, explain, overall
from experiments.multiprotocol.checker.history import from_operations
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds


def history_of(operations):
    return from_operations(enumerate(operations, 1))


def pending_writes(count, values, reads, rng):
    """Return writes of few values without an outcome, then reads, one after the other."""
    return [write(number % values, number, None) for number in range(count)] + [
        read(rng.randrange(values), count + 2 * number, count + 2 * number + 1)
        for number in range(reads)
    ]


def concurrent_swaps(count, values, rng):
    """Return writes, compare-and-sets, and reads that all overlap their like."""
    pairs = [(rng.randrange(values), rng.randrange(values)) for _ in range(count)]
    return (
        [write(number % values, 0, 10**6 + number) for number in range(2 * count)]
        + [cas(*pair, True, 1, 2 * 10**6 + number) for number, pair in enumerate(pairs)]
        + [read(rng.randrange(values), 3 * 10**6, 4 * 10**6 + number) for number in range(count)]
    )


def failing_swaps(count, values, rng):
    """Return compare-and-sets that failed, under writes and others that take all the time."""
    return (
        [write(number % values, number, None) for number in range(count)]
        + [
            cas(rng.randrange(values), 0, False, count + 2 * n, count + 2 * n + 1)
            for n in range(count)
        ]
        + [cas(n % values, (n + 1) % values, True, count, 4 * count + n) for n in range(count)]
    )


NASTY = {
    "pending writes": lambda rng: pending_writes(20_000, 5, 20_000, rng),
    "pending writes of many values": lambda rng: pending_writes(20_000, 1000, 10_000, rng),
    "concurrent swaps": lambda rng: concurrent_swaps(300, 20, rng),
    "many concurrent swaps": lambda rng: concurrent_swaps(3000, 500, rng),
    "failing swaps": lambda rng: failing_swaps(3000, 10, rng),
    "many keys": lambda rng: [
        operation | {"key": key} for key in range(2000) for operation in concurrent_swaps(8, 6, rng)
    ],
}


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", NASTY)
def test_the_seconds_are_kept_whatever_the_history(kind, library):
    history = history_of(NASTY[kind](random.Random(2)))
    native.library()  # compiled before, if at all
    began = time.process_time()  # which other programs do not lengthen
    words = {verdict.word for verdict in check(history, Bounds(seconds=0.3), library=library)}
    assert time.process_time() - began < 2
    assert words <= {LINEARIZABLE, UNKNOWN, VIOLATION}


def test_the_seconds_are_kept_while_pending_swaps_are_left_out():
    count = 60_000
    history = history_of(
        [write(number, 0, None) for number in range(1, count)]
        + [cas(None, "many", None, 1, None) for _ in range(count)]
        + [cas("many", number, None, 2, None) for number in range(1, count)]
    )
    native.library()
    began = time.process_time()
    check(history, Bounds(seconds=0.3))
    assert time.process_time() - began < 1.5


def test_pending_writes_that_do_the_same_are_no_burden():
    rng = random.Random(2)
    history = history_of(pending_writes(50_000, 5, 100, rng))
    assert overall(check(history)) == LINEARIZABLE
    never = [write(number % 5, number, None) for number in range(50_000)]
    later = [write(7, 60_000, 60_001), write(7, 60_002, 60_003), read(9, 60_004, 60_005)]
    assert overall(check(history_of(never + later))) == VIOLATION


BURST = [write(value, value, 200 + value) for value in range(1, 20)] + [
    read(value, 20 + value, 200 + value) for value in range(1, 20)
]
PROVED = {
    "read again after another": [read(2, 600, 601), read(3, 602, 603)],
    "gone": [write(50, 600, 601), read(2, 602, 603)],
    "never written": [read(60, 600, 601)],
    "read before it was written": [read(51, 600, 601), write(51, 602, 603)],
    "two winners": [cas(2, 52, True, 10, 601), cas(2, 53, True, 10, 601)],
    "expects what was never there": [cas(99, 54, True, 10, 601)],
}


@pytest.mark.parametrize("wrong", PROVED)
@pytest.mark.parametrize(
    "repeated",
    [
        [write(1, 0, 200)],
        [write(1, 0, 200), cas(1, 1, True, 5, 300)],
        [write(None, 0, 200), write(1, 0, 200)],
        [cas(2, 1, False, 400, 401)],
        [cas(77, 1, "fail", 400, 401), write(1, 0, None)],
    ],
)
def test_what_values_written_once_prove_is_no_unknown(wrong, repeated):
    if not native.library():
        pytest.skip("without the compiled half, every history is searched")
    operations = BURST + repeated + PROVED[wrong]
    history = history_of(operations)
    [verdict] = check(history, Bounds(seconds=1e-9))
    assert verdict.word == VIOLATION
    shown = [operations[place] for place in explain(history, verdict).witness.places]
    assert len(shown) <= 5 and not brute_force([op for op in shown if op.get("result") != "fail"])


def test_histories_with_a_few_repeated_values_against_brute_force():
    rng, wrong = random.Random(7), 0
    for _ in range(3000):
        operations = random_history(
            rng, unique=True, deletes=rng.randint(0, 1), cas=rng.randint(0, 2), failing=False
        )
        old, new = rng.sample(range(1, 10), 2)
        for operation in operations:
            for name in ("value", "new", "expected", "result"):
                if operation.get(name) is not True and operation.get(name) == old:
                    operation[name] = new
        wanted = brute_force(operations)
        assert (overall(check(reading.parse(as_text(operations)))) == LINEARIZABLE) == wanted
        wrong += not wanted
    assert 300 < wrong < 2700


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("count", [10, 1000])
def test_what_can_never_have_happened_is_no_part_of_a_witness(count, library):
    """None of the compare-and-sets expects null, or what a possible one writes."""
    operations = [cas(n % 7, (3 * n + 1) % 7, None, n, None) for n in range(count)]
    operations += [write(8, 0, 1), write(8, 2, 3), read(4, count, count + 1)]
    history = history_of(operations)
    [verdict] = check(history, library=library)
    assert verdict.word == VIOLATION
    assert explain(history, verdict, library=library).witness.places == [count + 2]
    possible = history_of([cas(8, 0, None, 0, None), *operations])
    assert overall(check(possible, library=library)) == LINEARIZABLE


def test_a_witness_keeps_to_its_time():
    chain = [cas(n, n + 1, None, n, None) for n in range(20_000)] + [write(0, 0, 1)]
    chain += [read(19_999, 30_000, 30_001), read(10_000, 30_002, 30_003)]
    history = history_of(chain)
    [verdict] = check(history)
    began = time.process_time()
    explain(history, verdict, seconds=0.5)
    assert verdict.word == VIOLATION and time.process_time() - began < 3

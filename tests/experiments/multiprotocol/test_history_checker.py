"""The history checker against brute force, known answers and wrong histories."""

import random
import time
from collections import Counter

import pytest
from histories import as_text, brute_force, random_history
from history_operations import LIBRARIES, WRONG, cas, delete, read, simulated, write
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.multiprotocol.checker import native, reading
from experiments.multiprotocol.checker.check import check, explain, overall
from experiments.multiprotocol.checker.register import Decision, Register
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds


def word(operations, library=None):
    return overall(check(reading.parse(as_text(operations), library=library), library=library))


RIGHT = [
    [],
    [read(None, 0, 1)],
    [write(1, 0, 1), read(1, 2, 3)],
    [write(1, 0, 10), read(None, 1, 2), read(1, 3, 4)],
    [write(1, 0, None), read(1, 5, 6)],  # a pending write may have happened
    [write(1, 0, None), read(None, 5, 6)],  # or not
    [write(1, 0, 5), read(None, 5, 6)],  # at a tie they overlap
    [write(1, 0, 1), delete(2, 3), read(None, 4, 5)],
    [cas(None, 1, True, 0, 1), cas(1, 2, True, 2, 3), read(2, 4, 5)],
    [write(1, 0, 1), cas(2, 3, False, 2, 3), read(1, 4, 5)],
    [write(1, 0, 1), write(1, 2, 3), read(1, 4, 5)],  # values repeat
    [
        write(1, 0, 1),
        write(2, 2, 3, result=False),
        read(1, 4, 5),
    ],  # a write that failed changed nothing
    [write(1, 0, 1, result="info"), read(None, 2, 3), read(1, 4, 5)],  # unknown
    [write({"a": 1, "b": [2]}, 0, 1), read({"b": [2.0], "a": 1}, 2, 3)],
    [write(1, 0, 1), read(1.0, 2, 3)],  # one number
    [write("é", 0, 1), read("\u00e9", 2, 3)],
    [write(1, 0, 1), read(1, 2, None), read(7, 3, None)],  # reads without an answer
]


@pytest.mark.parametrize("library", LIBRARIES)
def test_right_histories(library):
    for operations in RIGHT:
        assert word(operations, library) == LINEARIZABLE, operations


@pytest.mark.parametrize("library", LIBRARIES)
def test_wrong_histories_and_the_size_of_their_witness(library):
    for operations, size in WRONG:
        history = reading.parse(as_text(operations), library=library)
        [verdict] = [v for v in check(history, library=library) if v.word == VIOLATION]
        explain(history, verdict)
        assert len(verdict.witness.places) == size and verdict.witness.irreducible, operations


def differing(seed, count):
    rng, wrong = random.Random(seed), 0
    for _ in range(count):
        kind = dict(
            unique=rng.random() < 0.7,
            deletes=rng.choice([0, 0, 1, 2]),
            cas=rng.choice([0, 0, 1, 2]),
            failing=rng.random() < 0.3,
        )
        operations_ = random_history(rng, **kind)
        wanted = brute_force(operations_)
        for library in (None, False):
            assert (word(operations_, library) == LINEARIZABLE) == wanted, as_text(
                operations_
            ).decode()
        wrong += not wanted
    return wrong


def test_against_brute_force():
    wrong = differing(seed=20261124, count=5000)
    assert 500 < wrong < 4500


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_witness_is_wrong_by_itself_and_irreducible(library):
    """No read or failed compare-and-set can be left out; a write goes only with its readers."""
    rng = random.Random(8)
    seen = 0
    while seen < 250:
        operations = random_history(
            rng, unique=rng.random() < 0.6, deletes=1, cas=1, failing=rng.random() < 0.5, size=9
        )
        history = reading.parse(as_text(operations))
        for verdict in check(history, library=library):
            if verdict.word == VIOLATION:
                witness = explain(history, verdict, library=library).witness
                shown = [operations[place] for place in witness.places]
                assert shown and witness.irreducible and not brute_force(shown), operations
                for operation in shown:
                    if operation["op"] == "read" or (
                        operation["op"] == "cas" and operation.get("result") is False
                    ):
                        assert brute_force([o for o in shown if o is not operation]), (
                            operations,
                            operation,
                        )
                seen += 1


def crowded(rng, count, clients, values):
    """Return a correct history of one key: few values, failed compare-and-sets, unknown results."""
    operations = simulated(rng, count, clients, 1, failing=True, deletes=True)
    state, names = None, [rng.randrange(values) for _ in range(count + 1)]
    for operation in operations:  # in the order in which they happened
        if operation["op"] == "read":
            operation["result"] = state
            continue
        new = names[operation.get("value", operation.get("new", 0)) or 0]
        lost = (
            rng.random() < 0.05
            and operation.update(completed_ns=None) is None
            and rng.random() < 0.5
        )
        if operation["op"] == "cas":
            operation.update(new=new, expected=rng.choice([state, rng.randrange(values)]))
            operation["result"] = operation["expected"] == state
            if not operation["result"] or lost:
                continue
        elif lost:
            continue
        elif operation["op"] == "write":
            operation["value"] = new
        state = None if operation["op"] == "delete" else new
        operation["value" if operation["op"] == "write" else "new"] = new
    return operations


def test_crowded_histories_of_repeated_values_against_brute_force():
    rng, words = random.Random(5), []
    for number in range(400):
        operations = crowded(rng, rng.randint(10, 30), rng.randint(2, 6), rng.choice([1, 2, 3, 20]))
        if number % 2:
            answered = [o for o in operations if o["completed_ns"] is not None]
            changed = rng.choice([*answered, read(0, 5, 9)])
            changed["result"] = rng.choice([0, None, False][changed["op"] != "read" :])
            operations = [
                o
                for o in operations
                if o["op"] != "cas" or o["completed_ns"] is None or isinstance(o["result"], bool)
            ]
        wanted = LINEARIZABLE if brute_force(operations) else VIOLATION
        assert wanted == LINEARIZABLE or number % 2
        assert word(operations) == word(operations, False) == wanted, as_text(operations).decode()
        words.append(wanted)
    assert 20 < words.count(VIOLATION) < 380


def test_large_crowded_histories_are_decided_and_their_witnesses_wrong():
    rng = random.Random(6)
    for clients in (5, 16):
        operations = crowded(rng, 800, clients, 20)
        assert word(operations) == LINEARIZABLE
        late = [o for o in operations if o["op"] == "read"][-1]
        late["result"] = "never written"
        history = reading.parse(as_text(operations))
        [verdict] = check(history)
        assert verdict.word == VIOLATION and [
            operations[p] for p in explain(history, verdict).witness.places
        ] == [late]


def test_what_a_compare_and_set_expected_is_left_out_where_it_does_not_matter():
    chain = [cas(n or None, n + 1, True, 10 * n, 10 * n + 1) for n in range(500)] + [
        cas(499, "other", True, 9000, 9001)
    ]
    history = reading.parse(as_text(chain))
    [verdict] = check(history)
    witness = explain(history, verdict).witness
    assert len(witness.places) <= 3 and witness.irreducible and witness.relaxed
    assert witness.places[-1] == 500


@st.composite
def any_history(draw):
    values = st.sampled_from([None, 1, 2, "1", True])
    operations = []
    for client in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, 8))
        end = draw(st.one_of(st.none(), st.integers(begin, 10)))
        kind = draw(st.sampled_from(["read", "write", "cas", "delete"]))
        if kind == "read":
            operations.append(read(draw(values), begin, end, client=client))
        elif kind == "cas":
            operations.append(
                cas(draw(values), draw(values), draw(st.booleans()), begin, end, client=client)
            )
        elif kind == "write":
            operations.append(write(draw(values), begin, end, client=client))
        else:
            operations.append(delete(begin, end, client=client))
    return operations


@settings(max_examples=600, deadline=None)
@given(any_history())
def test_any_small_history(operations):
    assert (
        word(operations)
        == word(operations, False)
        == (LINEARIZABLE if brute_force(operations) else VIOLATION)
    )


@pytest.mark.parametrize(
    "kind",
    [dict(), dict(deletes=True), dict(failing=True), dict(failing=True, deletes=True)],
    ids=str,
)
def test_larger_right_histories_and_what_a_mutation_makes_of_them(kind):
    rng = random.Random(3)
    operations = simulated(rng, 3000, 8, 3, **kind)
    assert word(operations) == LINEARIZABLE
    reads = [
        o for o in operations if o["op"] == "read" and o["invoked_ns"] > 10_000 and o["result"]
    ]
    written = [o["value"] for o in operations if o["op"] == "write" and o["completed_ns"] < 2000]
    rng.choice(reads)["result"] = rng.choice(written)  # long overwritten
    assert word(operations) == VIOLATION


def test_compare_and_set_histories_of_five_clients_are_quick():
    rng = random.Random(1)
    for number in range(4):
        operations = simulated(rng, 1000, 5, 1, failing=True)
        if number % 2:
            rng.choice([o for o in operations if o["op"] == "read"])["result"] = "never written"
        began = time.monotonic()
        assert word(operations) == (VIOLATION if number % 2 else LINEARIZABLE)
        assert time.monotonic() - began < 20  # 0.02 s on an idle machine


def test_unknown_is_an_answer():
    rng = random.Random(2)
    operations = [cas(rng.randint(0, 9), rng.randint(0, 9), True, 0, None) for _ in range(60)] + [
        read(77, 100, 101)
    ]
    operations += [write(77, 0, 1), write(3, 2, 3)] + [
        cas(rng.randint(0, 9), rng.randint(0, 9), rng.random() < 0.9, 4, 99) for _ in range(40)
    ]
    history = reading.parse(as_text(operations))
    assert overall(check(history, Bounds(seconds=0.2, configurations=50))) in (UNKNOWN, VIOLATION)


def undecidable(key="k", width=20):
    """Return operations on one key that have so many orders that no bound here suffices."""
    rng, values = random.Random(1), range(width)
    operations = [write(v, 0, 1000 + v, key=key) for v in (*values, *values)]
    for number in range(2 * width):
        expected, new = rng.sample(values, 2)
        operations.append(cas(expected, new, True, 1, 2000 + number, key=key))
    return operations + [read(v, 3000 + v, 5000, key=key) for v in values]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_search_ends_when_its_time_is_up_however_much_it_keeps(library):
    history = reading.parse(as_text(undecidable()))
    began = time.process_time()  # which other programs do not lengthen
    assert overall(check(history, Bounds(seconds=1.0), library=library)) == UNKNOWN
    assert time.process_time() - began < 4


def test_many_keys_that_are_hard_share_the_time_and_easy_ones_are_decided():
    hard = [o for number in range(100) for o in undecidable(f"hard{number}")]
    easy = [
        o
        for number in range(100)
        for o in (write(1, 0, 1, key=f"easy{number}"), write(1, 0, 1, key=f"easy{number}"))
    ]
    history = reading.parse(as_text(hard + easy))
    began = time.process_time()
    words = Counter(verdict.word for verdict in check(history, Bounds(seconds=1.0)))
    assert words == {UNKNOWN: 100, LINEARIZABLE: 100}
    assert time.process_time() - began < 6


def test_a_witness_is_irreducible_only_if_every_smaller_one_was_decided(monkeypatch):
    history = reading.parse(as_text([*WRONG[3][0], read(2, 6, 7)]))
    [verdict] = check(history)
    decide = Register.decide
    monkeypatch.setattr(
        Register,
        "decide",
        lambda self, *more: Decision(UNKNOWN, []) if len(self) == 2 else decide(self, *more),
    )
    witness = explain(history, verdict).witness
    assert witness.places and not witness.irreducible


def test_it_is_compiled_once():
    assert native.build() == native.build()

"""Session guarantees and staleness, against their definitions."""

import random
from collections import Counter

from histories import as_text, by_definition, sessions_history
from history_operations import read, write

from experiments.multiprotocol.checker import reading
from experiments.multiprotocol.checker.sessions import sessions, staleness

# ---- sessions ----


def test_session_guarantees_and_staleness_are_what_their_definitions_say():
    rng, broken_count = random.Random(9), Counter()
    for _ in range(1500):
        operations = sessions_history(rng)
        history = reading.parse(as_text(operations))
        broken_, ages = by_definition(operations)
        judged = sessions(history)
        assert {
            name: sorted(line for line, _ in lines) for name, lines in judged.broken.items()
        } == broken_, operations
        assert staleness(history).age_ns.tolist() == ages, operations
        broken_count.update({name: len(lines) for name, lines in broken_.items()})
    assert min(broken_count.values()) > 20


def broken(*operations_):
    return {
        name: len(pairs)
        for name, pairs in sessions(reading.parse(as_text(operations_))).broken.items()
        if pairs
    }


def test_session_guarantees():
    assert broken(write(1, 0, 1), write(2, 2, 3, client=1), read(2, 4, 5)) == {}
    assert broken(write(1, 0, 1, client=1), write(2, 2, 3), read(1, 4, 5)) == {
        "read your writes": 1
    }
    assert broken(write(1, 0, 1), write(2, 2, 3), read(2, 4, 5, client=1),
        read(1, 6, 7, client=1)) == {
        "monotonic reads": 1, "monotonic writes": 1,
    }  # fmt: skip
    seen = [write(1, 0, 1), read(1, 2, 3, client=1), write(2, 4, 5, client=1)]
    assert broken(*seen, read(2, 6, 7, client=2), read(1, 8, 9, client=2)) == {
        "monotonic reads": 1,
        "writes follow reads": 1,
    }
    assert (
        broken(
            write(1, 0, 9),
            write(2, 0, 9, client=1),
            read(2, 10, 11, client=2),
            read(1, 12, 13, client=2),
        )
        == {}
    )


def test_staleness_counts_from_the_overwrite():
    result = staleness(
        reading.parse(as_text([write(1, 0, 1), write(2, 2, 3), read(1, 10, 11), read(2, 12, 13)]))
    )
    assert result.age_ns.tolist() == [7, 0] and result.within(7) and not result.within(6)


def test_staleness_tells_how_many_reads_it_left_out():
    result = staleness(
        reading.parse(
            as_text(
                [write(1, 0, 1), write(1, 2, 3), read(1, 4, 5), read(7, 6, 7), read(None, 8, 9)]
            )
        )
    )
    assert (
        result.as_dict()["left_out"] == 2
        and "  2 reads of values written more than once, or never, are left out" in result.lines()
    )

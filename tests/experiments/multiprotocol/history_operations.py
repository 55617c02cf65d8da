"""Operations and histories for the tests of the checker."""

import pytest

LIBRARIES = [pytest.param(None, id="compiled"), pytest.param(False, id="python")]


def op(kind, begin, end, client=0, key="k", **fields):
    return {
        "client": client,
        "op": kind,
        "key": key,
        "invoked_ns": begin,
        "completed_ns": end,
        **fields,
    }


def write(value, begin, end, **more):
    return op("write", begin, end, value=value, **more)


def read(value, begin, end, **more):
    return op("read", begin, end, result=value, **more)


def cas(expected, new, result, begin, end, **more):
    return op("cas", begin, end, expected=expected, new=new, result=result, **more)


def delete(begin, end, **more):
    return op("delete", begin, end, **more)


WRONG = [
    ([read(7, 0, 1)], 1),
    ([read(1, 0, 1), write(1, 2, 3)], 2),  # before it was written
    ([write(1, 0, 1), read(None, 2, 3)], 2),
    ([write(1, 0, 1), write(2, 2, 3), read(1, 4, 5)], 3),  # stale
    ([write(1, 0, 1), read("1", 2, 3)], 1),
    ([write(1, 0, 1), read(True, 2, 3)], 1),
    ([write(1, 0, 9), write(2, 0, 9), read(1, 10, 11), read(2, 12, 13), read(1, 14, 15)], 4),
    ([write(0, 0, 1), cas(0, 1, True, 2, 9), cas(0, 2, True, 2, 9)], 3),  # two winners
    ([write(1, 0, 1), cas(1, 2, False, 2, 3)], 2),
    ([write(1, 0, 1), read(1, 2, 3), delete(4, 5), read(1, 6, 7)], 3),
    ([write(1, 0, 1), delete(2, 3), write(2, 4, 5), read(None, 6, 7)], 2),
    ([cas(2, 1, True, 0, 9), cas(1, 2, True, 0, 9)], 2),  # a ring
    ([write(1, 0, 1, key=1), read(1, 2, 3, key="1")], 1),  # keys have types, too
]  # fmt: skip


def simulated(rng, count, clients, keys, failing=False, deletes=False):
    """Return a right history: each operation happens at an instant within it."""
    now, state, planned, value = [0] * clients, {}, [], 0
    for number in range(count):
        client = number % clients
        begin = now[client] + rng.randint(1, 50)
        now[client] = begin + rng.randint(1, 200)
        planned.append(
            (rng.uniform(begin, now[client]), begin, now[client], client, f"k{rng.randrange(keys)}")
        )
    history = []
    for _, begin, end, client, key in sorted(planned):
        kind, value = rng.choice(["read", "read", "write", "cas"] + ["delete"] * deletes), value + 1
        old = state.get(key)
        common = dict(client=client, key=key)
        if kind == "read":
            history.append(read(old, begin, end, **common))
        elif kind == "cas":
            expected = rng.choice([old, 5]) if failing else old
            history.append(cas(expected, value, expected == old, begin, end, **common))
            state[key] = value if expected == old else old
        else:
            state[key] = value if kind == "write" else None
            history.append(
                write(value, begin, end, **common)
                if kind == "write"
                else delete(begin, end, **common)
            )
    return history

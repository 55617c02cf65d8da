"""Small random histories, and the slowest and plainest way to decide them."""

import json


def brute_force(operations):
    """Whether a register's history (dicts as in the file) is linearizable, by trying every order."""
    relevant = [op for op in operations if not (op["op"] == "read" and op["completed_ns"] is None)]
    relevant = [op for op in relevant if not (op["op"] in ("write", "delete") and op.get("result") is False)]
    end = [float("inf") if op["completed_ns"] is None else op["completed_ns"] for op in relevant]
    everything = frozenset(range(len(relevant)))
    seen = set()

    def linearizes(left, state):
        if all(end[i] == float("inf") for i in left):
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        first_end = min(end[i] for i in left)
        for i in left:
            if relevant[i]["invoked_ns"] > first_end:
                continue
            allowed, after = step(relevant[i], state)
            if allowed and linearizes(left - {i}, after):
                return True
        return False

    return linearizes(everything, json.dumps(None))


def step(op, state):
    """Return (whether the operation may happen in this state, the state after it); values as JSON text."""
    kind = op["op"]
    if kind == "read":
        return json.dumps(op["result"]) == state, state
    if kind == "delete":
        return True, json.dumps(None)
    if kind == "write":
        return True, json.dumps(op["value"])
    matches = json.dumps(op["expected"]) == state
    if op["completed_ns"] is None:
        return matches, json.dumps(op["new"])  # one that fails changes nothing, and need not have happened
    return matches == op["result"], json.dumps(op["new"]) if op["result"] else state


def random_history(rng, *, unique, deletes, cas, failing, size=None, pending=0.12, honest=0.6):
    """Return a random history of one key. `unique` values, or few that repeat; with `honest` likelihood the results
    are those of some order of the operations (then perhaps one is changed), else arbitrary."""
    size = size or rng.randint(1, 9)
    spread = rng.choice([3, 8, 20])
    values = list(range(1, size + 1)) if unique else [1, 2]
    rng.shuffle(values)
    operations = []
    for number in range(size):
        kinds = ["read", "read", "write"] + ["delete"] * deletes + ["cas"] * cas
        op = {"client": number % 3, "op": rng.choice(kinds), "key": "k"}
        op["invoked_ns"] = rng.randint(0, spread)
        op["completed_ns"] = op["invoked_ns"] + rng.randint(0, spread // 2 + 1)
        if op["op"] == "write":
            op["value"] = values.pop() if unique else rng.choice(values)
        if op["op"] == "cas":
            op["new"] = values.pop() if unique else rng.choice(values)
        operations.append(op)
    _answer(rng, operations, failing, honest)
    for op in operations:
        if rng.random() < pending:
            op["completed_ns"] = None
            op.pop("result", None)
    return operations


def _answer(rng, operations, failing, honest):
    written = [None] + [op.get("value", op.get("new")) for op in operations if op["op"] in ("write", "cas")]
    point = {id(op): rng.uniform(op["invoked_ns"], op["completed_ns"]) for op in operations}
    state, honest = None, rng.random() < honest
    for op in sorted(operations, key=lambda op: point[id(op)]):
        seen = state if honest else rng.choice(written)
        if op["op"] == "read":
            op["result"] = seen
        elif op["op"] == "cas":
            op["expected"] = rng.choice(written) if failing and rng.random() < 0.5 else seen
            op["result"] = op["expected"] == state if failing else True
            state = op["new"] if op["result"] else state
        else:
            op["result"] = rng.choice([None, "ok", True])
            state = op.get("value")
    readers = [op for op in operations if op["op"] == "read"]
    if honest and readers and rng.random() < 0.4:
        rng.choice(readers)["result"] = rng.choice(written)


def as_text(operations):
    """Return a history as the bytes of a file."""
    return "".join(json.dumps(op) + "\n" for op in operations).encode()

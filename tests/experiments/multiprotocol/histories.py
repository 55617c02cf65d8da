"""Small random histories, and the slowest and plainest way to decide them."""

import json


def brute_force(operations):
    """Return whether a register's history (dicts as in the file) is linearizable, in any order."""
    relevant = [op for op in operations if not (op["op"] == "read" and op["completed_ns"] is None)]
    relevant = [
        op for op in relevant if not (op["op"] in ("write", "delete") and op.get("result") is False)
    ]
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
    """Return (whether the operation is possible in this state, the next state); values are JSON."""
    kind = op["op"]
    if kind == "read":
        return json.dumps(op["result"]) == state, state
    if kind == "delete":
        return True, json.dumps(None)
    if kind == "write":
        return True, json.dumps(op["value"])
    matches = json.dumps(op["expected"]) == state
    if op["completed_ns"] is None:
        return matches, json.dumps(
            op["new"]
        )  # a failed one changes nothing, and need not have happened
    return matches == op["result"], json.dumps(op["new"]) if op["result"] else state


def random_history(rng, *, unique, deletes, cas, failing, size=None, pending=0.12, honest=0.6):
    """Return a random history of one key.

    Values are `unique`, or few and repeated. With likelihood `honest`, the results follow some
    order of the operations, perhaps with one change; otherwise they are arbitrary.
    """
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
    written = [None] + [
        op.get("value", op.get("new")) for op in operations if op["op"] in ("write", "cas")
    ]
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


def sessions_history(rng):
    """Return random reads, writes and deletes of three clients on one or two keys."""
    history, values, spread = [], list(range(1, 30)), rng.choice([5, 20, 60])
    for _ in range(rng.randint(0, 16)):
        begin = rng.randint(0, spread)
        operation = {
            "client": rng.randint(0, 2),
            "op": rng.choice(["read", "read", "read", "write", "write"]),
            "key": rng.choice("aab"),
        }
        operation.update(
            invoked_ns=begin, completed_ns=begin + rng.randint(0, 5) if rng.random() < 0.9 else None
        )
        if operation["op"] == "write":
            operation["value"] = values.pop() if rng.random() < 0.9 else 1
            operation["op"] = "delete" if rng.random() < 0.03 else "write"
        history.append(operation)
    written = [None] + [operation["value"] for operation in history if operation["op"] == "write"]
    for operation in history:
        if operation["op"] == "read":
            operation["result"] = rng.choice(written[:4] if rng.random() < 0.7 else written)
    return history


def by_definition(operations):
    """Compare all pairs; return ({guarantee: lines of bad reads}, ages of the values read)."""
    never = float("inf")
    writes = {
        (operation["key"], None): [(-never, -never, None)] for operation in operations
    }  # (invoked, completed, client)
    for operation in operations:
        if operation["op"] != "read":
            ends = never if operation["completed_ns"] is None else operation["completed_ns"]
            value = operation["value"] if operation["op"] == "write" else None
            writes.setdefault((operation["key"], value), []).append(
                (operation["invoked_ns"], ends, operation["client"])
            )
    reads = []  # (line, operation, its value's only write)
    for line, operation in enumerate(operations, 1):
        if operation["op"] == "read" and operation["completed_ns"] is not None:
            candidates = writes.get((operation["key"], operation["result"]), ())
            if len(candidates) == 1:
                reads.append((line, operation, candidates[0]))
    broken = {
        name: set()
        for name in (
            "read your writes",
            "monotonic reads",
            "monotonic writes",
            "writes follow reads",
        )
    }
    ages = []
    for line, operation, value in reads:
        begin = operation["invoked_ns"]
        of_key = [candidates for (key, _), candidates in writes.items() if key == operation["key"]]
        over = [
            w[1]
            for candidates in of_key
            for w in candidates
            if w[2] is not None and w[0] > value[1] and w[1] < never
        ]
        ages.append(max(0, begin - min(over, default=never)))
        for candidates in of_key:
            if (
                len(candidates) == 1
                and candidates[0][2] == operation["client"]
                and candidates[0][1] < begin
                and value[1] < candidates[0][0]
            ):
                broken["read your writes"].add(line)
        for _, other, seen in reads:
            if (other["key"], other["client"]) != (operation["key"], operation["client"]) or other[
                "completed_ns"
            ] >= begin:
                continue
            if value[1] < seen[0]:
                broken["monotonic reads"].add(line)
                if value[2] == seen[2]:
                    broken["monotonic writes"].add(line)
            for _, third, known in reads:
                same = (
                    third["key"] == operation["key"]
                    and known == value
                    and third["result"] == operation["result"]
                )
                if (
                    same
                    and third["client"] == seen[2] != operation["client"]
                    and third["completed_ns"] < seen[0]
                ):
                    broken["writes follow reads"].add(line)
    return {name: sorted(lines) for name, lines in broken.items()}, ages


def as_text(operations):
    """Return a history as the bytes of a file."""
    return "".join(json.dumps(op) + "\n" for op in operations).encode()

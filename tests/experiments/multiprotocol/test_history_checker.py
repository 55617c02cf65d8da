"""The history checker against brute force, known answers, wrong histories and invalid input."""

import gzip
import json
import random
import subprocess
import sys
import time
from collections import Counter

import pytest
from checkout import ROOT
from histories import as_text, brute_force, by_definition, random_history, sessions_history
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.multiprotocol.checker import history as histories
from experiments.multiprotocol.checker import native
from experiments.multiprotocol.checker.check import check, explain, overall
from experiments.multiprotocol.checker.register import Register
from experiments.multiprotocol.checker.search import LINEARIZABLE, UNKNOWN, VIOLATION, Bounds
from experiments.multiprotocol.checker.sessions import sessions, staleness

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


def word(operations, library=None):
    return overall(check(histories.parse(as_text(operations), library=library), library=library))


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


@pytest.mark.parametrize("library", LIBRARIES)
def test_right_histories(library):
    for found in RIGHT:
        assert word(found, library) == LINEARIZABLE, found


@pytest.mark.parametrize("library", LIBRARIES)
def test_wrong_histories_and_the_size_of_their_witness(library):
    for found, size in WRONG:
        history = histories.parse(as_text(found), library=library)
        [verdict] = [v for v in check(history, library=library) if v.word == VIOLATION]
        explain(history, verdict)
        assert len(verdict.witness.places) == size and verdict.witness.irreducible, found


def differing(seed, count):
    rng, found = random.Random(seed), 0
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
        found += not wanted
    return found


def test_against_brute_force():
    wrong = differing(seed=20261124, count=10_000)
    assert 1000 < wrong < 9000


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_witness_is_wrong_by_itself_and_irreducible(library):
    """No read or failed compare-and-set can be left out; a write goes only with its readers."""
    rng = random.Random(8)
    seen = 0
    while seen < 250:
        found = random_history(
            rng, unique=rng.random() < 0.6, deletes=1, cas=1, failing=rng.random() < 0.5, size=9
        )
        history = histories.parse(as_text(found))
        for verdict in check(history, library=library):
            if verdict.word == VIOLATION:
                witness = explain(history, verdict, library=library).witness
                shown = [found[place] for place in witness.places]
                assert shown and witness.irreducible and not brute_force(shown), found
                for one in shown:
                    if one["op"] == "read" or (one["op"] == "cas" and one.get("result") is False):
                        assert brute_force([o for o in shown if o is not one]), (found, one)
                seen += 1


def crowded(rng, count, clients, values):
    """Return a correct history of one key: few values, failed compare-and-sets, unknown results."""
    found = simulated(rng, count, clients, 1, failing=True, deletes=True)
    state, names = None, [rng.randrange(values) for _ in range(count + 1)]
    for one in found:  # in the order in which they happened
        if one["op"] == "read":
            one["result"] = state
            continue
        new = names[one.get("value", one.get("new", 0)) or 0]
        lost = rng.random() < 0.05 and one.update(completed_ns=None) is None and rng.random() < 0.5
        if one["op"] == "cas":
            one.update(new=new, expected=rng.choice([state, rng.randrange(values)]))
            one["result"] = one["expected"] == state
            if not one["result"] or lost:
                continue
        elif lost:
            continue
        elif one["op"] == "write":
            one["value"] = new
        state = None if one["op"] == "delete" else new
        one["value" if one["op"] == "write" else "new"] = new
    return found


def test_crowded_histories_of_repeated_values_against_brute_force():
    rng, words = random.Random(5), []
    for number in range(400):
        found = crowded(rng, rng.randint(10, 30), rng.randint(2, 6), rng.choice([1, 2, 3, 20]))
        if number % 2:
            rng.choice([*found, read(0, 5, 9)])["result"] = rng.choice([0, None, False])
            found = [
                o
                for o in found
                if o["op"] != "cas" or o["completed_ns"] is None or isinstance(o["result"], bool)
            ]
        wanted = LINEARIZABLE if brute_force(found) else VIOLATION
        assert wanted == LINEARIZABLE or number % 2
        assert word(found) == word(found, False) == wanted, as_text(found).decode()
        words.append(wanted)
    assert 20 < words.count(VIOLATION) < 380


def test_large_crowded_histories_are_decided_and_their_witnesses_wrong():
    rng = random.Random(6)
    for clients in (5, 16):
        found = crowded(rng, 800, clients, 20)
        assert word(found) == LINEARIZABLE
        late = [o for o in found if o["op"] == "read"][-1]
        late["result"] = "never written"
        history = histories.parse(as_text(found))
        [verdict] = check(history)
        assert verdict.word == VIOLATION and [
            found[p] for p in explain(history, verdict).witness.places
        ] == [late]


def test_what_a_compare_and_set_expected_is_left_out_where_it_does_not_matter():
    chain = [cas(n or None, n + 1, True, 10 * n, 10 * n + 1) for n in range(500)] + [
        cas(499, "other", True, 9000, 9001)
    ]
    history = histories.parse(as_text(chain))
    [verdict] = check(history)
    found = explain(history, verdict).witness
    assert len(found.places) <= 3 and found.irreducible and found.relaxed
    assert found.places[-1] == 500


@st.composite
def any_history(draw):
    values = st.sampled_from([None, 1, 2, "1", True])
    found = []
    for client in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, 8))
        end = draw(st.one_of(st.none(), st.integers(begin, 10)))
        kind = draw(st.sampled_from(["read", "write", "cas", "delete"]))
        if kind == "read":
            found.append(read(draw(values), begin, end, client=client))
        elif kind == "cas":
            found.append(
                cas(draw(values), draw(values), draw(st.booleans()), begin, end, client=client)
            )
        elif kind == "write":
            found.append(write(draw(values), begin, end, client=client))
        else:
            found.append(delete(begin, end, client=client))
    return found


@settings(max_examples=1500, deadline=None)
@given(any_history())
def test_any_small_history(found):
    assert word(found) == word(found, False) == (LINEARIZABLE if brute_force(found) else VIOLATION)


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
    found = []
    for _, begin, end, client, key in sorted(planned):
        kind, value = rng.choice(["read", "read", "write", "cas"] + ["delete"] * deletes), value + 1
        old = state.get(key)
        common = dict(client=client, key=key)
        if kind == "read":
            found.append(read(old, begin, end, **common))
        elif kind == "cas":
            expected = rng.choice([old, 5]) if failing else old
            found.append(cas(expected, value, expected == old, begin, end, **common))
            state[key] = value if expected == old else old
        else:
            state[key] = value if kind == "write" else None
            found.append(
                write(value, begin, end, **common)
                if kind == "write"
                else delete(begin, end, **common)
            )
    return found


@pytest.mark.parametrize(
    "kind",
    [dict(), dict(deletes=True), dict(failing=True), dict(failing=True, deletes=True)],
    ids=str,
)
def test_larger_right_histories_and_what_a_mutation_makes_of_them(kind):
    rng = random.Random(3)
    found = simulated(rng, 3000, 8, 3, **kind)
    assert word(found) == LINEARIZABLE
    reads = [o for o in found if o["op"] == "read" and o["invoked_ns"] > 10_000 and o["result"]]
    written = [o["value"] for o in found if o["op"] == "write" and o["completed_ns"] < 2000]
    rng.choice(reads)["result"] = rng.choice(written)  # long overwritten
    assert word(found) == VIOLATION


def test_compare_and_set_histories_of_five_clients_are_quick():
    rng = random.Random(1)
    for number in range(4):
        found = simulated(rng, 1000, 5, 1, failing=True)
        if number % 2:
            rng.choice([o for o in found if o["op"] == "read"])["result"] = "never written"
        began = time.monotonic()
        assert word(found) == (VIOLATION if number % 2 else LINEARIZABLE)
        assert time.monotonic() - began < 20  # 0.02 s on an idle machine


def test_unknown_is_an_answer():
    rng = random.Random(2)
    found = [cas(rng.randint(0, 9), rng.randint(0, 9), True, 0, None) for _ in range(60)] + [
        read(77, 100, 101)
    ]
    found += [write(77, 0, 1), write(3, 2, 3)] + [
        cas(rng.randint(0, 9), rng.randint(0, 9), rng.random() < 0.9, 4, 99) for _ in range(40)
    ]
    history = histories.parse(as_text(found))
    assert overall(check(history, Bounds(seconds=0.2, configurations=50))) in (UNKNOWN, VIOLATION)


def undecidable(key="k", width=20):
    """Return operations on one key that have so many orders that no bound here suffices."""
    rng, values = random.Random(1), range(width)
    found = [write(v, 0, 1000 + v, key=key) for v in values]
    for number in range(2 * width):
        expected, new = rng.sample(values, 2)
        found.append(cas(expected, new, True, 1, 2000 + number, key=key))
    return found + [read(v, 3000 + v, 5000, key=key) for v in values]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_search_ends_when_its_time_is_up_however_much_it_keeps(library):
    history = histories.parse(as_text(undecidable()))
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
    history = histories.parse(as_text(hard + easy))
    began = time.process_time()
    words = Counter(found.word for found in check(history, Bounds(seconds=1.0)))
    assert words == {UNKNOWN: 100, LINEARIZABLE: 100}
    assert time.process_time() - began < 6


def test_a_witness_is_irreducible_only_if_every_smaller_one_was_decided(monkeypatch):
    history = histories.parse(as_text([*WRONG[3][0], read(2, 6, 7)]))
    [verdict] = check(history)
    decide = Register.decide
    monkeypatch.setattr(
        Register,
        "decide",
        lambda self, *more: (UNKNOWN, []) if len(self) == 2 else decide(self, *more),
    )
    found = explain(history, verdict).witness
    assert found.places and not found.irreducible


# ---- the file format ----


@pytest.mark.parametrize(
    "line, complaint",
    [
        ("{", "line 2: not JSON"),
        ("[]", "line 2: an operation is a JSON object"),
        ('{"client":1,"op":"read","key":"k","invoked_ns":1,"completed_ns":2}',
            "a completed read needs"),
        ('{"client":1,"op":"push","key":"k","invoked_ns":1,"completed_ns":2}',
            '"op" "push" is not one of'),
        ('{"client":1,"op":"write","key":"k","invoked_ns":1,"completed_ns":2}',
            'a write needs "value"'),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":3,"completed_ns":2}',
            "lies before"),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":"3","completed_ns":4}',
            "whole number of nanoseconds"),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":3}',
            '"completed_ns" is missing'),
        ('{"client":1,"op":"write","key":"k","value":1,"invoked_ns":3,"completed_ns":true}',
            "whole number"),
        ('{"client":1,"op":"cas","key":"k","expected":1,"new":2,"invoked_ns":3,"completed_ns":4}',
            "needs \"result\" true or false"),
        ('{"client":1,"op":"read","key":"k","value":1,"result":2,"invoked_ns":3,"completed_ns":4}',
            "they differ"),
        ('{"client":1,"op":"read","key":null,"result":2,"invoked_ns":3,"completed_ns":4}',
            '"key" must be'),
        ('{"client":1,"client":1,"op":"read","key":"k","result":2,"invoked_ns":3,"completed_ns":4}',
            '"client" is given twice'),
        ('{"client":1,"op":"read","key":1.0,"result":2,"invoked_ns":3,"completed_ns":4}',
            '"key" must be'),
        ('{"client":1,"op":"read","key":"k","result":1e99999999999999999999,'
            '"invoked_ns":3,"completed_ns":4}', "too long"),
        ('{"client":1,"op":"read","key":"k","result":' + "[" * 5000 + "]" * 5000
            + ',"invoked_ns":3,"completed_ns":4}', "too deeply"),
        ('{"client":1,"op":"read","key":"k","result":NaN,"invoked_ns":3,"completed_ns":4}',
            "not JSON"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("library", LIBRARIES)
def test_bad_lines_are_named(line, complaint, library):
    text = as_text([read(None, 0, 1)]) + line.encode() + b"\n"
    with pytest.raises(histories.BadInput, match="line 2") as raised:
        histories.parse(text, library=library)
    assert complaint in str(raised.value)


def test_both_parsers_read_the_same():
    rng = random.Random(4)
    found = simulated(rng, 400, 4, 3, failing=True, deletes=True)
    found += [
        write(v, 0, 1, key="odd")
        for v in ['"\\\u00e9\n', 1.5, -0.0, 1e30, [1, {"a": None}], 2**70, "", True]
    ]
    text = b"\n" + as_text(found).replace(b"\n", b" \r\n")
    one, other = histories.parse(text), histories.parse(text, library=False)
    for name in ("kind", "invoked", "completed", "line"):
        assert getattr(one, name).tolist() == getattr(other, name).tolist()
    for name in ("key", "client", "value", "set_to"):
        values = [[json.loads(h.values[n]) for n in getattr(h, name)] for h in (one, other)]
        assert values[0] == values[1]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_backslash_before_a_nul_is_no_json(library):
    for found in (read("?", 0, 1), read(1, 0, 1, other="?")):  # nobody looks into other fields
        with pytest.raises(histories.BadInput, match="line 1"):
            histories.parse(as_text([found]).replace(b"?", b"\\\0"), library=library)


def test_names_that_do_not_fit_into_memory_are_an_error(tmp_path):
    path = tmp_path / "history.jsonl"
    path.write_bytes(as_text([write(number, 0, 1) for number in range(70_000)]))
    code = """
import mmap, resource, sys
from experiments.multiprotocol.checker import history, native
library, text = native.library(), open(sys.argv[1], "rb").read()
class Library:
    def history_parse(self, *arguments):
        used = int(open("/proc/self/statm").read().split()[0]) * mmap.PAGESIZE
        room = 3 * 2**19  # a first table is 1 MB, a second 2 MB
        resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
        refused = library.history_parse(*arguments)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print(refused)
        return refused
try:
    history.parse(text, Library())
except MemoryError:
    print("no memory")
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.stdout.split("\n") == ["-1", "no memory", ""], done.stderr


SAME = [
    ("1", "1.0"),
    ("0", "-0"),
    ("0", "-0.0"),
    ("1e400", "1E+400"),
    ('"é"', '"\\u00e9"'),
    ("[1,{}]", "[1.0, {}]"),
    ("9" * 5000, "9" * 5000),
]
OTHER = [
    ("1", "true"),
    ("1", '"1"'),
    ("0", "false"),
    ('""', "null"),
    ('"\\ud800"', '"\\ud801"'),
    ("9" * 5000, "9" * 4999 + "8"),
    ("[]", "{}"),
]


@pytest.mark.parametrize("library", LIBRARIES)
def test_values_are_compared_as_json(library):
    for pairs, wanted in ((SAME, LINEARIZABLE), (OTHER, VIOLATION)):
        for written, got in pairs:
            text = (
                f'{{"client":1,"op":"write","key":-5,"value":{written},'
                '"invoked_ns":-9,"completed_ns":-8}\n'
                f'{{"client":null,"op":"read","key":-5,"result":{got},'
                '"invoked_ns":-7,"completed_ns":-6}'
            )
            for encoded in (
                text.encode(),
                b"\xef\xbb\xbf\r\n" + text.replace("\n", "\r\n").encode(),
            ):
                assert (
                    overall(check(histories.parse(encoded, library=library), library=library))
                    == wanted
                ), (written, got)


# ---- the command ----


def run(tmp_path, operations_, *options):
    path = tmp_path / "history.jsonl"
    path.write_bytes(operations_ if isinstance(operations_, bytes) else as_text(operations_))
    command = [sys.executable, "-m", "experiments.multiprotocol.checker", str(path), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)


def test_the_command_says_it_by_its_status_as_text_and_as_a_picture(tmp_path):
    assert run(tmp_path, [write(1, 0, 1), read(1, 2, 3)]).returncode == 0
    for name in ("picture.svg", "picture.png"):
        picture = tmp_path / name
        done = run(tmp_path, WRONG[3][0], "--picture", str(picture))
        assert (
            done.returncode == 1
            and "3 operations that no order explains" in done.stdout
            and picture.stat().st_size > 500
        )
    bad = run(tmp_path, b"nonsense\n")
    assert bad.returncode == 2 and "line 1" in bad.stderr and "Traceback" not in bad.stderr
    missing = subprocess.run(
        [sys.executable, "-m", "experiments.multiprotocol.checker", str(tmp_path / "no")],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    told = json.loads(run(tmp_path, WRONG[3][0], "--json", "--sessions", "--staleness").stdout)
    assert told["verdict"] == VIOLATION and told["witnesses"][0]["lines"] == [1, 2, 3]
    assert told["staleness"] == {"stale": 1, "of": 1, "most_ns": 1, "left_out": 0}


def test_the_command_meets_odd_files_and_readers(tmp_path):
    good = as_text([write("ü", 0, 1), read("ü", 2, 3)])
    assert run(tmp_path, gzip.compress(good)).returncode == 0
    cut = run(tmp_path, gzip.compress(good)[:-9])
    assert cut.returncode == 2 and "damaged" in cut.stderr
    cut = run(tmp_path, good[:-9])
    assert cut.returncode == 2 and "line 2" in cut.stderr and "cut off" in cut.stderr
    assert run(tmp_path, good.decode().encode("utf-16")).returncode == 2
    assert run(tmp_path, good, "--picture", "x.gif").returncode == 2
    undrawn = run(tmp_path, as_text([read(1, 0, 1)]), "--picture", str(tmp_path / "no" / "x.svg"))
    assert undrawn.returncode == 1 and "--picture" in undrawn.stderr
    command = f"{sys.executable} -m experiments.multiprotocol.checker {tmp_path}/history.jsonl"
    for closed in (
        f"{command} | true; exit ${{PIPESTATUS[0]}}",
        f"{command} >&-",
        f"PYTHONIOENCODING=ascii {command}",
    ):
        done = subprocess.run(
            ["bash", "-c", closed], capture_output=True, text=True, cwd=ROOT, timeout=300
        )
        assert done.returncode == 1 and not done.stderr


def test_without_a_compiler_it_says_so_and_what_to_do(tmp_path):
    package = tmp_path / "experiments" / "multiprotocol" / "checker"
    package.mkdir(parents=True)
    for file in (ROOT / "experiments" / "multiprotocol" / "checker").glob("*.py"):
        (package / file.name).write_bytes(file.read_bytes())
    for name in native.SOURCES:
        (package / name).write_bytes((native.FOLDER / name).read_bytes())
    (tmp_path / "history.jsonl").write_bytes(as_text([write(1, 0, 1), read(2, 2, 3)]))
    done = subprocess.run(
        [sys.executable, "-m", "experiments.multiprotocol.checker", "history.jsonl"],
        capture_output=True, text=True,
        cwd=tmp_path, timeout=300, env={"PATH": "/nonexistent", "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1 and "read 2" in done.stdout
    assert (
        done.stderr.count("\n") == 1
        and "no C compiler" in done.stderr
        and "apt-get install gcc" in done.stderr
    )


# ---- sessions ----


def test_session_guarantees_and_staleness_are_what_their_definitions_say():
    rng, told = random.Random(9), Counter()
    for _ in range(1500):
        found = sessions_history(rng)
        history = histories.parse(as_text(found))
        broken_, ages = by_definition(found)
        judged = sessions(history)
        assert {
            name: sorted(line for line, _ in lines) for name, lines in judged.broken.items()
        } == broken_, found
        assert staleness(history).age_ns.tolist() == ages, found
        told.update({name: len(lines) for name, lines in broken_.items()})
    assert min(told.values()) > 20


def broken(*operations_):
    return {
        name: len(found)
        for name, found in sessions(histories.parse(as_text(operations_))).broken.items()
        if found
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
    found = staleness(
        histories.parse(as_text([write(1, 0, 1), write(2, 2, 3), read(1, 10, 11), read(2, 12, 13)]))
    )
    assert found.age_ns.tolist() == [7, 0] and found.within(7) and not found.within(6)


def test_staleness_tells_how_many_reads_it_left_out():
    found = staleness(
        histories.parse(
            as_text(
                [write(1, 0, 1), write(1, 2, 3), read(1, 4, 5), read(7, 6, 7), read(None, 8, 9)]
            )
        )
    )
    assert (
        found.as_dict()["left_out"] == 2
        and "  2 reads of values written more than once, or never, are left out" in found.lines()
    )


def test_it_is_compiled_once():
    assert native.build() == native.build()

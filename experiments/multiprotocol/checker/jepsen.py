"""Histories of Jepsen and Knossos: invocations and completions of processes, in EDN.

The file holds a list of maps, or one map after the other, such as

  {:process 0, :type :invoke, :f :write, :value 3}
  {:process 0, :type :ok,     :f :write, :value 3}

Only the order of the entries counts; each of them is an instant of its own. `:f` is `:read`,
`:write`, `:cas` (its value is [expected new]), or `:acquire` and `:release` of a mutex (a
compare-and-set between nil and "held"). `:type` is `:invoke`, then `:ok`, `:fail` (it did not
happen), or `:info` (its outcome is unknown); an invocation that nothing completes is of unknown
outcome, too. A process that is no number, as `:nemesis`, does nothing to the register.

Values of the form [key value], as `jepsen.independent` writes them, name a register each. A history
is taken so if every read is invoked with [key nil]; or, if it has no reads, every `:cas` with
[key [expected new]].

To Knossos, a read that returned nil tells nothing. This reader leaves such reads out, and counts
them, unless `nil_reads` asks for their judgement.
"""

from experiments.multiprotocol.checker import edn
from experiments.multiprotocol.checker.history import (
    ENTRY,
    BadInput,
    counted_in,
    from_operations,
    shown,
)

REGISTER = "register"  # the key of a history of one register
HELD = "held"
LOCKS = {":acquire": (None, HELD), ":release": (HELD, None)}
TYPES = (":invoke", ":ok", ":fail", ":info")


def parse(text, nil_reads=False):
    """Return the `History` in `text` (bytes of EDN). Raises `BadInput`."""
    try:
        entries = list(edn.values(text.decode()))
    except UnicodeDecodeError:
        raise BadInput(1, "not UTF-8") from None
    except RecursionError:
        raise BadInput(1, "values nested too deeply") from None
    except ValueError as error:
        where, _, what = str(error).partition(": ")
        raise BadInput(int(where.removeprefix("line ")), what) from None
    if len(entries) == 1 and isinstance(entries[0], list):
        (entries,) = entries
    with counted_in(ENTRY):
        operations = _operations(entries, nil_reads)
    history = from_operations(operations, ENTRY)
    unanswered = sum(operation.get("result", 0) is None for _, operation in operations)
    if unanswered and not nil_reads:
        history.note = f"{unanswered} reads that returned nil are left out; --nil-reads judges them"
    return history


def _operations(entries, nil_reads):
    """Return (number of the invocation, operation as a dict of the JSON format) pairs."""
    calls = list(_calls(entries))
    keyed = _is_keyed([invoked for _, invoked, _, _ in calls])
    operations = []
    for number, invoked, completed_at, completed in calls:
        operation = _operation(number, invoked, completed, keyed)
        unanswered = operation["op"] == "read" and (
            "result" not in operation or (operation["result"] is None and not nil_reads)
        )
        times = dict(invoked_ns=number, completed_ns=None if unanswered else completed_at)
        operations.append((number, operation | times))
    return operations


def _calls(entries):
    """Yield (number, invocation, number of its completion or None, completion or None)."""
    open_calls: dict = {}
    for number, entry in enumerate(entries, 1):
        _check_form(number, entry)
        process, type_ = entry[":process"], entry[":type"]
        if isinstance(process, bool) or not isinstance(process, int):
            continue
        if type_ == ":invoke":
            if process in open_calls:
                earlier = open_calls[process][0]
                raise BadInput(number, f"process {process} has not completed entry {earlier}")
            open_calls[process] = number, entry
            continue
        if process not in open_calls:
            raise BadInput(number, f"process {process} completes what it did not invoke")
        began, invoked = open_calls.pop(process)
        if entry[":f"] != invoked[":f"]:
            raise BadInput(number, f"{entry[':f']} completes the {invoked[':f']} of entry {began}")
        yield began, invoked, None if type_ == ":info" else number, entry
    for began, invoked in open_calls.values():
        yield began, invoked, None, None


def _check_form(number, entry):
    if not isinstance(entry, dict):
        raise BadInput(number, f"an entry is a map, not {shown(entry)}")
    for name in (":process", ":type", ":f"):
        if name not in entry:
            raise BadInput(number, f"{name} is missing")
    if entry[":type"] not in TYPES:
        raise BadInput(number, f":type {shown(entry[':type'])} is not one of {', '.join(TYPES)}")


def _is_pair(value):
    return isinstance(value, list) and len(value) == 2


def _is_keyed(invocations):
    reads = [entry.get(":value") for entry in invocations if entry[":f"] == ":read"]
    if reads:
        return all(_is_pair(value) and value[1] is None for value in reads)
    swaps = [entry.get(":value") for entry in invocations if entry[":f"] == ":cas"]
    return bool(swaps) and all(_is_pair(value) and _is_pair(value[1]) for value in swaps)


def _operation(number, invoked, completed, keyed):
    """Return what the JSON format says of one operation, but for its times."""
    value = invoked.get(":value")
    if completed and completed[":type"] == ":ok":
        answer = completed.get(":value")
        value = answer if answer is not None or invoked[":f"] == ":read" else value
    key = REGISTER
    if keyed:
        if not _is_pair(value):
            raise BadInput(number, f":value {shown(value)} is not [key value], as that of others")
        key, value = value
        key = key if isinstance(key, (str, int)) and not isinstance(key, bool) else shown(key)
    result = {None: "info", ":info": "info", ":ok": "ok", ":fail": "fail"}[
        completed and completed[":type"]
    ]
    common = dict(client=invoked[":process"], key=key, result=result)
    does = invoked[":f"]
    if does == ":read":
        return _read(common, completed, value)
    if does == ":write":
        return dict(common, op="write", value=value)
    if does == ":cas":
        if not _is_pair(value):
            raise BadInput(number, f":value {shown(value)} of a :cas is not [expected new]")
        return dict(common, op="cas", expected=value[0], new=value[1])
    if does in LOCKS:
        expected, new = LOCKS[does]
        return dict(common, op="cas", expected=expected, new=new)
    raise BadInput(
        number, f":f {shown(does)} is not one of :read, :write, :cas, {', '.join(LOCKS)}"
    )


def _read(common, completed, value):
    del common["result"]
    answered = completed is not None and completed[":type"] == ":ok"
    return dict(common, op="read", **(dict(result=value) if answered else {}))

"""Random operations of several clients through both doors, recorded as a history.

Clients alternate between S3 and files. Of the clients of the file side, every second one replaces a
content by truncating and writing, as most programs do, and the others by renaming a new file over
the old. Values are written once. At the end each name is read through both doors, again and again
until they agree.
"""

import random
import threading
import time

from experiments.multiprotocol.file_operations import Declined

FOLDER = "h"
LOOK_S, AGAIN_S = 0.3, 6.0  # until the first look at what both doors show, and the second


def history(plan, new):
    """Yield the operations of a history, as `checker.history` and `invariants` read them.

    `plan` has `clients`, `operations` of each, `keys`, `seed`, the weights `deletes` and `cas` (0
    if left out; reads weigh 6 and writes 4), `validators` (whether the file side looks at a file's
    time before and after it reads), and `patience_s` for the doors to agree (no reads at the end if
    left out). Until `write_back_s` have passed, they are not read: a file write may still come, and
    reading may put it off.
    """
    began = time.monotonic_ns()
    new()[0].make_folder(FOLDER)
    clients = [_Client(plan, new(), number, began) for number in range(plan["clients"])]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = [row for client in clients for row in client.rows]
    yield from sorted(rows, key=lambda row: row["invoked_ns"])
    if plan.get("patience_s") is not None:
        yield from _last_reads(clients[:2], plan["patience_s"], plan.get("write_back_s", 0))


def _last_reads(clients, patience_s, write_back_s):
    """Return the last reads of two clients, one of each side; no earlier ones are kept."""
    waited = 0.0
    for pause in (write_back_s + LOOK_S, AGAIN_S, patience_s):
        pause = max(0.0, min(pause, patience_s - waited))
        time.sleep(pause)
        waited += pause
        rows = [row for client in clients for row in client.read_all()]
        if _agree(rows) or waited >= patience_s:
            break
    return rows


def _agree(rows):
    """Return whether every read was answered, and both doors showed the same of each name."""
    shown = {(row["key"], row.get("result")) for row in rows}
    answered = all(row["completed_ns"] is not None for row in rows)
    return answered and len(shown) == len({row["key"] for row in rows})


class _Client:
    def __init__(self, plan, views, number, began):
        self._plan, (self._file, self._s3), self._number, self._began = plan, views, number, began
        self._side = "file" if number % 2 else "s3"
        self._renames = number % 4 == 3
        self._rng = random.Random(f"{plan['seed']} {number}")
        self.rows: list[dict] = []

    def run(self):
        weights = [6, 4, self._plan.get("deletes", 0), self._plan.get("cas", 0)]
        for count in range(self._plan["operations"]):
            key = f"{FOLDER}/k{self._rng.randrange(self._plan['keys'])}"
            value = f"{self._number}-{count}."  # no part of it is a value
            [op] = self._rng.choices(["read", "write", "delete", "cas"], weights)
            if op == "cas" and self._side == "s3":
                self._replace_what_it_read(key, value)
            else:
                self._note("write" if op == "cas" else op, key, value)

    def read_all(self):
        """Return the reads of all names, marked as final."""
        before = len(self.rows)
        for number in range(self._plan["keys"]):
            self._note("read", f"{FOLDER}/k{number}")
        return [dict(row, final=True) for row in self.rows[before:]]

    def _note(self, op, key, value=None, **more):
        """Do one operation and keep its row; return what it read, or None."""
        row = dict(client=self._number, side=self._side, op=op, key=key, **more)
        if op == "write":
            row["value"] = value
        row["invoked_ns"], row["completed_ns"] = time.monotonic_ns() - self._began, None
        read = None
        try:
            if op == "read":
                read = row["result"], row["validator"] = self._read(key)
            else:
                row["result"] = self._change(op, key, value)
            row["completed_ns"] = time.monotonic_ns() - self._began
        except Declined:
            return None  # nothing was done
        except Exception:  # it may or may not have taken effect
            row["completed_ns"] = None
        self.rows.append(row)
        return read

    def _read(self, key):
        """Return (content as text or None, validator or None)."""
        if self._side == "s3":
            content, tag = self._s3.get(key) or (None, None)
            validator = tag if isinstance(tag, str) else None  # files have none
        else:
            content, validator = self._read_file(key)
        return content if content is None else content.decode(errors="replace"), validator

    def _read_file(self, key):
        """Return (content or None, size and time of change as its validator or None)."""
        if not self._plan.get("validators"):
            return self._file.read(key), None
        before, content, after = self._file.stat(key), self._file.read(key), self._file.stat(key)
        # What changed meanwhile does not belong to the content for certain.
        same = before is not None and before == after
        return content, f"{before[0]} B at {before[1]:.9f}" if same else None

    def _change(self, op, key, value):
        if op == "delete":
            (self._file if self._side == "file" else self._s3).delete(key)
        elif self._side == "s3":
            self._s3.put(key, value.encode())
        else:
            (self._file.save if self._renames else self._file.write)(key, value.encode())
        return "ok"

    def _replace_what_it_read(self, key, value):
        """Read an object, and replace it on condition that it is still the same."""
        read = self._note("read", key)
        if read is None:
            return
        content, tag = read
        row = dict(client=self._number, side="s3", op="cas", key=key, expected=content, new=value)
        row["invoked_ns"], row["completed_ns"] = time.monotonic_ns() - self._began, None
        condition = dict(create=True) if content is None else dict(tag=tag)
        if content is not None and not tag:
            return  # a server without ETags offers no condition
        try:
            put = self._s3.put(key, value.encode(), **condition)
            # A refusal does not prove that the value differed.
            row["result"] = "fail" if put is None else "ok"
            row["completed_ns"] = time.monotonic_ns() - self._began
        except Declined:
            return
        except Exception:
            row["completed_ns"] = None
        self.rows.append(row)

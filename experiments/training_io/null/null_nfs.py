"""An NFSv3 server that answers every READ at once with zeros: the null target of the NFS client.

    python -m experiments.training_io.null.null_nfs \\
        '{"address": "127.0.0.1", "port": 0, "size": 16777216}'

prints the port, then serves until killed. Every name is a file of `size` bytes, or a folder. The
server implements the calls for opening, reading, and leaving (RFC 1813, with MOUNT in its appendix
I) over RPC with record marks (RFC 5531). It answers other calls with PROC_UNAVAIL, so that a client
reports them.

NFS 4.1 needs sessions and compounds, and so would need a null target of its own. Its client does
more work per READ, so this server shows an upper bound for it too.
"""

import json
import struct
import sys

from experiments.training_io.null import accept_loop

MOUNT, NFS = 100005, 100003
ACCEPTED = struct.pack(">5I", 1, 0, 0, 0, 0)  # a reply, accepted, without a verifier, successful
UNAVAILABLE = struct.pack(">5I", 1, 0, 0, 0, 3)
FILE, FOLDER = b"file", b"dir "  # the handles
LARGEST = 1 << 20


def attributes(handle, size):
    """Return a fattr3."""
    kind, mode = (2, 0o755) if handle == FOLDER else (1, 0o644)
    return struct.pack(">5I2Q2I2Q6I", kind, mode, 1, 0, 0, size, size, 0, 0, 1, 1 + kind, *[1] * 6)


class Answers:
    """Replies to calls, prepared once if possible. `call` maps a call's record to a reply's."""

    def __init__(self, size):
        self._size, self._reads = size, {}
        self._known = here = {
            handle: struct.pack(">I", 1) + attributes(handle, size) for handle in (FILE, FOLDER)
        }
        fsinfo = struct.pack(">7IQ3I", *[LARGEST, LARGEST, 4096] * 2, 4096, 1 << 40, 0, 1, 0x1B)
        self._fixed = {
            (MOUNT, 1): struct.pack(">II4sII", 0, 4, FOLDER, 1, 1),
            (MOUNT, 3): b"",  # the client leaves
            (NFS, 19): bytes(4) + here[FOLDER] + fsinfo,
            (NFS, 18): bytes(4) + here[FOLDER] + struct.pack(">6QI", *[1 << 40] * 6, 0),
            (NFS, 20): bytes(4) + here[FOLDER] + struct.pack(">6I", 1, 255, 1, 1, 0, 1),
        }

    def call(self, record):
        xid, _, _, program, _, procedure = struct.unpack_from(">6I", record)
        place = 24
        for _ in range(2):  # credentials and verifier
            place += 8 + (struct.unpack_from(">I", record, place + 4)[0] + 3) // 4 * 4
        body = self._body(program, procedure, record, place)
        return struct.pack(">I", xid) + (UNAVAILABLE if body is None else ACCEPTED + body)

    def _body(self, program, procedure, record, place):
        if procedure == 0:
            return b""
        if (program, procedure) in self._fixed:
            return self._fixed[program, procedure]
        if program != NFS:
            return None
        handle = record[place + 4 : place + 8]
        if procedure == 6:
            return self._read(*struct.unpack_from(">QI", record, place + 8))
        if procedure == 1:
            return bytes(4) + attributes(handle, self._size)
        if procedure == 4:
            return bytes(4) + self._known[handle] + record[place + 8 : place + 12]
        if procedure == 3:
            named = self._named(record, place + 8)
            return struct.pack(">II4s", 0, 4, named) + self._known[named] + self._known[FOLDER]
        return None

    @staticmethod
    def _named(record, place):
        """Return the handle of a name. "." and ".." are folders; so is "null", the client's own."""
        length = struct.unpack_from(">I", record, place)[0]
        return FOLDER if record[place + 4 : place + 4 + length] in (b".", b"..", b"null") else FILE

    def _read(self, offset, count):
        count = max(0, min(count, LARGEST, self._size - offset))
        ends = offset + count >= self._size
        if (count, ends) not in self._reads:
            head = bytes(4) + self._known[FILE] + struct.pack(">III", count, ends, count)
            self._reads[count, ends] = head + bytes((count + 3) // 4 * 4)
        return self._reads[count, ends]


def split(data):
    """Return (the complete calls in `data`, each a single fragment; what follows them)."""
    calls = []
    while len(data) >= 4:
        end = 4 + (struct.unpack_from(">I", data)[0] & 0x7FFFFFFF)
        if len(data) < end:
            break
        calls.append(data[4:end])
        data = data[end:]
    return calls, data


def serve(address, port, size):
    answers = Answers(size)

    def reply(call):
        body = answers.call(call)
        return struct.pack(">I", 0x80000000 | len(body)) + body

    accept_loop.serve(address, port, split, reply)


if __name__ == "__main__":
    serve(**json.loads(sys.argv[1]))

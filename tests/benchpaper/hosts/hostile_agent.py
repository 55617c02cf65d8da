"""A fake `ssh` whose host speaks the agent's protocol as a file says: well, or badly.

    hostile_agent.py BEHAVIOUR.json

It runs in the folder of a connection, as ssh does. The file holds {"complaints": how many on
standard error, after which it ends, "greeting": bytes, "orders":
{order: bytes}, "answers": {operation: behaviour}}. A behaviour is {"value": ...} (a good answer),
{"error": ...}, {"message": ...} (all of the answer), or {"bytes": ...}; with "drip", the bytes come
one by one, so many seconds apart; with "again", for ever. Bytes are written as text in Latin-1.
"""

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time


def main(path):
    with open(path) as file:
        behaviour = json.load(file)
    for _ in range(behaviour["complaints"]):
        os.write(2, b"\x1b[2Jno\r\x00 " * 1000)
    if behaviour["complaints"]:
        return
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("agent")  # what ssh would forward
    listener.listen(64)
    threading.Thread(target=accept, args=(listener, behaviour["answers"]), daemon=True).start()
    source = sys.stdin.buffer
    source.read(json.loads(source.readline())["size"])  # the true agent
    say(behaviour["greeting"])
    for line in source:
        with contextlib.suppress(ValueError):
            say(behaviour["orders"].get(next(iter(json.loads(line)))))


def say(text):
    if text is not None:
        os.write(1, text.encode("latin-1"))


def accept(listener, answers):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, answers), daemon=True).start()


def serve(connection, answers):
    with contextlib.suppress(OSError, struct.error, ValueError):
        while True:
            (size,) = struct.unpack("<I", connection.recv(4, socket.MSG_WAITALL))
            request = json.loads(connection.recv(size, socket.MSG_WAITALL))
            answer(connection, request, answers[request["do"]])
    with contextlib.suppress(OSError):
        while connection.recv(1 << 16):  # the bytes of a file
            pass
    connection.close()


def answer(connection, request, behaviour):
    if "bytes" in behaviour:
        data = behaviour["bytes"].encode("latin-1")
    elif "message" in behaviour:
        data = framed(behaviour["message"])
    else:
        data = framed({**behaviour, "request": request["request"]})
    while True:
        if "drip" in behaviour:
            for byte in data:
                connection.sendall(bytes([byte]))
                time.sleep(behaviour["drip"])
        else:
            connection.sendall(data)
        if "again" not in behaviour:
            break
    if behaviour.get("close"):
        connection.shutdown(socket.SHUT_RDWR)


def framed(message):
    data = json.dumps(message).encode()
    return struct.pack("<I", len(data)) + data


if __name__ == "__main__":
    main(sys.argv[1])

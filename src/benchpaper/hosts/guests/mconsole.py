"""The management console of User-Mode Linux: stops and continues a whole guest.

Stopping its processes by a signal would make the guest panic. The protocol is the kernel's
(arch/um/drivers/mconsole.h).
"""

import os
import socket
import struct
from contextlib import closing, suppress
from pathlib import Path

MAGIC, VERSION, MAX_DATA = 0xCAFEBABE, 2, 512
REQUEST, REPLY = struct.Struct(f"<III{MAX_DATA}s"), struct.Struct("<III")
ANSWER_S = 10.0
CLIENT = "client"  # the socket that the kernel answers to


def command(folder: Path, guest: str, words: str) -> str:
    """Give a guest's kernel a command ("stop", "go", "version"), and return its answer.

    `folder` is the folder that both see as their current one: the kernel's socket lies in it, and
    paths of sockets are short. Raises `OSError` if the kernel does not answer or refuses.
    """
    before = os.open(".", os.O_RDONLY)
    os.chdir(folder)
    try:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as client:
            client.settimeout(ANSWER_S)
            with suppress(FileNotFoundError):
                os.unlink(CLIENT)
            client.bind(CLIENT)
            request = REQUEST.pack(MAGIC, VERSION, len(words), words.encode())
            client.sendto(request, f"uml/{guest}/mconsole")
            answer = client.recv(REPLY.size + MAX_DATA)
    finally:
        os.fchdir(before)
        os.close(before)
    failed, _, length = REPLY.unpack_from(answer)
    text = answer[REPLY.size :][:length].rstrip(b"\0").decode(errors="replace")
    if failed:
        raise OSError(f"the guest's kernel refused to {words}: {text}")
    return text

"""TCP proxy that delivers every byte `delay_ms` later, each way: a longer wire, at any rate.

    PLAN='{"address": "127.0.0.1", "port": 5000, "to": ["127.0.0.1", 80], "delay_ms": 5}'
    python -m experiments.systems.environment.delay_proxy "$PLAN"

It needs no queueing discipline for delay (netem). The event loop wakes up to 1 ms late, and each
connection may have `IN_FLIGHT` chunks under way; measure the true delay where it matters. Opening a
connection is not delayed.
"""

import asyncio
import json
import socket
import sys

CHUNK, IN_FLIGHT = 1 << 18, 256


async def carry(reader, writer, delay_s):
    """Copy what arrives to `writer`, each chunk `delay_s` after it arrived."""
    chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(IN_FLIGHT)
    loop = asyncio.get_running_loop()

    async def receive():
        try:
            while data := await reader.read(CHUNK):
                await chunks.put((loop.time() + delay_s, data))
        except ConnectionError:
            pass
        await chunks.put((loop.time() + delay_s, b""))

    receiving = asyncio.create_task(receive())
    try:
        while True:
            due, data = await chunks.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()  # the other direction ends with it
    finally:
        receiving.cancel()


async def serve(address, port, to, delay_ms):
    """Listen on `address` and `port`, and carry each connection to the host and port in `to`."""

    async def connection(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*to)
        except OSError:
            writer.close()
            return
        for end in (writer, far_writer):
            end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.gather(
            carry(reader, far_writer, delay_ms / 1e3), carry(far_reader, writer, delay_ms / 1e3)
        )
        writer.close()
        far_writer.close()

    server = await asyncio.start_server(connection, address, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(**json.loads(sys.argv[1])))

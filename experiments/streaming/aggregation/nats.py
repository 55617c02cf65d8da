"""Aggregation through a NATS server: a publisher sends each event as a message to a subscriber."""

# The metric lines_of_code counts the lines of this file, so the formatter must not change them.
# fmt: off
# ruff: noqa: E501

import asyncio
import socket

import nats

from experiments.streaming.aggregation import State, add

WAIT_S = 20
AHEAD = 20_000  # limit of events in flight: core NATS drops what a slow subscriber does not take


def run(job):
    host, port = job.endpoint.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()  # nats-py would keep trying
    except OSError as error:
        raise SystemExit(f"the broker at {job.endpoint} refuses: {error.strerror or error}") from None
    asyncio.run(asyncio.wait_for(through(job), 4 * WAIT_S))


async def through(job):
    publisher, subscriber = [await nats.connect(f"nats://{job.endpoint}", allow_reconnect=False) for _ in range(2)]
    state: State = {"number": 0, "current": 0, "totals": {}}
    done = asyncio.get_running_loop().create_future()

    async def aggregate(message):
        number = state["number"]
        if number // job.length != state["current"]:
            job.take(state["current"], state["totals"])
            state["totals"], state["current"] = {}, number // job.length
        add(state["totals"], int.from_bytes(message.data, "little", signed=True))
        state["number"] = number + 1
        if number + 1 == len(job.events):
            job.take(state["current"], state["totals"])
            done.set_result(None)

    await subscriber.subscribe("events", cb=aggregate, pending_msgs_limit=2 * AHEAD)
    await subscriber.flush()
    for number, event in job.source():
        await publisher.publish("events", event.to_bytes(8, "little", signed=True))
        if number % 500 == 0:
            await publisher.flush()
            while number - state["number"] > AHEAD // 2:
                await asyncio.sleep(0.001)
    await publisher.flush()
    try:
        await asyncio.wait_for(done, WAIT_S)
    except TimeoutError:
        raise TimeoutError(f"the server delivered {state['number']} of {len(job.events)} events") from None
    finally:
        await publisher.close()
        await subscriber.close()

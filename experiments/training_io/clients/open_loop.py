"""S3 GETs in an open and in a closed loop, to show what coordinated omission hides.

    python -m experiments.training_io.clients.open_loop \\
        '{"store": {...}, "names": [...], "connections": 8, "closed_seconds": 1.0, ...}'

Open loop: requests are due at random times (Poisson), drawn beforehand. A request that finds all
connections busy waits for one, and its latency counts from the time when it was due. The same run
also reports each request's latency from the time of sending, as a client that waits for answers
does. Closed loop: every connection sends its next request when it has its answer. The resulting
rate is the capacity for that number of connections.
"""

import json
import resource
import sys
import threading
import time

import numpy as np

from experiments.systems.environment.on_time import wake_up_on_time
from experiments.training_io.clients import stores


def due_times(rate, seconds, seed):
    """Return the times at which requests are due, in seconds from the start, sorted.

    They are a Poisson process, conditioned on its number of rate·seconds requests.
    """
    count = max(1, round(rate * seconds))
    return np.sort(np.random.default_rng(seed).uniform(0, seconds, count))


def run(store, names, connections, due=None, seconds=None, seed=0):
    """Send requests at the `due` times, or without them in a closed loop for `seconds`.

    Return a dict: latencies in µs in the order of the requests, from when due (`intended_us`) and
    from when sent (`sent_us`), elapsed seconds, rate per second, and the share of a core used.
    """
    threads, taken, lock = [], [0], threading.Lock()
    rows, errors = [], []
    pick = np.random.default_rng(seed).integers(0, len(names), 1 << 16).tolist()
    begun = [0.0]
    gate = threading.Barrier(connections, action=lambda: begun.__setitem__(0, time.perf_counter()))

    def take():
        with lock:
            taken[0] += 1
            return taken[0] - 1

    def work():
        wake_up_on_time()
        samples = []
        try:
            store.get(names[0])  # connects
            gate.wait()
            now = begun[0]
            while True:
                number = take()
                if (due is not None and number >= len(due)) or (
                    due is None and now - begun[0] > seconds
                ):
                    break
                intended = begun[0] + due[number] if due is not None else time.perf_counter()
                if (left := intended - time.perf_counter()) > 0:
                    time.sleep(left)
                sent = time.perf_counter()
                store.get(names[pick[number % len(pick)]])
                now = time.perf_counter()
                samples.append((number, now - intended, now - sent, now))
        except threading.BrokenBarrierError:
            pass  # the thread that aborted the gate records its error
        except Exception as error:
            errors.append(error)
            gate.abort()
        finally:
            store.close()
        rows.extend(samples)

    for _ in range(connections):
        threads.append(threading.Thread(target=work, daemon=True))
        threads[-1].start()
    cpu = _cpu_s()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    rows.sort()
    elapsed = max(row[3] for row in rows) - begun[0]
    return {
        "intended_us": [1e6 * row[1] for row in rows],
        "sent_us": [1e6 * row[2] for row in rows],
        "elapsed_s": elapsed,
        "rate": len(rows) / elapsed,
        "cpu_share": (_cpu_s() - cpu) / elapsed,
    }


def _cpu_s():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(text):
    """Measure the capacity in a closed loop, then run an open loop at `load` times that rate.

    With `rate`, only run an open loop at that rate.
    """
    plan = json.loads(text)
    sys.setswitchinterval(0.0002)
    store, names = stores.open_store(plan["store"]), plan["names"]
    rate = plan.get("rate")
    answer = {}
    if not rate:
        closed = run(
            store, names, plan["connections"], seconds=plan["closed_seconds"], seed=plan["seed"]
        )
        rate = plan["load"] * closed["rate"]
        answer = {
            "capacity": closed["rate"],
            "closed_us": closed["sent_us"],
            "closed_cpu_share": closed["cpu_share"],
        }
    due = due_times(rate, plan["requests"] / rate, plan["seed"])
    answer |= {
        "asked_rate": rate,
        **run(store, names, plan["connections"], due=due, seed=plan["seed"]),
    }
    print(json.dumps(answer | {"requests": store.requests, "bytes": store.bytes}))


if __name__ == "__main__":
    main(sys.argv[1])

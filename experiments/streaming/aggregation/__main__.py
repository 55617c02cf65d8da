"""Run one engine over the input, and print its answers and costs as JSON."""

import importlib
import json
import re
import sys
import time
from array import array
from pathlib import Path

from experiments.streaming.aggregation import MASK, Job


def main(engine, path, length, seconds, samples, endpoint=""):
    events = array("q")
    events.frombytes(Path(path).read_bytes())
    run = importlib.import_module(f"experiments.streaming.aggregation.{engine}").run
    result = passes(lambda: _pass(run, events, int(length), endpoint), float(seconds))
    with open(samples, "wb") as file:
        array("d", result.pop("latencies")).tofile(file)
    print(json.dumps(result))


def _pass(run, events, length, endpoint):
    job = Job(events, length, endpoint)
    run(job)
    return job


def passes(once, seconds):
    """Run passes until `seconds` have passed, and return their sums and times.

    The first pass is a warm-up, unless it alone takes that long.
    """
    cpu, begin = time.process_time(), time.perf_counter()
    jobs = [once()]
    if time.perf_counter() - begin < seconds:
        cpu, begin, jobs = time.process_time(), time.perf_counter(), []
        while time.perf_counter() - begin < seconds:
            jobs.append(once())
    busy = sum(job.last - job.begin for job in jobs)
    return {
        "passes": len(jobs),
        "events": sum(len(job.events) for job in jobs),
        "rows": sum(job.rows for job in jobs),
        "checksum": sum(job.checksum for job in jobs) & MASK,
        "seconds": busy,
        "start_s": (time.perf_counter() - begin - busy) / len(jobs),
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resident_peak(),
        "latencies": jobs[-1].latencies,
    }


def resident_peak():
    """Return the peak resident memory of this process in MiB.

    getrusage would not do, because its peak starts at that of the parent process.
    """
    return int(re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])

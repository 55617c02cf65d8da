"""fio, the usual source of single numbers: random and sequential reads past the page cache."""

import json
import shutil
import subprocess
from typing import Any

from benchpaper import capability

KNOWN = "2.2 to 2.99 and 3.0 to 3.4x"  # versions whose JSON `parse` reads
PERCENTILES = {"p50_us": "50.000000", "p99_us": "99.000000", "p999_us": "99.900000"}


@capability("fio", "fio, which measures block and file input and output", "install the package fio")
def _fio():
    if not shutil.which("fio"):
        return False, "no fio on PATH"
    return True, version()


def version():
    """Return fio's version, or "none"."""
    try:
        said = subprocess.run(["fio", "--version"], capture_output=True, text=True).stdout
    except OSError:
        return "none"
    return said.strip().removeprefix("fio-")


def read(host, path, *, pattern, block, seconds, jobs=1, depth=1, direct=True):
    """Read the file `path` on a host for `seconds`.

    `pattern` is "randread" or "read". Each of `jobs` processes keeps `depth` requests outstanding,
    by Linux's asynchronous interface if that is more than one. A block may come twice before
    another comes once (`norandommap`), as in this project's own client. Without a path, fio's
    engine "null" reads nothing, which measures fio itself. Returns what `parse` does.

    Raises `HostError` with fio's message if fio fails, for example for `direct` on a file system
    without O_DIRECT, and `RuntimeError` if fio read for too short a time.
    """
    engine = "psync" if depth == 1 else "libaio"
    of = [f"--filename={path}", f"--ioengine={engine}", f"--direct={int(direct)}"]
    if path is None:
        of = ["--ioengine=null", "--size=16m"]
    done = host.run(
        [
            "fio",
            "--name=read",
            *of,
            f"--rw={pattern}",
            f"--bs={block}",
            f"--numjobs={jobs}",
            f"--iodepth={depth}",
            "--time_based",
            f"--runtime={round(1e3 * seconds)}ms",
            "--readonly",
            "--group_reporting",
            "--randrepeat=0",
            "--norandommap",
            "--output-format=json",
        ],
        timeout=60 + 2 * seconds,
    )
    result = parse(done.stdout)
    if result["runtime_s"] < 0.9 * seconds:
        raise RuntimeError(
            f"fio read for {result['runtime_s']:g} s, and was asked to for {seconds:g} s"
        )
    return result


def parse(text: str) -> dict[str, float]:
    """Return the numbers in fio's JSON, around which some versions print notes.

    They are IOPS, MB/s (10^6), operations, percentiles of the latency in µs, and the seconds spent
    reading. Version 2 gives latencies in µs and rates in KiB/s, version 3 latencies in ns and rates
    in B/s too. Raises `ValueError`, in one line, if fio read nothing, or for JSON of another form.
    """
    report = _report(text)
    release = report.get("fio version", "of no version")
    try:
        reads = report["jobs"][0]["read"]
        if not reads["total_ios"]:
            raise ValueError(
                f"{release} has read nothing; is the file empty, or the time too short?"
            )
        in_ns = "clat_ns" in reads
        latency, per_us = (reads["clat_ns"], 1e3) if in_ns else (reads["clat"], 1.0)
        percentiles = latency["percentile"]
        bytes_per_s = reads["bw_bytes"] if "bw_bytes" in reads else 1024 * reads["bw"]
        return {
            "iops": float(reads["iops"]),
            "mb_s": bytes_per_s / 1e6,
            "operations": reads["total_ios"],
            **{name: percentiles[key] / per_us for name, key in PERCENTILES.items()},
            "runtime_s": reads["runtime"] / 1e3,
        }
    except (KeyError, IndexError, TypeError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else "has no job that reads"
        raise ValueError(f"the JSON of {release} {what}; this program reads fio {KNOWN}") from None


def _report(text: str) -> dict[str, Any]:
    """Return the JSON object in fio's output, which begins a line of its own."""
    start = 0 if text.startswith("{") else text.find("\n{") + 1
    if start == 0 and not text.startswith("{"):
        raise ValueError(f"fio printed no JSON; it printed: {text.strip()[:200] or 'nothing'}")
    try:
        report, _ = json.JSONDecoder().raw_decode(text, start)
    except json.JSONDecodeError as error:
        raise ValueError(f"fio's JSON breaks off or is damaged: {error}") from None
    return report

"""fio, the usual source of single numbers: random and sequential reads past the page cache."""

import json
import shutil
import subprocess

from benchpaper import capability


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


def read(host, path, *, pattern, block, jobs, seconds, direct=True):
    """Read the file `path` on a host for `seconds`, with one outstanding request per job.

    `pattern` is "randread" or "read". Without a path, fio's engine "null" reads nothing, which
    measures fio itself. Return a dict: IOPS, MB/s (10^6), operations, median and 99th percentile
    of the latency in µs, and the seconds spent reading.

    Raises `HostError` with fio's message if fio fails, for example for `direct` on a file system
    without O_DIRECT, and `RuntimeError` if fio read for too short a time.
    """
    of = [f"--filename={path}", "--ioengine=psync", f"--direct={int(direct)}"]
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
            "--time_based",
            f"--runtime={round(1e3 * seconds)}ms",
            "--readonly",
            "--group_reporting",
            "--randrepeat=0",
            "--output-format=json",
        ]
    )
    result = parse(done.stdout)
    if result["runtime_s"] < 0.9 * seconds:
        raise RuntimeError(
            f"fio read for {result['runtime_s']:g} s, and was asked to for {seconds:g} s"
        )
    return result


def parse(text):
    """Return the numbers in fio's JSON, which some versions begin with a line of notes.

    Raises `ValueError` if fio read nothing.
    """
    reads = json.loads(text[text.index("{") :])["jobs"][0]["read"]
    if not reads["total_ios"]:
        raise ValueError("fio has read nothing")
    percentiles = reads["clat_ns"]["percentile"]
    return {
        "iops": reads["iops"],
        "mb_s": reads["bw_bytes"] / 1e6,
        "operations": reads["total_ios"],
        "p50_us": percentiles["50.000000"] / 1e3,
        "p99_us": percentiles["99.000000"] / 1e3,
        "runtime_s": reads["runtime"] / 1e3,
    }

"""fio's JSON, as its versions write it: the same run gives the same numbers."""

import json

import pytest

from experiments.training_io.clients import fio

PERCENTILES_US = {"1.000000": 60, "50.000000": 80, "99.000000": 250, "99.900000": 900}


def old(version, **more):
    """Version 2: latencies in µs, sizes and rates in KiB."""
    return dict(
        io_bytes=120_000,
        bw=4000,
        iops=1000.25,
        runtime=30_000,
        total_ios=30_000,
        short_ios=0,
        drop_ios=0,
        slat=dict(min=0, max=0, mean=0.0, stddev=0.0),
        clat=dict(min=50, max=2000, mean=90.0, stddev=30.0, percentile={**PERCENTILES_US, **more}),
        lat=dict(min=50, max=2001, mean=90.2, stddev=30.0),
        bw_min=3900,
        bw_max=4100,
    )


def new(version):
    """Version 3: latencies in ns, sizes in B, rates in KiB/s and B/s."""
    in_ns = {name: 1000 * value for name, value in PERCENTILES_US.items()}
    slat = dict(min=0, max=0, mean=0.0, stddev=0.0, N=0)
    return dict(
        io_bytes=122_880_000,
        io_kbytes=120_000,
        bw_bytes=4_096_000,
        bw=4000,
        iops=1000.25,
        runtime=30_000,
        total_ios=30_000,
        slat_ns=slat,
        clat_ns=dict(min=50_000, max=2_000_000, mean=9e4, stddev=3e4, N=30_000, percentile=in_ns),
        lat_ns=dict(min=50_000, max=2_001_000, mean=9.02e4, stddev=3e4, N=30_000),
    )


def report(version, reads, before="", after=""):
    jobs = [{"jobname": "read", "groupid": 0, "error": 0, "read": reads, "write": {"total_ios": 0}}]
    content = {"fio version": f"fio-{version}", "timestamp": 1, "jobs": jobs}
    return before + json.dumps(content, indent=2) + after


NOTE = "read: (g=0): rw=randread, bs=(R) 4096B-4096B, iodepth=32\nStarting 1 process\n"
WRITTEN = [
    report("2.2.10", old("2.2.10")),
    report("2.15", old("2.15", **{"0.00": 0})),
    report("2.21", old("2.21")),
    report("3.1", new("3.1")),
    report("3.33", new("3.33")),
    report("3.42-6-g219f", new("3.42"), before=NOTE, after="\n\nfio: a note at the end {\n"),
]


@pytest.mark.parametrize("text", WRITTEN)
def test_every_version_gives_the_same_numbers(text):
    assert fio.parse(text) == pytest.approx(
        dict(
            iops=1000.25,
            mb_s=4.096,
            operations=30_000,
            p50_us=80,
            p99_us=250,
            p999_us=900,
            runtime_s=30,
        )
    )


def without(reads, name):
    return {key: value for key, value in reads.items() if key != name}


REFUSED = [
    (
        report("1.59", without(old(""), "total_ios")),
        "has no 'total_ios'; .* reads fio 2.2",
    ),
    (report("4.0", without(new(""), "clat_ns")), "fio-4.0 has no 'clat'; this program reads"),
    (report("3.33", {**new(""), "total_ios": 0}), "fio-3.33 has read nothing"),
    (report("3.33", new(""))[:-20], "breaks off or is damaged"),
    ('{"jobs": []}', "of no version has no job that reads"),
    ("fio: engine libaio not loadable\n", "printed no JSON; it printed: fio: engine libaio"),
    ("", "printed: nothing"),
    ('{"jobs": [{"read": null}]}', "has no job that reads"),
]


@pytest.mark.parametrize("text, message", REFUSED)
def test_another_form_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as refused:
        fio.parse(text)
    assert "\n" not in str(refused.value)

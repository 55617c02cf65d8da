"""Parts of the object store, and the other systems of the ladder."""

import ctypes
import importlib.util
import os
import random
import shutil
import subprocess

import numpy as np
import pytest
from busy_machine import tried_again

from experiments.rdma import store

pytestmark = pytest.mark.skipif(
    not importlib.util.find_spec("libucx")
    or not shutil.which("cc")
    or len(os.sched_getaffinity(0)) < 2,
    reason="needs the libucx wheel, a C compiler and two CPUs",
)


# ---- parts: the checksum, and the table against a dictionary ----


def library(folder, name, *flags):
    output = folder / f"{name}.so"
    files = [str(store.FOLDER / file) for file in ("digest.c", "table.c")]
    subprocess.run(
        [
            "cc",
            "-std=c11",
            "-O2",
            "-march=x86-64-v2",
            "-shared",
            "-fPIC",
            *flags,
            *files,
            "-o",
            output,
        ],
        check=True,
    )
    loaded = ctypes.CDLL(str(output))
    loaded.digest.restype = ctypes.c_uint64
    loaded.digest.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    return loaded


def test_the_checksum_tells_every_line_and_its_place(tmp_path):
    fast, plain = (
        library(tmp_path, "fast"),
        library(tmp_path, "plain", "-D__builtin_cpu_supports(x)=0"),
    )
    lines = [random.Random(n).randbytes(64) for n in range(65)]
    whole = fast.digest(b"".join(lines), 65)
    assert plain.digest(b"".join(lines), 65) == whole  # with and without AVX2
    seen = {whole, *(fast.digest(b"".join(lines[:n]), n) for n in range(65))}
    for n in range(65):  # a line of another version, two lines swapped, one bit flipped
        other, swapped, flipped = list(lines), list(lines), list(lines)
        other[n] = random.Random(1000 + n).randbytes(64)
        swapped[n], swapped[n - 1] = swapped[n - 1], swapped[n]
        flipped[n] = bytes([lines[n][0] ^ 1]) + lines[n][1:]
        seen |= {fast.digest(b"".join(changed), 65) for changed in (other, swapped, flipped)}
    assert len(seen) == 66 + 3 * 65


class Place(ctypes.Structure):
    _fields_ = [("line", ctypes.c_uint32), ("lines", ctypes.c_uint32)]


FILL = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64, ctypes.c_uint64, ctypes.c_void_p
)


def test_the_table_is_a_dictionary(tmp_path):
    """20,000 random operations on a nearly full table agree with a Python dictionary."""
    table = library(tmp_path, "table")
    lines, capacity = 1 << 16, 300
    raw = ctypes.create_string_buffer((lines + 1) * 64)
    memory = (ctypes.addressof(raw) + 63) & ~63
    table.create_table.restype = ctypes.c_void_p
    table.create_table.argtypes = [
        ctypes.c_void_p,
        ctypes.c_uint64,
        ctypes.c_uint64,
        ctypes.c_uint64,
    ]
    created = ctypes.c_void_p(table.create_table(memory, lines, capacity, 1))
    fill = FILL(
        lambda value, length, hash, version, source: ctypes.memmove(value, source, length) and None
    )
    table.put.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
        FILL,
        ctypes.c_char_p,
    ]
    table.find.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(Place)]
    table.discard.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    draw, model = random.Random(5), {}
    for step in range(20_000):
        key = b"key-%d" % draw.randrange(400)
        if draw.random() < 0.6:
            value = draw.randbytes(draw.choice([0, 8, 50, 200]))
            stored = table.put(created, key, len(key), len(value), fill, value)
            assert stored == (0 if key in model or len(model) < capacity else 3), step
            if stored == 0:
                model[key] = value
        else:
            assert table.discard(created, key, len(key)) == (
                1 if model.pop(key, None) is not None else 2
            ), step
        probe, place = b"key-%d" % draw.randrange(400), Place()
        result = table.find(created, probe, len(probe), ctypes.byref(place))
        assert result == (1 if probe in model else 2), step
        if result == 1:
            begin = (24 + len(probe) + 7) & ~7
            held = ctypes.string_at(memory + place.line * 64 + begin, len(model[probe]))
            assert held == model[probe], step
    assert len(model) == capacity or len(model) > capacity * 0.7


def test_the_reports_of_one_latency():
    from experiments.rdma.percentiles import experiment as percentiles

    answers = percentiles.reports(np.concatenate([np.full(3000, 4.0), np.full(2048, 2.0)]))
    assert (
        answers["median_us"],
        answers["half_median_us"],
        answers["median_last_us"],
        answers["p99_last_us"],
    ) == (4.0, 2.0, 2.0, 2.0)
    assert (
        answers["p99_us"] == answers["p999_us"] == answers["largest_us"] == 4.0
        and answers["least_us"] == 2.0
    )
    assert (
        answers["mean_us"] == pytest.approx((3000 * 4 + 2048 * 2) / 5048)
        and answers["half_mean_us"] == answers["mean_us"] / 2
    )


# ---- the other systems of the ladder ----


def one_trial(name, host, programs, counts=None, **levels):
    """One trial of scale smoke, with other `counts` where they are given."""
    from types import SimpleNamespace

    experiment = importlib.import_module(f"experiments.rdma.{name}.experiment").experiment
    result = [
        cell
        for cell in experiment.cells("smoke")
        if all(cell.levels[k] == v for k, v in levels.items())
    ]
    counts = SimpleNamespace(**{**experiment.scale("smoke").counts, **(counts or {})})
    site = SimpleNamespace(server=host, client=host, seed=7, programs=programs, counts=counts)
    [observation] = experiment._trial(result[0], site)
    return observation


@pytest.mark.parametrize("path", ["http", "rclone-obstore", "null-python"])
def test_other_systems_hand_out_what_was_put(host, tmp_path, path, left_behind):
    result = one_trial("object_get", host, tmp_path, path=path, size_bytes=4096)
    assert (
        len(result["latency_us"]) >= 100
        and result["gets_per_s"] > 0
        and not left_behind().get("processes")
    )


@tried_again(10)  # a reader that is held up stalls as well
def test_a_stopped_server_stalls_messages_and_not_reads(host, binary):
    @tried_again(10, RuntimeError, match="ended before the stop did")
    def stalled(path):
        counts = dict(milliseconds=1500, stop_ms=500)
        return one_trial("target_stall", host, binary.parent, counts, path=path, server="stopped")

    read, by_message = (stalled(path) for path in ("cached", "message"))
    assert by_message["stall_share"] > 0.9 and read["stall_share"] < by_message["stall_share"]

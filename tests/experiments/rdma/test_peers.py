"""What a user would pick instead of our store: right bytes, and their own evidence of the path."""

import socket
import threading
from types import SimpleNamespace

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts.local import LocalHost
from experiments.rdma import get_paths, peers
from experiments.rdma.object_get.experiment import experiment
from experiments.systems import resp, ucx

PEERS = [(path, fabric) for path in peers.NEEDS for fabric in get_paths.FABRICS.get(path, ("tcp",))]


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)


@pytest.mark.parametrize("path, fabric", PEERS)
def test_a_peer_hands_out_what_was_put_and_says_how(host, path, fabric, left_behind):
    for need in get_paths.needs(path, fabric):
        present, detail = find_capability(need).check()
        if not present:
            pytest.skip(f"{need}: {detail}")
    [cell] = [
        cell for cell in experiment.cells("full")
        if (cell.path, cell.fabric, cell.size_bytes) == (path, fabric, 4096)
    ]  # fmt: skip
    counts = SimpleNamespace(fast=100, slow=60, large=3)
    site = SimpleNamespace(server=host, client=host, seed=7, counts=counts)
    [seen] = experiment._trial(cell, site)
    assert len(seen["latency_us"]) == 60 and seen["transport_used"] == fabric
    assert path.removesuffix(ucx.EMULATED) in seen["protocol_used"]
    assert seen["server_cpu_s_per_gb"] > 0 and not left_behind().get("processes")


def test_a_server_that_answered_less_is_an_error():
    """A client that got its objects from elsewhere, such as a cache of its own, is no result."""
    system = SimpleNamespace(stats=lambda: dict(get_hits=99), gets=lambda: 99)
    for path in ("memcached", "redis"):
        assert path in peers.evidence(path, "tcp", system, 99, "")
        with pytest.raises(ucx.EvidenceMismatch, match="100 GETs, but .* answered 99"):
            peers.evidence(path, "tcp", system, 100, "")


TABLE = """
[1795978756.38] | remote memory read by ucp_get*(multi) into host memory from host |
[1795978756.38] +--------+--------------------+------------------------------------+
[1795978756.38] | Range  |    Description     |               Config               |
[1795978756.38] +--------+--------------------+------------------------------------+
[1795978756.38] | 0..inf | {how} | {where} |
"""


@pytest.mark.parametrize("path, fabric, how, where, error", [
    ("nixl", "cma", "zero-copy  ", "cma/memory", None),
    ("nixl-emulated", "tcp", "software emulation", "tcp/lo", None),
    ("nixl", "cma", "software emulation", "tcp/lo", "asked for cma, but NIXL reads over tcp"),
    ("nixl", "tcp", "software emulation", "tcp/lo", "correct ucx.EMULATING"),
])  # fmt: skip
def test_how_nixl_reads_is_in_the_words_of_ucx(path, fabric, how, where, error):
    said = TABLE.format(how=how, where=where)
    if error is None:
        assert peers.evidence(path, fabric, None, 1, said) == f"nixl, {how.strip()}"
        return
    with pytest.raises(ucx.TransportMismatch, match=error):
        peers.evidence(path, fabric, None, 1, said)


def test_nixl_that_does_not_tell_is_an_error():
    with pytest.raises(ucx.TransportMismatch, match="does not tell how NIXL reads"):
        peers.evidence("nixl", "cma", None, 1, "no table")


@pytest.mark.parametrize("answer, result", [
    (b"+OK\r\n", b"OK"), (b"$5\r\na\r\nbc\r\n", b"a\r\nbc"), (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", "there is no such key"), (b"-ERR wrong\r\n", "-ERR wrong"),
    (b"$5\r\nab", "B came of an answer of 5 B"), (b"", "the connection is closed"),
    (b"$3\r\nabcde", "B came of an answer of 3 B"),
])  # fmt: skip
def test_answers_in_the_protocol_of_redis(answer, result):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def reply():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)

        thread = threading.Thread(target=reply)
        thread.start()
        with resp.Connection(listener.getsockname()) as connection:
            if isinstance(result, bytes):
                assert connection.call(b"GET", b"key") == result
            else:
                with pytest.raises(resp.ProtocolError, match=result):
                    connection.call(b"GET", b"key")
        thread.join()

"""Each real system on this machine: every view reads what was written; nothing is left."""

import functools
import os
import socket
import sys
import time

import pytest
from busy_machine import tried_again

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts import HostError
from benchpaper.hosts.local import LocalHost
from experiments.systems import (
    ganesha,
    juicefs,
    memcached,
    mooncake,
    nfs,
    origin,
    rclone,
    s3,
    seaweedfs,
    server,
    shaped,
)
from experiments.systems.environment import memory_limit

CONTENT = bytes(range(256)) * 64


def needs(*names):
    """Skip a test where a capability is missing, and say which."""
    missing = [name for name in names if not find_capability(name).check()[0]]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


@pytest.fixture
def host(tmp_path):
    return LocalHost(folder=tmp_path)


def written_and_read(endpoint, key="some/key"):
    store = endpoint.obstore()
    store.put(key, CONTENT)
    assert bytes(store.get(key).bytes()) == CONTENT
    return key


def refuses_wrong_credentials(endpoint):
    wrong = s3.Endpoint.from_dict({**endpoint.as_dict(), "secret_key": "0" * 32})
    with pytest.raises(Exception, match="(?i)403|signature|denied|forbidden"):
        s3.check(wrong)


def test_rclone_s3_is_a_folder_of_files(host, left_behind):
    with rclone.S3(host) as system:
        key = written_and_read(system.endpoint)
        assert (system.files / key).read_bytes() == CONTENT
        assert (
            system.endpoint.boto().get_object(Bucket=system.endpoint.bucket, Key=key)["Body"].read()
            == CONTENT
        )
        refuses_wrong_credentials(system.endpoint)
    assert left_behind() == {}


def test_rclone_nfs_and_s3_show_the_same_data(host, left_behind):
    uncached = [
        "--dir-cache-time",
        "0s",
    ]  # else the S3 side remembers for 5 minutes that there was no such file
    with (
        rclone.S3(host, options=uncached) as origin,
        rclone.NFS(host, origin.files, options=["--vfs-write-back", "0.1s"]) as system,
    ):
        with nfs.client(system.address, system.port, "3") as client:
            nfs.write(client, "x", CONTENT)
            assert nfs.read(client, "x") == CONTENT
            assert client.listdir(".") == ["x"]
        for _ in range(1000):  # until it is written back
            if (origin.files / "x").exists():
                break
            time.sleep(0.05)
        assert bytes(origin.endpoint.obstore().get("x").bytes()) == CONTENT
    assert left_behind() == {}


@needs("fuse")
def test_rclone_mounts_an_endpoint_and_counts_what_its_cache_holds(host, left_behind):
    with rclone.S3(host) as origin:
        key = written_and_read(origin.endpoint)
        with rclone.Mount(host, origin.endpoint, cache_mode="full") as mount:
            assert (mount.path / key).read_bytes() == CONTENT
            assert mount.rc("vfs/stats")["diskCache"]["files"] == 1
    assert left_behind() == {}


@needs("fuse")
def test_seaweedfs_mount_and_bucket_show_the_same_data(host, left_behind):
    with seaweedfs.SeaweedFS(host) as system:
        key = written_and_read(system.endpoint)
        assert bytes(system.endpoint.obstore().get_range(key, start=3, end=9)) == CONTENT[3:9]
        refuses_wrong_credentials(system.endpoint)
        with system.mount() as mount:
            assert (mount.path / key).read_bytes() == CONTENT
    assert left_behind() == {}


@needs("fuse")
def test_juicefs_mount_and_gateway_over_an_s3_origin(host, left_behind):
    with (
        rclone.S3(host) as origin,
        juicefs.JuiceFS(host, storage=origin.endpoint, block_kib=64) as volume,
    ):
        with volume.gateway() as endpoint:
            key = written_and_read(endpoint)
            refuses_wrong_credentials(endpoint)
        with volume.mount() as mount:
            assert (mount.path / key).read_bytes() == CONTENT
            assert mount.stats()["juicefs_blockcache_miss"] >= 1
        assert list(origin.endpoint.obstore().list(prefix=""))
    assert left_behind() == {}


@needs("fuse")
def test_juicefs_over_a_folder(host):
    with juicefs.JuiceFS(host) as volume, volume.mount() as mount:
        (mount.path / "x").write_bytes(CONTENT)
        assert (mount.path / "x").read_bytes() == CONTENT


@needs("ganesha")
def test_ganesha_exports_a_folder(host, left_behind):
    folder = host.scratch()
    with ganesha.Ganesha(host, folder) as system:
        with nfs.client(system.address, system.port, "4.1") as client:
            nfs.write(client, "x", CONTENT)
            assert nfs.read(client, "x") == CONTENT
        assert (folder / "x").read_bytes() == CONTENT
    assert left_behind() == {}


@needs("memcached")
def test_memcached_counts_hits_and_misses(host, left_behind):
    from pymemcache.client.base import Client

    with memcached.Memcached(host, 64) as system:
        client = Client((system.address, system.port))
        client.set("x", CONTENT)
        assert client.get("x") == CONTENT and client.get("y") is None
        assert (system.stats()["get_hits"], system.stats()["get_misses"]) == (1, 1)
        client.close()
    assert left_behind() == {}


MOONCAKE_CLIENT = """
import sys
from mooncake.store import MooncakeDistributedStore
address, metadata, master = sys.argv[1:]
store = MooncakeDistributedStore()
assert store.setup(address, metadata, 32 << 20, 16 << 20, "tcp", "", master) == 0
assert store.put("key", b"value") == 0
assert store.get("key") == b"value" and store.get("none") == b""
store.close()
"""


@needs("mooncake")
def test_mooncake_stores_an_object(host, left_behind):
    with mooncake.Mooncake(host) as master:
        where = [host.address, master.METADATA, f"{master.address}:{master.port}"]
        host.run([sys.executable, "-c", MOONCAKE_CLIENT, *where], timeout=120)
        assert "master_" in master.metrics()
    assert left_behind() == {}


@needs("nginx")
@pytest.mark.parametrize("system", [rclone.S3, seaweedfs.SeaweedFS])
def test_the_origins_log_tells_each_request(host, left_behind, system):
    with system(host) as server, origin.LoggedOrigin(host, server.endpoint) as logged:
        key = written_and_read(logged.endpoint, "some/key with blank")
        client = logged.endpoint.boto()
        part = client.get_object(Bucket=logged.endpoint.bucket, Key=key, Range="bytes=3-8")[
            "Body"
        ].read()
        assert part == CONTENT[3:9]
        refuses_wrong_credentials(logged.endpoint)
        put, get, ranged, refused = logged.requests()
        assert (put["method"], put["key"], put["status"]) == ("PUT", key, 200)
        assert (get["method"], get["key"], get["range"], get["bytes"]) == (
            "GET",
            key,
            "",
            len(CONTENT),
        )
        assert (ranged["range"], ranged["bytes"]) == ("bytes=3-8", 6)
        assert (refused["key"], refused["status"]) == (None, 403)
    assert left_behind() == {}


@pytest.mark.root
@needs("memory_cgroup")
def test_a_memory_limit_holds_and_goes(host):
    too_much = "print(sum(bytearray(b'x' * (64 << 20))))"
    with memory_limit.MemoryLimit(host, 32) as limit:
        assert limit.stats()["page_cache_bytes"] >= 0
        killed = host.run(limit.wrap([sys.executable, "-c", too_much]), check=False)
        assert killed.returncode == -9
        folder = limit.folder
    assert not folder.exists()


@pytest.mark.root
@needs("loop_devices")
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_a_file_system_in_a_file(host, left_behind, kind):
    with memory_limit.LoopFileSystem(host, kind, 320) as files:
        (files.path / "x").write_bytes(CONTENT)
        memory_limit.drop_caches(host)
        if kind != "btrfs":  # its mounts have no device number of their own
            before = memory_limit.device_bytes_read(host, files.path)
            assert (files.path / "x").read_bytes() == CONTENT
            assert memory_limit.device_bytes_read(host, files.path) >= before + len(CONTENT)
    assert left_behind() == {}


def seconds_of(call):
    """The shortest of five."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


@tried_again(10)
def test_a_delayed_endpoint_takes_two_delays_longer(host, left_behind):
    with rclone.S3(host) as system, shaped.Delayed(host, system.endpoint, 20) as far:
        key = written_and_read(far.endpoint)
        stores = [endpoint.obstore() for endpoint in (system.endpoint, far.endpoint)]
        near_s, far_s = [seconds_of(functools.partial(store.head, key)) for store in stores]
        assert 0.040 <= far_s - near_s < 0.060
    assert left_behind() == {}


@pytest.mark.root
@needs("netns")
@tried_again(5)
def test_a_thin_link_carries_what_it_is_given(host, left_behind):
    with shaped.Thin(host, 80) as behind, rclone.S3(behind) as system:
        store = system.endpoint.obstore()
        store.put("x", bytes(4 << 20))
        megabytes_per_s = 4 * 1.048576 / seconds_of(lambda: store.get("x").bytes())
        assert 7 < megabytes_per_s <= 10.5
    assert left_behind() == {}


@pytest.mark.parametrize(
    "system",
    [rclone, seaweedfs, mooncake, juicefs, ganesha, memcached],
    ids=lambda module: module.__name__,
)
def test_versions_are_known(system):
    assert system.version() == "none" or system.version()[0].isdigit()


def test_a_taken_port_is_replaced(host, monkeypatch):
    with socket.socket() as taken:
        taken.bind((host.address, 0))
        port, free_port, requests = taken.getsockname()[1], host.free_port, []

        def sometimes_taken():
            requests.append(1)
            return port if len(requests) == 1 else free_port()

        monkeypatch.setattr(host, "free_port", sometimes_taken)
        with rclone.S3(host) as system:
            assert len(requests) == 2 and f":{port}" not in system.endpoint.url


def test_a_server_that_does_not_come_up_is_reported_with_its_own_words(host):
    wanted = "rclone serve s3 ended with status .*no-such-option"
    with pytest.raises(HostError, match=wanted), rclone.S3(host, options=["--no-such-option"]):
        pass


@pytest.mark.parametrize("said, cause", {
    "Ganesha 6.5": (
        ["main :MAIN :EVENT :Starting", "gsh_dbus :DBUS :CRIT :dbus_bus_get failed",
            "main :MAIN :FATAL :Failed to PR_SET_IO_FLUSHER with EPERM",
         "gsh_backtrace :MAJ :stack backtrace follows:",
         *[f"/lib/libc.so.6(+0x29ca{n})" for n in range(8)]],
        "main :MAIN :FATAL :Failed to PR_SET_IO_FLUSHER with EPERM",
    ),
    "a program in Go": (
        ["starting", "panic: runtime error: index out of range", "goroutine 1 [running]:",
            *[f"main.f{n}()" for n in range(8)]],
        "panic: runtime error: index out of range",
    ),
    "a program in Rust": (
        ["thread 'main' panicked at src/main.rs:5:9:", "no such broker",
            "note: run with RUST_BACKTRACE=1", *[f"{n}: core" for n in range(8)]],
        "thread 'main' panicked at src/main.rs:5:9: no such broker",
    ),
    "nginx": (["nginx: [emerg] no such user", *["more"] * 8], "nginx: [emerg] no such user"),
    "an error, and what follows": (["error: no room", "a", "b", "c", "d", "e"],
        "error: no room | b | c | d | e"),
    "no such word": (["a", "a non-fatal one", "c", "d", "e", "f", "g"], "d | e | f | g"),
}.values())  # fmt: skip
def test_a_server_that_ends_is_told_with_the_cause_that_it_gave(host, said, cause):
    with pytest.raises(HostError) as raised:
        server.start(
            host,
            "a server",
            lambda port: ["sh", "-c", 'printf "%s\\n" "$@" >&2; exit 2', "sh", *said],
            lambda port: 1 / 0,
        )
    assert str(raised.value).endswith(f"it said: {cause}")


@pytest.mark.parametrize(
    "release, words",
    [
        ("V6.5", "told of it"),
        ("V10.1", "told of it"),
        ("V4.3", "not told"),
        ("unknown", "not told"),
    ],
)
def test_ganesha_is_told_to_go_on_without_a_privilege_where_it_knows_the_word(
    host, tmp_path, monkeypatch, release, words
):
    (tmp_path / "ganesha.nfsd").write_text(
        f'#!/bin/sh\n[ "$1" = -v ] && exec echo "NFS-Ganesha Release = {release}"\n'
        'grep -q "allow_set_io_flusher_fail = true;" "$3" && '
        "echo told of it || echo not "
        "told\nexit 2\n"
    )
    (tmp_path / "ganesha.nfsd").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with (
        pytest.raises(
            HostError,
            match=f"ganesha.nfsd ended with status 2 before it answered; it said: {words}",
        ),
        ganesha.Ganesha(host, tmp_path),
    ):
        pass


def test_a_server_that_never_answers_is_given_up(host, left_behind):
    def silent(port):
        raise OSError("connection refused")

    with pytest.raises(HostError, match="sleeper did not answer within 0.2 s .connection refused"):
        server.start(host, "sleeper", lambda port: ["sleep", 60], silent, timeout=0.2)
    assert left_behind() == {}

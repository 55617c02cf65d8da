"""The stacks of the multiprotocol family: what each needs, and real ones with real servers."""

import json
import shutil
import time
from types import SimpleNamespace

import pytest

from benchpaper.core.capabilities import find_capability
from benchpaper.hosts.local import LocalHost
from experiments.multiprotocol import kernel, running, settings, stacks, views
from experiments.multiprotocol.anomalies import attribution
from experiments.systems import ceph, s3fs

NEW = [*stacks.LATER, *stacks.SIDE_BY_SIDE]
PATIENCE_S = 60  # some of them look again after seconds


def skip_unless_available(system):
    capabilities = [find_capability(name) for name in stacks.needs(system)]
    lacking = [each.name for each in capabilities if not each.check()[0]]
    if lacking:
        pytest.skip(f"this machine cannot run {system}: needs {', '.join(lacking)}")


@pytest.fixture
def host(tmp_path):
    yield LocalHost(folder=tmp_path)
    shutil.rmtree(tmp_path, ignore_errors=True)


# ---- what is declared ----


SERVERLESS = (*stacks.CONTROLS, stacks.LOCAL)


@pytest.mark.parametrize("system", [name for name in stacks.LEVELS if name not in SERVERLESS])
def test_each_level_has_a_server_a_setting_and_a_remedy_for_what_it_lacks(system):
    server = stacks.server_of(system)
    assert hasattr(stacks.Stack, f"_{server.replace(' ', '_')}")
    assert stacks.valid(system, "default")
    assert server in (*stacks.ALL, *stacks.IN_GUESTS)
    for name in stacks.needs(system):
        assert find_capability(name).remedy


def test_a_setting_exists_where_its_options_are_known():
    options = {
        "rclone": settings.RCLONE_NFS,
        "juicefs": settings.JUICEFS,
        "seaweedfs": settings.SEAWEEDFS,
        "ganesha": settings.GANESHA,
        "rclone mount": settings.RCLONE_MOUNT,
        "s3fs": settings.S3FS,
    }
    for server, known in options.items():
        assert set(settings.OF[server]) == set(known)
    assert set(settings.OF) == set(stacks.ALL)
    assert not stacks.valid("ganesha libnfs", "relaxed") and stacks.valid("ganesha", "relaxed")
    assert not stacks.valid("nfsd kernel", "strict") and not stacks.valid("locked store", "strict")


def test_there_are_eight_stacks_and_more():
    assert len({*stacks.ALL, *stacks.IN_GUESTS}) >= 8


def test_kernel_clients_differ_from_the_ordinary_mount_in_one_thing_each():
    assert len(set(kernel.CLIENTS.values())) == len(kernel.CLIENTS)
    apart = kernel.CLIENTS["nfsd kernel two mounts nosharecache"]
    assert (apart.mounts, apart.options) == (2, ("nosharecache",))
    assert not kernel.CLIENTS["nfsd kernel undelegated"].delegations


def test_views_of_several_mounts_take_turns(tmp_path):
    paths = [str(tmp_path / name) for name in "ab"]
    endpoint = dict(url="http://127.0.0.1:9", bucket="b", access_key="A", secret_key="S")
    new = views.open_views({"file": {"kind": "mounted", "paths": paths}, "s3": endpoint})
    for path in paths:
        (tmp_path / path).mkdir()
    first, second, third = (new()[0] for _ in range(3))
    first.write("x", b"1")
    assert (second.read("x"), third.read("x")) == (None, b"1")


def test_a_version_is_found_in_what_s3fs_says():
    line = "Amazon Simple Storage Service File System V1.90 (commit:unknown) with GnuTLS(gcrypt)"
    assert s3fs.number(line) == "1.90" and s3fs.number("unknown") == "unknown"


def test_ceph_is_configured_in_its_own_folder_alone():
    values = dict(fsid="F", address="A", port=1, folder="DIR", keyring="DIR/k", memory=2)
    text = ceph.CONFIGURATION.format(**values)
    assert "/etc" not in text and "/var" not in text
    assert {line.partition(" = ")[0]: line for line in text.splitlines()}["admin socket ="]


# ---- real servers ----


def until(look):
    """Wait until `look()` is true; a look that fails is no answer yet."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if look():
                return
            said = "it never was"
        except Exception as error:
            said = repr(error)
        assert time.monotonic() < end, said
        time.sleep(0.05)


@pytest.mark.parametrize("system", NEW)
def test_each_side_of_a_stack_sees_what_the_other_wrote(host, system):
    skip_unless_available(system)
    with stacks.Stack(host, system, "strict") as described:
        assert json.loads(json.dumps(described)) == described
        file, objects = views.open_views(described)()
        views.prepare(file, "d")
        objects.put("d/a", b"from S3")
        file.write("d/b", b"from a file")
        until(lambda: file.read("d/a") == b"from S3")
        until(lambda: objects.get("d/b")[0] == b"from a file")
        until(lambda: {"d/a", "d/b"} <= file.names("d"))
        until(lambda: {"d/a", "d/b"} <= objects.names("d/"))
        assert file.stat("d/a")[0] == objects.head("d/a")[0] == 7
        objects.delete("d/a")
        until(lambda: file.read("d/a") is None and file.stat("d/a") is None)
        file.delete("d/b")
        until(lambda: objects.get("d/b") is None)
        file.close()


DUE = {  # SeaweedFS honours If-Match among clients of S3; rclone never does
    "rclone gateways": {"lost_update": attribution.S3_ALONE},
    "seaweedfs": {"lost_update": attribution.PAIR},
}


@pytest.mark.parametrize("system", DUE)
def test_an_anomaly_is_told_from_a_fault_of_the_s3_server(host, system):
    skip_unless_available(system)
    said, outcome = running.run(
        SimpleNamespace(server=host, client=host),
        SimpleNamespace(system=system, setting="default"),
        300,
        what="anomalies",
        tries=5,  # on a busy machine, the sides may agree too late for a try to be judged
        kind_s=30,
        once=True,
        seed=7,
        limit_s=60,
        attribute=True,
        kinds=list(DUE[system]),
    )
    assert outcome == "ran"
    assert {each["kind"]: attribution.described(False, each)["word"] for each in said} == DUE[
        system
    ], said

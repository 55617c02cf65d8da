"""What a test leaves on the machine is noticed; tests/conftest.py looks after the suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# ---- the machine is as before (tests/conftest.py looks after the whole suite) ----


def test_what_a_test_leaves_on_the_machine_is_noticed(left_behind, tmp_path):
    assert left_behind() == {}
    code = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print('ready', "
        "flush=True); time.sleep(60)"
    )
    server = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True
    )
    server.stdout.readline()
    shared = Path("/dev/shm", f"benchpaper-test-{os.getpid()}")
    opened = shared.open("w")  # what is in use is taken away by nobody
    try:
        assert {"processes", "listening ports", "POSIX shared memory"} <= set(left_behind())
    finally:
        opened.close()
        shared.unlink()
        server.kill()
        server.wait()
        server.stdout.close()
    assert not {"processes", "listening ports"} & set(left_behind())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts and namespaces need root")
def test_a_mount_and_a_namespace_that_a_test_leaves_are_noticed(left_behind, tmp_path):
    name = f"benchpaper-test-{os.getpid()}"
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("mount is not allowed here")
    try:
        assert "mounts" in left_behind()
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    if (
        shutil.which("ip")
        and subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    ):
        try:
            assert "network namespaces" in left_behind()
        finally:
            subprocess.run(["ip", "netns", "delete", name], check=True)

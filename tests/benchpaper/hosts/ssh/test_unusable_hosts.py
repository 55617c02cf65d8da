"""Hosts that cannot be used are refused with one line that says what to do."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
from lab_faults import restart

from benchpaper.core.errors import UserError
from benchpaper.hosts.fleet import Fleet
from benchpaper.hosts.site import Site
from benchpaper.hosts.ssh import connection, wheels
from benchpaper.hosts.ssh.connection import Unreachable

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]


# --- hosts that cannot be used ---------------------------------------------------------------


def refused(lab, **changes):
    begin = time.monotonic()
    site = Site("lab", (lab.described(1, **changes),))
    with pytest.raises(Unreachable) as error, Fleet(lab.lab.project, site):
        pass
    assert time.monotonic() - begin < 60 and "\n" not in str(error.value)
    return str(error.value)


def test_an_unknown_host_key_is_refused_whatever_the_users_configuration_says(lab, tmp_path):
    text = (lab.lab.folder / "ssh_config").read_text()
    (tmp_path / "empty").write_text("")
    text = re.sub(
        "UserKnownHostsFile .*",
        f"UserKnownHostsFile {tmp_path / 'empty'}\n    StrictHostKeyChecking no",
        text,
    )
    (tmp_path / "config").write_text(text)
    assert re.fullmatch(
        r'host "lab1" of site "lab": its host key is not known: connect once by hand \("ssh '
        r'-F \S+ 198.\S+"\), compare the '
        "fingerprint, and accept it", refused(lab, ssh_config=str(tmp_path / "config")),
    )  # fmt: skip
    assert (tmp_path / "empty").read_text() == ""


def test_a_host_key_that_changed_is_refused(lab, tmp_path):
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True
    )
    (tmp_path / "known").write_text(f"{lab.lab.address(1)} {(tmp_path / 'other.pub').read_text()}")
    text = (lab.lab.folder / "ssh_config").read_text()
    (tmp_path / "config").write_text(
        re.sub("UserKnownHostsFile .*", f"UserKnownHostsFile {tmp_path / 'known'}", text)
    )
    assert ": its host key is not the known one: find out why," in refused(
        lab, ssh_config=str(tmp_path / "config")
    )


def test_a_wrong_user_is_named(lab):
    message = refused(lab, user="nobody-here")
    assert message.startswith(
        'host "lab1" of site "lab": it did not let user "nobody-here" in: see that "ssh -F '
    )


def test_a_port_where_nobody_listens_and_an_address_that_is_not_there(lab):
    assert "Connection refused; see that" in refused(lab, port=9)
    assert re.search(
        (
            r"its interface lo does not have the address 198\.\S+ of the site file \(there are: "
            ".*eth0 198"
        ),
        refused(lab, interface="lo"),
    )


def test_a_host_that_accepts_and_never_answers_is_given_up(lab, tmp_path, monkeypatch):
    monkeypatch.setitem(connection.OPTIONS, "ConnectTimeout", 2)
    silent = subprocess.Popen(
        ["ip", "netns", "exec", lab.lab.namespace(1), sys.executable, "-c",
         (f"import socket, time; s = socket.create_server(('{lab.lab.address(1)}', 2222)); "
         "print('x', flush=True); time.sleep(60)")],
        stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        silent.stdout.readline()
        text = (lab.lab.folder / "known_hosts").read_text()
        assert text and "timed out" in refused(lab, port=2222)
    finally:
        silent.kill()
        silent.wait()
        silent.stdout.close()


NO_PYTHON = (
    'host "lab1" of site "lab": it has no Python: (run '
    '".*python.*" there|install Python '
    "3.11 or newer), "
    r"or name one in the site file \(python: /its/path\)"
)


@pytest.mark.parametrize("programs", [("sh", "bash"), ()])
def test_a_host_without_python_is_told_what_to_install(lab, tmp_path, programs):
    """Its PATH holds two shells, or nothing, plus what the user's login shell adds."""
    for program in programs:
        (tmp_path / program).symlink_to(shutil.which(program))
    restart(lab, 1, PATH=str(tmp_path))
    try:
        assert re.fullmatch(NO_PYTHON, refused(lab))
        with Fleet(
            lab.lab.project, Site("lab", (lab.described(1, python=sys.executable),))
        ) as fleet:
            assert fleet.links["lab1"].ask("clock")
    finally:
        restart(lab, 1)


def test_an_interpreter_of_the_site_file_that_is_not_there_is_told(lab):
    assert re.fullmatch(NO_PYTHON, refused(lab, python="/no/such/python"))


def test_packages_that_do_not_run_on_the_hosts_python_are_named():
    (numpy,) = [
        distribution for distribution in wheels.closure(["numpy"]) if distribution.name == "numpy"
    ]
    agent = {"version": list(sys.version_info[:2]), "machine": "x86_64", "libc": "2.36"}
    wheels.check_fits(numpy, agent, "big")
    for changed in ({"version": [3, 9]}, {"machine": "aarch64"}, {"libc": "2.5"}, {"libc": ""}):
        with pytest.raises(
            UserError,
            match=(
                r'^host "big" has Python .* does not run: install Python 3\.\d+ there \(or name '
                "one in"
            ),
        ):
            wheels.check_fits(numpy, {**agent, **changed}, "big")
    (pure,) = wheels.closure(["click"])
    wheels.check_fits(pure, {**agent, "version": [3, 99], "libc": ""}, "big")


def test_a_package_that_is_not_the_locked_one_is_refused(tmp_path):
    (tmp_path / "lock").write_text("click==0.1 \\\n    --hash=sha256:00\n")
    with pytest.raises(
        UserError,
        match=r"^the package click is \S+ here, but 0.1 in requirements.lock; run ./reproduce",
    ):
        wheels.closure(["click"], tmp_path / "lock")
    with pytest.raises(
        UserError,
        match=(
            '^the package "no-such-package" is to be sent to the hosts, but is not installed here'
        ),
    ):
        wheels.closure(["no-such-package"])

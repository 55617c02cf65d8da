"""What programs do with files, through each client of the file side."""

import contextlib
import shutil

import pytest

from benchpaper.hosts.local import LocalHost
from benchpaper.hosts.probe import CAPABILITIES
from experiments.multiprotocol import stacks
from experiments.multiprotocol.file_operations import Declined
from experiments.multiprotocol.views import open_views

DECLINES = {  # clients and servers that do not offer everything
    "local files": {"requests"},
    "juicefs": {"set_attribute", "requests"},
    "ganesha": {"create", "set_attribute", "locked", "requests"},
    "ganesha libnfs": {"set_attribute", "locked", "requests"},
}


@pytest.fixture(params=DECLINES)
def client(request, tmp_path):
    """Yield (file view with a folder "d", what it declines)."""
    system = request.param
    if not all(CAPABILITIES[name].check()[0] for name in stacks.needs(system)):
        pytest.skip(f"this machine cannot run {system}")
    host = LocalHost(folder=tmp_path)
    with stacks.Stack(host, system, "strict" if system != "local files" else "default") as views:
        file, _ = open_views(views)()
        file.make_folder("d")
        yield file, DECLINES[system]
        file.close()
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_each_client_does_what_programs_do(client):
    file, declines = client
    file.write("d/a", b"12345")
    file.truncate("d/a", 2)
    file.truncate("d/a", 4)
    assert file.read("d/a") == b"12\0\0"
    file.save("d/a", b"saved")
    assert file.read("d/a") == b"saved" and file.names("d") == {"d/a"}
    assert len(list(file.rewrite("d/a", b"rewritten"))) == 3 and file.read("d/a") == b"rewritten"
    file.link("d/a", "d/b")
    file.symlink("d/a", "d/c")
    assert file.read("d/b") == b"rewritten" and file.names("d") == {"d/a", "d/b", "d/c"}
    file.set_mode("d/a", 0o640)
    assert file.mode("d/a") == 0o640
    if "create" not in declines:
        assert file.create("d/x", b"1") and not file.create("d/x", b"2")
        assert file.read("d/x") == b"1"
    with contextlib.suppress(Declined):  # not every local file system has attributes either
        file.set_attribute("d/a", b"red")
        assert file.attribute("d/a") == b"red" and file.attribute("d/b") == b"red"
    if "locked" not in declines:
        assert len(list(file.locked("d/a"))) == 2
    file.restarted()
    assert file.read("d/a") == b"rewritten"


def test_what_a_client_does_not_offer_is_declined(client):
    file, declines = client
    file.write("d/a", b"1")
    operations = {
        "create": lambda: file.create("d/x", b"1"),
        "set_attribute": lambda: file.set_attribute("d/a", b"red"),
        "locked": lambda: list(file.locked("d/a")),
        "requests": lambda: file.requests("OPEN"),
    }
    for what, ask in operations.items():
        if what in declines:
            with pytest.raises(Declined):
                ask()

"""Code in the sandbox reaches nothing of this machine; without a sandbox, nothing runs."""

import json
import os
import socket
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from benchpaper.artifact.bundle import namespaces, regenerate, sandbox, verify
from benchpaper.cli import bundling
from benchpaper.core.project import Project

WAYS = {"bubblewrap": namespaces.bubblewrap, "unshare": namespaces.util_linux}
# Each attempt raises an error, or returns what it reached; None is nothing.
HOSTILE = r"""
import ctypes, json, os, socket, subprocess, sys, time
given = json.loads(os.environ["GIVEN"])
def read(path): return open(path).read(9)
def names(path, known=()): return [name for name in os.listdir(path) if name not in known] or None
def write(path): return open(path, "w").write("x")
def of_processes(find):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try: text = open(f"/proc/{pid}/environ").read() + open(f"/proc/{pid}/cmdline").read()
        except OSError: continue
        if find in text.replace(os.environ["GIVEN"], ""): return pid
def connect(family, place): return socket.socket(family).connect(place) or "connected"
def privileges():
    for line in open("/proc/self/status"):
        if line[:6] in ("CapPrm", "CapEff", "CapAmb") and int(line[8:], 16): return line
        if line.startswith("NoNewPrivs") and line.split()[1] != "1": return line
def leave():
    words = ["sleep", given["mark"]]
    for new_session in (True, False): subprocess.Popen(words, start_new_session=new_session)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: os.execvp("sleep", words)
        os._exit(0)
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *words):
    if getattr(libc, name)(*words) < 0: raise OSError(ctypes.get_errno(), name)
    return name
attempts = {
    "read a file of its owner alone": lambda: read(given["secret"]),
    "read the passwords": lambda: read("/etc/shadow"),
    "list the home folder": lambda: names(given["home"], given["known"]),
    "list temporary files": lambda: names("/tmp"),
    "list shared memory": lambda: names("/dev/shm"),
    "list devices": lambda: names("/dev", "core fd full null ptmx pts random shm stderr stdin "
        "stdout tty urandom zero console".split()),
    "see a secret of the environment": lambda: os.environ.get("TOKEN"),
    "see a secret of a process": lambda: of_processes(given["token"]),
    "see processes of the machine": lambda: of_processes("pytest"),
    "kill a process of the machine": lambda: os.kill(given["pid"], 0) or "can",
    "reach a server of the machine": lambda: connect(socket.AF_INET, ("127.0.0.1", given["port"])),
    "reach an abstract socket": lambda: connect(socket.AF_UNIX, "\0" + given["mark"]),
    "reach the network": lambda: connect(socket.AF_INET, ("192.0.2.1", 80)),
    "see interfaces": lambda: [name for _, name in socket.if_nameindex() if name != "lo"] or None,
    "write to the system": lambda: write("/usr/x"),
    "write to the top folder": lambda: write("/x"),
    "write to the archive": lambda: write("/artifact/src/benchpaper/x"),
    "write to the Python environment": lambda: write(sys.prefix + "/x"),
    "replace the scratch folder": lambda: os.rename("/artifact/build", "/artifact/b") or "renamed",
    "become root": lambda: os.setresuid(0, 0, 0) or "root" if os.getuid() else None,
    "own privileges": privileges,
    "mount": lambda: call("mount", b"x", b"/tmp", b"tmpfs", 0, None),
    "make a device": lambda: os.mknod("/tmp/disk", 0o60666, os.makedev(254, 0)) or "made",
    "set the clock": lambda: time.clock_settime(0, time.time()) or "set",
    "fill the disk with a file": lambda: open("/artifact/build/big", "w").truncate(2 << 30),
    "take all memory": lambda: len(bytearray(32 << 30)),
    "leave processes": leave,
}
reached = {}
for name, attempt in attempts.items():
    try: reached[name] = attempt()
    except (OSError, MemoryError): reached[name] = None
    except Exception as error: reached[name] = repr(error)
json.dump(reached, open("/artifact/build/reached.json", "w"), default=str)
"""
NAMES = [line.split('"')[1] for line in HOSTILE.splitlines() if line.startswith('    "')]


def project_with(root, code):
    """Make an unpacked archive whose framework is this code."""
    package = root / "src" / "benchpaper" / "workflow"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "rebuild.py").write_text(code)
    return Project(root)


@pytest.fixture(scope="module", params=WAYS)
def reached(request, tmp_path_factory):
    """Run the hostile code in a sandbox; return {attempt: what it reached}."""
    box = sandbox.Sandbox(request.param, WAYS[request.param])
    if defect := sandbox._defect(box):
        pytest.skip(f"no sandbox by {box.name} here: {defect}")
    folder = tmp_path_factory.mktemp(request.param)
    secret = folder / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    mark = f"98765.{os.getpid()}"
    parents = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve()}
    known = {path.relative_to(Path.home()).parts[0] for path in parents
             if path.is_relative_to(Path.home())}  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{mark}")
        local.listen()
        given = {
            "secret": str(secret),
            "home": str(Path.home()),
            "known": sorted(known),
            "token": "5ecret-t0ken",
            "mark": mark,
            "pid": os.getppid(),
            "port": server.getsockname()[1],
        }
        code = f"import os\nos.environ['GIVEN'] = {json.dumps(given)!r}\n{HOSTILE}"
        project = project_with(folder / "unpacked", code)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TOKEN", "5ecret-t0ken")
            regenerate.run(project, "local", "smoke", [], "it does not run", box=box)
    left = [process for process in psutil.process_iter(["cmdline"])
            if mark in (process.info["cmdline"] or [])]  # fmt: skip
    outcome = json.loads((project.root / "build" / "reached.json").read_text())
    return {**outcome, "leave processes": left or None}


@pytest.mark.parametrize("attempt", NAMES)
def test_hostile_code_reaches_nothing(reached, attempt):
    assert reached[attempt] is None


@pytest.fixture
def bubblewrap():
    if defect := sandbox._defect(sandbox.Sandbox("bubblewrap", namespaces.bubblewrap)):
        pytest.skip(f"no bubblewrap here: {defect}")


@pytest.mark.parametrize(
    "word, defect",
    [
        ("--unshare-net", "it has a network"),
        ("--unshare-pid", "it shares a namespace with this process"),
        ("--unshare-ipc", "it shares a namespace with this process"),
        pytest.param("setpriv", "it runs as root", marks=pytest.mark.skipif("os.geteuid() != 0")),
    ],
)
def test_a_sandbox_that_breaks_a_promise_counts_as_no_sandbox(bubblewrap, word, defect):
    """The probe finds what is missing by trying it from inside."""

    def leaky(*places):
        words = namespaces.bubblewrap(*places)
        place = words.index(word)
        return words[:place] if word == "setpriv" else words[:place] + words[place + 1 :]

    assert sandbox._defect(sandbox.Sandbox("leaky", leaky)) == defect


VERIFIED = dict.fromkeys(("archive", "source", "site", "commit", "sha256"), "x") | {"checks": []}


def test_without_a_sandbox_nothing_runs(monkeypatch, tmp_path):
    """The command says in one line what to do; it says nothing against the archive."""
    monkeypatch.setattr(sandbox, "PATH", str(tmp_path))
    monkeypatch.setattr(regenerate, "run", lambda *words: pytest.fail("foreign code ran"))
    monkeypatch.setattr(verify, "verify", lambda *words: VERIFIED)
    done = CliRunner().invoke(bundling.verify, ["bundle.zip", "--figures"])
    assert isinstance(done.exception, sandbox.SandboxError)
    text = str(done.exception)
    assert "bubblewrap: bwrap is not installed; unshare: unshare is not installed" in text
    assert "--trust-code" in text and "\n" not in text and "NOT VERIFIED" not in done.output


def test_trust_without_running_code_is_a_mistake():
    done = CliRunner().invoke(bundling.verify, ["bundle.zip", "--trust-code"])
    assert done.exit_code == 2 and "--figures" in done.output


def test_a_sandbox_that_the_kernel_forbids_says_why(monkeypatch):
    """The text quotes the program that failed."""
    fails = sandbox.Sandbox("x", lambda *places: ["sh", "-c", "echo not permitted >&2; exit 1"])
    assert sandbox._defect(fails) == "not permitted"


def test_what_foreign_code_leaves_in_its_folder_is_neither_followed_nor_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # and back, afterwards
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with regenerate._folder("benchpaper-again-") as top:
        build = top / "build"
        (build / "exhibits").mkdir(parents=True)
        (build / "exhibits" / "a.tex").write_text("a")
        (build / "exhibits" / "b.tex").symlink_to(secret)
        (build / "linked").symlink_to(tmp_path)
        os.mkfifo(build / "pipe")
        (build / "latex").mkdir()
        (build / "latex" / "main.log").touch()
        made = regenerate._made(build)
        os.chdir(build)
        for _ in range(2000):  # deeper than Python can remove
            os.mkdir("d")
            os.chdir("d")
        os.chdir("/")
        (build / "exhibits").chmod(0)
    assert made == {"exhibits/a.tex": b"a"}
    assert not top.exists() and secret.exists()


def test_a_link_in_place_of_the_build_folder_is_not_followed(tmp_path):
    (tmp_path / "build").symlink_to("/etc")
    assert regenerate._made(tmp_path / "build") == {}


def test_output_without_end_is_read_in_parts_and_shown_without_escape_codes(tmp_path):
    steps = []
    code = (
        "import sys; print('y' * 300_000); print('step 1 of 2: \\x1b[2J')\nsys.exit('\\x1b[2Jno')"
    )
    with pytest.raises(regenerate.UserError, match=r"^it does not run: \\x1b\[2Jno$"):
        regenerate.run(
            project_with(tmp_path, code), "local", "smoke", [], "it does not run",
            lambda *step: steps.append(step),
        )  # fmt: skip
    assert steps == [(1, 2, r"\x1b[2J")]

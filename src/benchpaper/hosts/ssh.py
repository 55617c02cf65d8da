"""Target hosts over SSH: the system's own `ssh` with one connection, behind which the agent lives (`hosts.agent`).

The user's configuration, agent, jump hosts and known hosts count. Host keys are always checked.
"""

import json
import os
import select
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

from benchpaper.errors import UserError
from benchpaper.hosts import CommandFailed, Completed, HostError, HostLost, deploy, wire
from benchpaper.hosts.agent import GREETING
from benchpaper.hosts.processes import die_with_parent

CONNECT_S = 10  # to reach the SSH server
GREETING_S = 20.0  # until the agent has to answer
ANSWER_S = 15.0  # that an answer may take beyond what was asked for
CONCLUDE_S = 30.0  # that the tidying up of a trial may take
BEAT_S = 2.0
SILENCE_S = 15.0  # without a heartbeat for so long, the agent ends everything
OPTIONS = {
    "BatchMode": "yes", "StrictHostKeyChecking": "yes", "ConnectTimeout": CONNECT_S, "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3, "ControlMaster": "yes", "ControlPath": "master", "ControlPersist": "no",
    "ForwardX11": "no", "ForwardAgent": "no", "RequestTTY": "no", "LogLevel": "ERROR", "ExitOnForwardFailure": "no",
    "StreamLocalBindUnlink": "yes", "Compression": "no",
}  # fmt: skip
# Tried before it is taken: what is called python3 may be a starter (pyenv's, say) of a Python that is not there.
# A shell ends where `.` finds no file.
FIND_PYTHON = (
    'for p in "$@"; do if "$p" -I -c "" </dev/null >/dev/null 2>&1; then exec "$p" -I -u -c "$0"; fi; done; '
    'if [ -r /etc/os-release ]; then . /etc/os-release; fi; echo "benchpaper-agent {\\"no python\\": \\"${ID:-}\\"}"'
)
HOW_TO_INSTALL = {
    "debian": "apt-get install python3", "ubuntu": "apt-get install python3", "alpine": "apk add python3",
    "fedora": "dnf install python3.11", "rhel": "dnf install python3.11", "rocky": "dnf install python3.11",
    "almalinux": "dnf install python3.11", "centos": "dnf install python3.11",
}  # fmt: skip
BOOT = """
import io, json, os, shutil, sys, tempfile, zipfile
def tell(message):
    print("benchpaper-agent " + json.dumps(message), flush=True)
    sys.exit()
if sys.version_info < (3, 11):
    tell({"old python": sys.version.split()[0]})
source = open(0, "rb", 0, closefd=False)
options, data = json.loads(source.readline()), b""
while len(data) < options["size"]:
    part = source.read(options["size"] - len(data))
    if not part:
        sys.exit()
    data += part
cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
agents = os.path.join(cache, "benchpaper", "agents")
folder = os.path.join(agents, options["digest"])
try:
    if not os.path.isdir(folder):
        os.makedirs(agents, exist_ok=True)
        part = tempfile.mkdtemp(dir=agents)
        zipfile.ZipFile(io.BytesIO(data)).extractall(part)
        try:
            os.rename(part, folder)
        except OSError:
            shutil.rmtree(part)
except OSError as error:
    tell({"error": f"{error.strerror}: {error.filename or agents}"})
sys.path.insert(0, folder)
from benchpaper.hosts.agent import main
main(options)
"""


class Unreachable(UserError):
    """A host cannot be used; the text says which, why, and what to do."""


class SshLink:
    """The connection to one host: the ssh process, the agent's main process behind it, and a session for what concerns
    the machine. `described` is the host's entry in the site file."""

    def __init__(self, project, site_name, described):
        self._project, self._site, self._described = project, site_name, described
        self.name, self.python = described["name"], None
        self._folder = self._ssh = self._control = None
        self._directory = None
        self.locked_for = None
        self._answers = b""

    # ---- connecting ----

    def begin(self):
        """Start to connect; `complete` waits for the end of that."""
        if not shutil.which("ssh"):
            raise UserError("no ssh on PATH; install the package openssh-client")
        state = self._project.state / "connections"
        state.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=state))
        self._answers = b""
        pythons = [self._described["python"]] if "python" in self._described else _pythons()
        boot = f"import base64; exec(base64.b64decode({b64encode(BOOT.encode()).decode()!r}))"
        script = shlex.join(["exec", "/bin/sh", "-c", FIND_PYTHON, boot, *pythons])
        with open(self._folder / "errors", "wb") as errors:
            self._ssh = subprocess.Popen(
                [*self._command(), script], cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=errors, bufsize=0, preexec_fn=die_with_parent, start_new_session=True,
            )  # fmt: skip
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        data, digest = deploy.agent_zip()
        options = {"size": len(data), "digest": digest, "scratch": self._described.get("scratch"), "silence": SILENCE_S}
        threading.Thread(target=self._feed, args=(self._ssh, json.dumps(options).encode() + b"\n" + data), daemon=True).start()

    def _command(self):
        options = [f"-o{name}={value}" for name, value in OPTIONS.items()]
        if config := self._described.get("ssh_config"):
            options += ["-F", str(self._project.root / config)]
        if user := self._described.get("user"):
            options += ["-l", user]
        if port := self._described.get("port"):
            options += ["-p", str(port)]
        return ["ssh", *options, "-T", self.destination]

    @property
    def destination(self):
        return self._described.get("ssh", self._described["address"])

    @staticmethod
    def _feed(ssh, data):
        """Send the agent, then a heartbeat for as long as this process lives and is not stopped."""
        with suppress(OSError, ValueError):
            while True:
                ssh.stdin.write(data) if len(data) < 4096 else _write_all(ssh.stdin, data)
                data = b"\n"
                time.sleep(BEAT_S)

    def complete(self):
        """Wait until the agent answers. Raises `Unreachable`, with the reason and the next step, when it does not."""
        found = self._read_answer(GREETING_S)
        if found is None:
            self._refuse(self._why_not())
        if "no python" in found:
            install = HOW_TO_INSTALL.get(found["no python"], "install Python 3.11 or newer")
            self._refuse(f'it has no Python: run "{install}" there, or name one in the site file (python: /its/path)')
        if "old python" in found:
            self._refuse(f"its Python is {found['old python']}, and 3.11 is the least: name a newer one in the site file (python: /its/path)")
        if "error" in found:
            self._refuse(f"the agent could not start there: {found['error']}")
        self.about = found
        self._forward(found["socket"])
        self._control = Session(self)
        self._check_address()

    def _forward(self, there):
        options = [f"-o{name}={OPTIONS[name]}" for name in ("ControlPath", "StreamLocalBindUnlink")]
        done = subprocess.run(
            ["ssh", *options, "-O", "forward", "-L", f"./agent:{there}", self.destination], cwd=self._folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GREETING_S,
        )  # fmt: skip
        if done.returncode:
            self._refuse(f"ssh could not forward to the agent: {done.stderr.strip()}")

    def _check_address(self):
        there, address = self._control.call("addresses"), self._described["address"]
        wanted = self._described.get("interface")
        if wanted and there.get(wanted) != address:
            shown = ", ".join(f"{interface} {found}" for interface, found in there.items())
            self._refuse(f"its interface {wanted} does not have the address {address} of the site file (there are: {shown})")

    def _refuse(self, why):
        self.close()
        raise Unreachable(f'host "{self.name}" of site "{self._site}": {why}')

    def _why_not(self):
        """Return what ssh said, with the next step."""
        with suppress(subprocess.TimeoutExpired):
            self._ssh.wait(0.5)
        said = " ".join((self._folder / "errors").read_text(errors="replace").split())
        by_hand = " ".join(["ssh", *self._by_hand()])
        if "IDENTIFICATION HAS CHANGED" in said:
            return f"its host key is not the known one: find out why, and only then correct your known_hosts ({by_hand})"
        if "Host key verification failed" in said or "host key is known" in said:
            return f'its host key is not known: connect once by hand ("{by_hand}"), compare the fingerprint, and accept it'
        if "Permission denied" in said:
            who = f'user "{self._described["user"]}"' if "user" in self._described else "you"
            return f'it did not let {who} in: see that "{by_hand}" works without a password'
        if said:
            return f'ssh said: {said}; see that "{by_hand}" works'
        if self._ssh.poll() is None:
            return f'it did not answer within {GREETING_S:g} s; see that "{by_hand}" works'
        return f'the connection ended without a word; see that "{by_hand}" works'

    def _by_hand(self):
        described = self._described
        words = [*(["-F", described["ssh_config"]] if "ssh_config" in described else [])]
        words += [*(["-p", str(described["port"])] if "port" in described else [])]
        return [*words, f"{described['user']}@{self.destination}" if "user" in described else self.destination]

    def _read_answer(self, seconds):
        """Return the next message of the agent's main process; None when the time is over or it has ended. What a login
        shell prints before is passed over."""
        end = time.monotonic() + seconds
        while (remaining := end - time.monotonic()) > 0:
            line, newline, rest = self._answers.partition(b"\n")
            if newline:
                self._answers = rest
                if line.startswith(GREETING.encode()):
                    return json.loads(line[len(GREETING) :])
                continue
            if not select.select([self._ssh.stdout], [], [], remaining)[0]:
                return None
            data = os.read(self._ssh.stdout.fileno(), 1 << 16)
            if not data:
                return None
            self._answers += data
        return None

    def close(self):
        """End the connection, and with it all that runs behind it."""
        if self._control:
            self._control.close()
            self._control = None
        if self._ssh:
            with suppress(OSError):
                self._ssh.stdin.close()
            try:
                self._ssh.wait(CONCLUDE_S if self.alive else 1.0)
            except subprocess.TimeoutExpired:
                self._ssh.kill()
                self._ssh.wait()
            self._ssh.stdout.close()
            os.close(self._directory)
            shutil.rmtree(self._folder, ignore_errors=True)
            self._ssh = None

    @property
    def alive(self):
        """Whether the connection stands, as far as ssh knows, and the agent answers."""
        if self._control is None or self._ssh.poll() is not None:
            return False
        try:
            self._control.call("clock")
            return True
        except HostError:
            return False

    @property
    def processes(self):
        """The ids of the processes of this machine that hold the connection."""
        return [self._ssh.pid] if self._ssh else []

    def connect(self, name):
        """Return a new socket to the agent; `name` is what an error calls the host."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(f"/proc/self/fd/{self._directory}/agent")
        except OSError:
            connection.close()
            raise HostLost(f"the connection to {name} is lost") from None
        return connection

    # ---- the machine ----

    @property
    def machine(self):
        return self.about["boot"]

    @property
    def identity(self):
        return self.about["identity"]

    @property
    def store(self):
        return Path(self.about["store"])

    @property
    def folders(self):
        """Folders of the host, and what stands for them in what is written down."""
        about = self.about
        return {about["trials"]: "$SCRATCH", about["store"]: "$DEPLOYED", about["temporary"]: "$TMP", about["home"]: "$HOME"}

    def lock(self, what):
        """Take the lock on measuring there. Return None, or who holds it since when."""
        controller = f"{what}, controlled from {socket.gethostname()}"
        self._order({"lock": controller})
        found = self._read_answer(ANSWER_S)
        if found is None:
            raise Unreachable(f'host "{self.name}" of site "{self._site}" does not answer any more')
        if "error" in found:
            raise Unreachable(f'host "{self.name}" of site "{self._site}": {found["error"]}')
        self.locked_for = what if "locked" in found else None
        return found.get("held")

    def unlock(self):
        if self.locked_for and self._ssh:
            self.locked_for = None
            with suppress(OSError):
                self._order({"unlock": True})
                self._read_answer(ANSWER_S)

    def _order(self, order):
        """Say something to the agent's main process."""
        self._ssh.stdin.write(json.dumps(order).encode() + b"\n")

    def ask(self, what, patience=60.0, **options):
        """Return what the agent answers to a question about the machine ("probe", "has", "disturbances")."""
        return self._control.call(what, patience, **options)

    def clock_offset(self, tries=5):
        """Return (seconds by which the host's clock is ahead of ours, half of the round trip): of the quickest try."""
        found = []
        for _ in range(tries):
            before = time.time()
            there = self._control.call("clock")
            after = time.time()
            found.append(((after - before) / 2, there - (before + after) / 2))
        half, offset = min(found)
        return offset, half

    def deploy(self, packages):
        """See to it that the project and `packages` lie on the host, and where its Python finds them."""
        self.python = deploy.python(self._control, self.about, self._project, packages, self.name)

    def host(self, role, scratch, seconds, on_command):
        """Return the host of the trial whose scratch folder here is `scratch`."""
        return SshHost(self, role, f"{self.prefix}{scratch.name}-{role}", self._described, seconds, on_command)

    def conclude(self, trial=""):
        """Return what the agent has kept of a trial that ended (without one: of all trials of this checkout)."""
        return self._control.call("conclude", CONCLUDE_S, prefix=f"{self.prefix}{trial}", seconds=CONCLUDE_S if trial else 0)

    @property
    def prefix(self):
        return f"{deploy.checkout(self._project)}-{self.name}-"

    @property
    def memo(self):
        return self._project.state / "digests"


def _pythons():
    import sys

    return [f"python3.{sys.version_info.minor}", "python3"]


def _write_all(file, data):
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


class Session:
    """One conversation with the agent. What it started ends with it."""

    def __init__(self, link, name=None, **opening):
        self._name, self._socket = name or link.name, link.connect(name or link.name)
        self.lock = threading.Lock()
        self.status = None  # of the command that the last answer was about
        if opening:
            self.call("open", name=name, **opening)

    def call(self, operation, patience=0.0, sending=None, receiving=None, **options):
        """Ask, and return the answer. `sending(sender)` sends a stream after the question, `receiving(stream)` takes one
        before the answer. Raises what the agent's `LocalHost` raised, and `HostLost` when no answer comes."""
        if self._socket is None:
            raise HostLost(f"the connection to {self._name} is lost")
        try:
            self._socket.settimeout(patience + ANSWER_S)
            wire.send(self._socket, {"do": operation, **options})
            if sending:
                sending(self._socket)
            answer = wire.receive(self._socket)
            if receiving and "error" not in answer:
                receiving(self._socket)
                answer = wire.receive(self._socket)
        except TimeoutError:
            self.close()
            raise HostLost(f"{self._name} did not answer within {patience + ANSWER_S:g} s; the connection is given up") from None
        except (wire.Closed, ConnectionError):
            self.close()
            raise HostLost(f"the connection to {self._name} is lost") from None
        except BaseException:  # in the middle of a message: nobody could go on with this conversation
            self.close()
            raise
        self.status = answer.get("status")
        return self._value(answer)

    def _value(self, answer):
        kind = answer.get("error")
        if kind == "OSError":
            what = f" ({answer['name']})" if answer["name"] else ""
            raise HostError(f"{answer['text']} on {self._name}{what}")
        if kind:
            raise (CommandFailed if kind == "CommandFailed" else HostError)(answer["text"])
        return answer["value"]

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SshHost:
    """A remote machine in one trial; it behaves as `LocalHost` does, which serves it there."""

    def __init__(self, link, role, trial, described, seconds, on_command):
        self.name, self.address = role, described["address"]
        self.cpus = list(described.get("cpus") or link.about["cpus"])
        self.python = link.python
        self._link, self._on_command = link, on_command
        self._opening = dict(name=role, address=self.address, cpus=self.cpus, seconds=seconds)
        self._trial, self._sessions = trial, []
        self._growing = threading.Lock()

    def _session(self):
        """Return a session that is at rest, locked; threads that use the host at once get one each."""
        with self._growing:
            for session in self._sessions:
                if session.lock.acquire(blocking=False):
                    return session
            session = Session(self._link, trial=f"{self._trial}-{len(self._sessions)}", **self._opening)
            session.lock.acquire()
            self._sessions.append(session)
            return session

    def _call(self, operation, patience=0.0, **options):
        session = self._session()
        try:
            return session.call(operation, patience, **options)
        finally:
            session.lock.release()

    def run(self, argv, *, env=None, timeout=60.0, check=True):
        argv, env = _texts(argv, env)
        ended = self._told(argv, env)
        session = self._session()
        try:
            return Completed(*session.call("run", timeout, argv=argv, env=env, timeout=timeout, check=check))
        finally:
            if session.status is not None:
                ended(session.status)
            session.lock.release()

    def start(self, argv, *, env=None):
        argv, env = _texts(argv, env)
        ended = self._told(argv, env)
        session = self._session()
        try:
            number, pid = session.call("start", argv=argv, env=env)
        finally:
            session.lock.release()
        return SshProcess(session, number, pid, ended)

    def _told(self, argv, env):
        return self._on_command(self.name, [*(["env", *(f"{k}={v}" for k, v in env.items())] if env else []), *argv])

    def put(self, local, remote):
        with open(local, "rb") as file:
            self._call("put", 3600.0, path=str(remote), sending=lambda stream: wire.send_file(stream, file))

    def get(self, remote, local):
        """The file appears when it is whole."""
        local = Path(local)
        part = local.with_name(f".{local.name}.{os.getpid()}.part")
        try:
            with open(part, "wb", buffering=0) as file:
                self._call("get", 3600.0, path=str(remote), receiving=lambda stream: _save(stream, file))
            os.replace(part, local)
        finally:
            part.unlink(missing_ok=True)

    def provide(self, path):
        session = self._session()
        try:
            return deploy.provide(session, self._link.store, Path(path), self._link.memo)
        finally:
            session.lock.release()

    def scratch(self):
        return Path(self._call("scratch"))

    def undo(self, what, argv):
        self._call("undo", what=what, argv=[str(part) for part in argv])

    def free_port(self):
        return self._call("free_port")

    def facts(self):
        return self._call("facts")

    def close(self):
        """End what was started here; the trial's worker does so by its own end."""
        for session in self._sessions:
            session.close()


def _texts(argv, env):
    return [str(part) for part in argv], {name: str(value) for name, value in (env or {}).items()}


def _save(stream, file):
    for part in wire.chunks(stream):
        file.write(part)


class SshProcess:
    """A background process on a remote host."""

    def __init__(self, session, number, pid, ended):
        self._session, self._number, self._ended = session, number, ended
        self.pid = pid

    def _call(self, method, patience=0.0, **options):
        with self._session.lock:
            try:
                return self._session.call("process", patience, number=self._number, method=method, options=options)
            finally:
                if self._session.status is not None:
                    self._ended(self._session.status)

    def read_line(self, timeout=10.0):
        return self._call("read_line", timeout, timeout=timeout)

    def wait(self, timeout=60.0):
        return self._call("wait", timeout, timeout=timeout)

    def poll(self):
        return self._call("poll")

    def stop(self):
        self._call("stop")

    def stdout_text(self):
        return self._call("stdout_text")

    def stderr_text(self):
        return self._call("stderr_text")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

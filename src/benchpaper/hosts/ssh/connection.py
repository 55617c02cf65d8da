"""Target hosts over SSH: the system's own `ssh` with one connection, behind which the agent lives (`hosts.agent`).

The user's configuration, agent, jump hosts and known hosts count. Host keys are always checked.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchpaper.core.errors import UserError
from benchpaper.core.processes import die_with_parent
from benchpaper.hosts import HostError, HostLost
from benchpaper.hosts.agent.main import GREETING
from benchpaper.hosts.ssh import boot, deploy, remote
from benchpaper.hosts.ssh.remote import Conversation, SshHost

CONNECT_S = 10  # to reach the SSH server
GREETING_S = 20.0  # until the agent has to answer
CONCLUDE_S = 30.0  # that the tidying up of a trial may take
BEAT_S = 2.0
SILENCE_S = 15.0  # without a heartbeat for so long, the agent ends everything
OPTIONS = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": CONNECT_S,
    "ServerAliveInterval": 5,
    "ServerAliveCountMax": 3,
    "ControlMaster": "yes",
    "ControlPath": "master",
    "ControlPersist": "no",
    "ForwardX11": "no",
    "ForwardAgent": "no",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
    "ExitOnForwardFailure": "no",
    "StreamLocalBindUnlink": "yes",
    "Compression": "no",
}


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
        with open(self._folder / "errors", "wb") as errors:
            self._ssh = subprocess.Popen(
                [*self._command(), boot.command(self._described.get("python"))],
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                preexec_fn=partial(die_with_parent, os.getpid()),
                start_new_session=True,
            )
        self._directory = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        data = boot.agent(scratch=self._described.get("scratch"), silence=SILENCE_S)
        threading.Thread(target=self._feed, args=(self._ssh, data), daemon=True).start()

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
                _write_all(ssh.stdin, data)
                data = b"\n"
                time.sleep(BEAT_S)

    def complete(self):
        """Wait until the agent answers. Raises `Unreachable`, with the reason and the next step, when it does not."""
        found = self._read_answer(GREETING_S)
        if found is None:
            self._refuse(self._why_not())
        if why := boot.complaint(found):
            self._refuse(why)
        self.about = found
        self._forward(found["socket"])
        self._control = Conversation(self)
        self._check_address()

    def _forward(self, there):
        options = [f"-o{name}={OPTIONS[name]}" for name in ("ControlPath", "StreamLocalBindUnlink")]
        done = subprocess.run(
            ["ssh", *options, "-O", "forward", "-L", f"./agent:{there}", self.destination],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GREETING_S,
        )
        if done.returncode:
            self._refuse(f"ssh could not forward to the agent: {done.stderr.strip()}")

    def _check_address(self):
        there, address = self._control.call("addresses"), self._described["address"]
        wanted = self._described.get("interface")
        if wanted and there.get(wanted) != address:
            shown = ", ".join(f"{interface} {found}" for interface, found in there.items())
            self._refuse(
                f"its interface {wanted} does not have the address {address} of the site file (there are: {shown})"
            )

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
        return [
            *words,
            f"{described['user']}@{self.destination}" if "user" in described else self.destination,
        ]

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
        connection.settimeout(remote.ANSWER_S)
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
        return {
            about["trials"]: "$SCRATCH",
            about["store"]: "$DEPLOYED",
            about["temporary"]: "$TMP",
            about["home"]: "$HOME",
        }

    def lock(self, what):
        """Take the lock on measuring there. Return None, or who holds it since when."""
        controller = f"{what}, controlled from {socket.gethostname()}"
        self._order({"lock": controller})
        found = self._read_answer(remote.ANSWER_S)
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
                self._read_answer(remote.ANSWER_S)

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
        return SshHost(
            self, role, f"{self.prefix}{scratch.name}-{role}", self._described, seconds, on_command
        )

    def conclude(self, trial=""):
        """Return what the agent has kept of a trial that ended (without one: of all trials of this checkout)."""
        return self._control.call(
            "conclude",
            CONCLUDE_S,
            prefix=f"{self.prefix}{trial}",
            seconds=CONCLUDE_S if trial else 0,
        )

    @property
    def prefix(self):
        return f"{deploy.checkout(self._project)}-{self.name}-"

    @property
    def memo(self):
        return self._project.state / "digests"


def _write_all(file, data):
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]

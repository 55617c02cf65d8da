"""This machine as a target host."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchpaper.core import environment
from benchpaper.core.processes import die_with_parent
from benchpaper.hosts import CommandFailed, Completed, HostError, cleanup

STOP_GRACE_S = 2.0
POLL_S = 0.001
NO_HOME = "/nonexistent"  # Debian's word for it


class LocalHost:
    """Runs commands on this machine. `on_command(host name, argv)` is told each command as it starts
    and returns a function that is told its exit status."""

    python = sys.executable

    def __init__(self, name="local", address="127.0.0.1", cpus=None, folder=None, on_command=None):
        self.name, self.address = name, address
        self.cpus = list(cpus) if cpus else sorted(os.sched_getaffinity(0))
        self._folder = Path(folder) if folder else Path(tempfile.gettempdir())
        self._home = folder or NO_HOME
        self._on_command = on_command or (lambda host, argv: lambda status: None)

    def run(self, argv, *, env=None, timeout=60.0, check=True):
        argv = [str(part) for part in argv]
        ended = self._on_command(self.name, [*_environment(env), *argv])
        process = self._popen(argv, env, subprocess.PIPE, subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=timeout)
            ended(process.returncode)
        except subprocess.TimeoutExpired:
            _kill_group(process.pid)
            out, err = _rest(process)
            ended(process.wait())
            raise CommandFailed(
                f"{_shown(argv)} on {self.name} did not end within {timeout:g} s; {_tail(err)}"
            ) from None
        except BaseException:
            _kill_group(process.pid)
            raise
        if check and process.returncode:
            raise CommandFailed(
                f"{_shown(argv)} on {self.name} ended with {_status(process.returncode)}; {_tail(err or out)}"
            )
        return Completed(process.returncode, out, err)

    def start(self, argv, *, env=None):
        argv = [str(part) for part in argv]
        ended = self._on_command(self.name, [*_environment(env), *argv])
        folder = self.scratch()
        with open(folder / "stdout", "wb") as out, open(folder / "stderr", "wb") as err:
            process = self._popen(argv, env, out, err)
        return LocalProcess(self.name, argv, process, folder, ended)

    def _popen(self, argv, env, stdout, stderr):
        try:
            return subprocess.Popen(
                argv,
                env={**environment.clean(self._home), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                text=True,
                errors="replace",
                process_group=0,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        except FileNotFoundError:
            raise HostError(f'program "{argv[0]}" not found on {self.name}') from None
        except OSError as error:
            raise HostError(
                f"{_shown(argv)} on {self.name} could not start: {error.strerror}"
            ) from None

    def put(self, local, remote):
        self.get(local, remote)

    def get(self, remote, local):
        if Path(remote).resolve() != Path(local).resolve():
            shutil.copyfile(remote, local)

    def provide(self, path):
        return Path(path)

    def scratch(self):
        return Path(tempfile.mkdtemp(dir=self._folder))

    def undo(self, what, argv):
        cleanup.note_undo(self._folder, what, argv)

    def free_port(self):
        with socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET) as probe:
            probe.bind((self.address, 0))
            return probe.getsockname()[1]

    def facts(self):
        from benchpaper.hosts.probe import facts

        return facts()


class LocalProcess:
    """A background process of `LocalHost`. Its output goes to files, so that it never blocks and outlives it."""

    def __init__(self, host_name, argv, process, folder, ended):
        self._ended = ended
        self._host, self._argv, self._process, self._folder = host_name, argv, process, folder
        self._read = 0

    @property
    def pid(self):
        return self._process.pid

    def read_line(self, timeout=10.0):
        end = time.monotonic() + timeout
        while True:
            # Both asked before reading: what it wrote last, or while this process was kept from looking, is still seen.
            ended, late = self._process.poll() is not None, time.monotonic() > end
            line = self._next_line()
            if line is not None:
                return line
            if ended:
                raise HostError(
                    f"{_shown(self._argv)} on {self._host} ended with {_status(self._process.returncode)} "
                    f"before it answered; {_tail(self.stderr_text())}"
                )
            if late:
                raise HostError(
                    f"{_shown(self._argv)} on {self._host} printed nothing for {timeout:g} s; "
                    f"{_tail(self.stderr_text())}"
                )
            time.sleep(POLL_S)

    def _next_line(self):
        with open(self._folder / "stdout", "rb") as file:
            file.seek(self._read)
            line = file.readline()
        if not line.endswith(b"\n"):
            return None
        self._read += len(line)
        return line.decode(errors="replace").rstrip("\n")

    def wait(self, timeout=60.0):
        try:
            status = self._process.wait(timeout)
            self._ended(status)
            return status
        except subprocess.TimeoutExpired:
            self.stop()
            raise CommandFailed(
                f"{_shown(self._argv)} on {self._host} did not end within {timeout:g} s"
            ) from None

    def poll(self):
        return self._process.poll()

    def stop(self):
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                pass
        _kill_group(self._process.pid)
        self._ended(self._process.wait())

    def stdout_text(self):
        return (self._folder / "stdout").read_text(errors="replace")

    def stderr_text(self):
        return (self._folder / "stderr").read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def _kill_group(pid):
    """Kill the process group that `_popen` made; its leader's id is the group's."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _rest(process):
    """Return what a killed process printed; nothing where a daemon that left its group still holds its output."""
    try:
        return process.communicate(timeout=STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        process.stdout.close()
        process.stderr.close()
        return "", ""


def _environment(env):
    """What was set for a command belongs to it: told as `env NAME=VALUE ... program`, which runs in any shell."""
    return ["env", *(f"{name}={value}" for name, value in env.items())] if env else []


def _shown(argv):
    return Path(argv[0]).name


def _status(returncode):
    if returncode < 0:
        return f"signal {signal_name(-returncode)}"
    return f"status {returncode}"


def signal_name(number):
    """Return the name of a signal, real-time ones too."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def _tail(text, lines=3):
    last = [line.strip() for line in text.strip().splitlines() if line.strip()][-lines:]
    return "it said: " + " | ".join(last) if last else "it said nothing"

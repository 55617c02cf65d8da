"""A host over SSH in a trial: conversations with its agent, and `SshHost`, which behaves as `LocalHost` does there."""

import os
import threading
from pathlib import Path

from benchpaper.hosts import CommandFailed, Completed, HostError, HostLost
from benchpaper.hosts.agent import wire
from benchpaper.hosts.ssh import deploy

ANSWER_S = 15.0  # that an answer may take beyond what was asked for


class Conversation:
    """One conversation with the agent. What it started ends with it."""

    def __init__(self, link, name=None, **opening):
        self._name, self._socket = name or link.name, link.connect(name or link.name)
        self.lock = threading.Lock()
        self.status = None  # of the command that the last answer was about
        if opening:
            self.call("open", name=name, **opening)

    def call(self, operation, patience=0.0, sending=None, receiving=None, **options):
        """Ask, and return the answer. `sending(sender)` sends a stream after the question, `receiving(stream)` takes
        one before the answer. Raises what the agent's `LocalHost` raised, and `HostLost` when no answer comes."""
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
            raise HostLost(
                f"{self._name} did not answer within {patience + ANSWER_S:g} s; the connection is given up"
            ) from None
        except (wire.Closed, ConnectionError):
            self.close()
            raise HostLost(f"the connection to {self._name} is lost") from None
        except (
            BaseException
        ):  # in the middle of a message: nobody could go on with this conversation
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
            session = Conversation(
                self._link, trial=f"{self._trial}-{len(self._sessions)}", **self._opening
            )
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
            return Completed(
                *session.call("run", timeout, argv=argv, env=env, timeout=timeout, check=check)
            )
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
        return self._on_command(
            self.name, [*(["env", *(f"{k}={v}" for k, v in env.items())] if env else []), *argv]
        )

    def put(self, local, remote):
        with open(local, "rb") as file:
            self._call(
                "put", 3600.0, path=str(remote), sending=lambda stream: wire.send_file(stream, file)
            )

    def get(self, remote, local):
        """The file appears when it is whole."""
        local = Path(local)
        part = local.with_name(f".{local.name}.{os.getpid()}.part")
        try:
            with open(part, "wb", buffering=0) as file:
                self._call(
                    "get", 3600.0, path=str(remote), receiving=lambda stream: _save(stream, file)
                )
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
                return self._session.call(
                    "process", patience, number=self._number, method=method, options=options
                )
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

"""A host of a trial whose commands run in an environment: in a container, Conda's, or modules.

The command as the experiment wrote it is what the trial's record shows; the environment stands
next to it, in the tools. A container's life is bound to its trial's: it has the trial's label, and
a note in the scratch folder removes all containers with that label.
"""

import itertools
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from benchpaper.core.deployment import Software, containers
from benchpaper.core.environment import FIXED
from benchpaper.core.printable import printable_line
from benchpaper.hosts import Argument, CommandFailed, Completed, Host, HostError, OnCommand, OnEnd
from benchpaper.hosts.cleanup import CONTAINER
from benchpaper.hosts.local import with_environment

ENGINE_FAILED = 125  # the status of podman and docker when they, not the command, fail


class Recorder:
    """Passes commands on to `on_command` as they were written, whatever really runs."""

    def __init__(self, on_command: OnCommand):
        self._on_command, self._local = on_command, threading.local()

    def __call__(self, host: str, argv: list[str]) -> OnEnd:
        written = getattr(self._local, "written", argv)
        return self._on_command(host, written) if written else lambda status: None

    @contextmanager
    def writing(self, argv: list[str]) -> Iterator[None]:
        """Let the command that starts within count as `argv`; an empty one counts for nothing."""
        outer = vars(self._local).copy()
        self._local.written = argv
        try:
            yield
        finally:
            vars(self._local).clear()
            vars(self._local).update(outer)


class Inside:
    """A host whose commands run with an environment's variables; all else is the host's.

    `outside` is the host itself, for commands that must not run in the environment.
    """

    def __init__(self, host: Host, software: Software, recorder: Recorder):
        self.outside, self._software, self._recorder = host, software, recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outside, name)

    def run(
        self,
        argv: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        check: bool = True,
    ) -> Completed:
        words = [str(part) for part in argv]
        with self._recorder.writing(with_environment(words, env)):
            return self.outside.run(words, env=self._variables(env), timeout=timeout, check=check)

    def start(self, argv: Sequence[Argument], *, env: Mapping[str, str] | None = None) -> Any:
        words = [str(part) for part in argv]
        with self._recorder.writing(with_environment(words, env)):
            return self.outside.start(words, env=self._variables(env))

    def _variables(self, env: Mapping[str, str] | None) -> dict[str, str]:
        return {**self._software.variables, **(env or {})}


class InsideContainer(Inside):
    """A host whose commands each run in a container of their own.

    They see the scratch folders that were made, and what was provided, before they start, at the
    same paths.
    """

    def __init__(
        self, host: Host, software: Software, recorder: Recorder, options: Sequence[str] = ()
    ):
        super().__init__(host, software, recorder)
        self._options, self._trial = options, f"benchpaper-{uuid.uuid4().hex[:16]}"
        self._numbers = itertools.count()
        self._folders: dict[str, bool] = {}  # {folder or file: whether commands may write}
        self._home = ""
        self._preparing = threading.Lock()

    @property
    def python(self) -> str:
        raise HostError(
            f"host.python is no program of the container of {self.outside.name}; name the image's "
            'own, such as "python3", or use host.outside'
        )

    def scratch(self) -> Path:
        path = self.outside.scratch()
        self._folders[str(path)] = True  # not its parent, whose undo notes run on the host
        return path

    def provide(self, path: Path | str) -> Path:
        provided = self.outside.provide(Path(path))
        self._folders.setdefault(str(provided), False)
        return provided

    def run(
        self,
        argv: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        check: bool = True,
    ) -> Completed:
        words = [str(part) for part in argv]
        name, actual = self._command(words, env)
        with self._recorder.writing(with_environment(words, env)):
            try:
                done = self.outside.run(actual, timeout=timeout, check=check)
            except HostError as error:
                self._end(name)
                raise _renamed(error, words) from None
        if done.returncode == ENGINE_FAILED and self._software.kind not in containers.SIF:
            said = printable_line(done.stderr.strip().rpartition("\n")[2])
            raise CommandFailed(f"no container for {words[0]} on {self.outside.name}: {said}")
        return done

    def start(self, argv: Sequence[Argument], *, env: Mapping[str, str] | None = None) -> Any:
        words = [str(part) for part in argv]
        name, actual = self._command(words, env)
        with self._recorder.writing(with_environment(words, env)):
            process = self.outside.start(actual)
        return ContainerProcess(process, words, lambda: self._end(name))

    def _command(self, words: list[str], env: Mapping[str, str] | None) -> tuple[str, list[str]]:
        """Return the name of a new container, and the command line that runs `words` in it."""
        with self._preparing:
            if not self._home:
                if removal := containers.removal(self._software, self._trial):
                    self.outside.undo(CONTAINER, removal)
                self._home = str(self.scratch())
        own = {**FIXED, "HOME": self._home, "TMPDIR": self._home, **(env or {})}
        inner = containers.Command(words, own, dict(self._folders), self._home, self._options)
        name = f"{self._trial}-{next(self._numbers)}"
        try:
            return name, containers.command(self._software, inner, name, self._trial)
        except ValueError as error:
            raise HostError(str(error)) from None

    def _end(self, name: str) -> None:
        """End a container whose client is gone; without a daemon there is nothing to do."""
        if self._software.kind in containers.SIF:
            return
        with suppress(HostError), self._recorder.writing([]):
            self.outside.run(containers.end(self._software, name), check=False)


class ContainerProcess:
    """A background process in a container: where it is killed, its container ends with it.

    `pid` is that of the engine's client.
    """

    def __init__(self, process: Any, words: list[str], end: Callable[[], None]):
        self._process, self._words, self._end = process, words, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)

    def read_line(self, timeout: float = 10.0) -> str:
        try:
            line: str = self._process.read_line(timeout)
        except HostError as error:
            raise _renamed(error, self._words) from None
        return line

    def wait(self, timeout: float = 60.0) -> int:
        try:
            status: int = self._process.wait(timeout)
        except HostError as error:
            self._end()
            raise _renamed(error, self._words) from None
        return status

    def stop(self) -> None:
        self._process.stop()
        status = self._process.poll()
        if status is not None and status < 0:  # a signal ended the engine's client
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _renamed(error: HostError, words: list[str]) -> HostError:
    """Return an error of the engine's client, which `env` starts, as one of the command."""
    text = str(error)
    if text.startswith("env on "):
        text = f"{Path(words[0]).name} in a container on {text.removeprefix('env on ')}"
    return type(error)(text)


def enter(host: Host, software: Software, recorder: Recorder, options: Sequence[str]) -> Inside:
    """Return a host of a trial whose commands run in the environment `software` there."""
    if software.engine:
        return InsideContainer(host, software, recorder, options)
    return Inside(host, software, recorder)

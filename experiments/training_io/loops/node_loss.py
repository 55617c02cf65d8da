"""An epoch that several hosts read together, one of which is lost in its midst.

    python -m experiments.training_io.loops.node_loss \\
        '{"store": {...}, "name": "data", ..., "tries": [["killed", "replace"], ...]}'

Every step takes a batch from each host (`reading_host`, a process with connections of its own). One
host is lost at a step that the seed draws from the middle half of the epoch: `killed`, which closes
its connection, or `silent`, which only a time limit shows. Then

    replace      a new host takes its place at the step that was interrupted
    go back      a new host does, and all return to the step that was saved last
    start over   a new host does, and all read the epoch from its beginning: the loader has no state
    share out    those that remain divide the rest of the epoch among them
    go on        those that remain read their own shares, and nobody that of the lost one

Nothing is computed. It prints a JSON array with an object for each try.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from experiments.training_io.loops import reading_host

FAILURES = ("killed", "silent")
POLICIES = ("replace", "go back", "start over", "share out", "go on")
PATIENCE_S = 60.0  # with a host that nobody has lost, on a busy machine


class LostHost(RuntimeError):
    """A host has closed its connection, or has said nothing for as long as it may."""


@dataclass(frozen=True)
class Job:
    """`hosts` hosts read `batch` samples each per step, and save where they are every so often.

    The epoch has `count` samples of `size` B in the object `name`. A host that says nothing for
    `limit_s` is lost.
    """

    name: str
    count: int
    size: int
    hosts: int
    batch: int
    save_every: int
    limit_s: float
    seed: int

    def __post_init__(self) -> None:
        if self.hosts < 2 or self.count % (self.hosts * self.batch):
            raise ValueError(
                f"{self.count} samples must be whole steps of {self.hosts} x {self.batch}, and at "
                "least two hosts"
            )

    @property
    def steps(self) -> int:
        return self.count // (self.hosts * self.batch)

    def places(self, step: int) -> list[list[int]]:
        """Return each host's places in the epoch at a step."""
        first = step * self.hosts * self.batch
        return [
            list(range(first + host * self.batch, first + (host + 1) * self.batch))
            for host in range(self.hosts)
        ]


class ReadingHost:
    """A process of `reading_host`, as a context manager."""

    def __init__(self, store: dict[str, Any], job: Job):
        plan = dict(store=store, name=job.name, count=job.count, size=job.size, seed=job.seed)
        argv = [sys.executable, "-m", reading_host.__name__, json.dumps(plan)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, places: list[int]) -> None:
        """Send a request. Raises `LostHost` if the host is known to be gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(places).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise LostHost("closed its connection") from None

    def answer(self, limit_s: float = PATIENCE_S) -> Any:
        """Return the numbers of the samples that were asked for; first of all, that it is ready.

        Raises `LostHost`.
        """
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], limit_s)[0]:
            raise LostHost(f"said nothing for {limit_s:g} s")
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise LostHost("closed its connection")
        return json.loads(line)

    def fail(self, failure: str) -> None:
        os.kill(self._process.pid, signal.SIGKILL if failure == "killed" else signal.SIGSTOP)


class Epoch:
    """One epoch of a job, and what each sample's number was delivered how often."""

    def __init__(self, store: dict[str, Any], job: Job, stack: ExitStack):
        self._store, self._job, self._stack = store, job, stack
        self.delivered: Counter[int] = Counter()
        self._hosts = [self._start() for _ in range(job.hosts)]
        for host in self._hosts:
            host.answer()

    def _start(self) -> ReadingHost:
        return self._stack.enter_context(ReadingHost(self._store, self._job))

    def read(self, requests: dict[int, list[int]], limit_s: float) -> dict[int, str]:
        """Read, on each host, the places asked of it; return {host: why it was lost}."""
        lost, waiting = {}, []
        for number, places in requests.items():
            try:
                self._hosts[number].ask(places)
                waiting.append(number)
            except LostHost as error:
                lost[number] = str(error)
        for number in waiting:
            try:
                self.delivered.update(self._hosts[number].answer(limit_s))
            except LostHost as error:
                lost[number] = str(error)
        return lost

    def whole(self, requests: dict[int, list[int]]) -> None:
        """Read what no host may fail at any more."""
        if lost := self.read(requests, PATIENCE_S):
            raise SystemExit(f"a host was lost that should not be: {lost}; its error stands above")

    def steps(self, first: int, end: int) -> None:
        for step in range(first, end):
            self.whole(dict(enumerate(self._job.places(step))))

    def fail(self, number: int, failure: str) -> None:
        self._hosts[number].fail(failure)

    def replace(self, number: int) -> None:
        self._hosts[number].__exit__()  # or it might come back
        self._hosts[number] = self._start()
        self._hosts[number].answer()


def shared_out(places: list[int], hosts: list[int]) -> dict[int, list[int]]:
    """Divide places among hosts as evenly as they go."""
    parts = np.array_split(places, len(hosts))
    return {host: part.tolist() for host, part in zip(hosts, parts, strict=True) if len(part)}


def lose(store: dict[str, Any], job: Job, failure: str, policy: str) -> dict[str, float]:
    """Read an epoch and lose a host; return the times in ms, and what was read twice or never.

    Raises `ValueError` for an unknown failure or policy.
    """
    for word, known in ((failure, FAILURES), (policy, POLICIES)):
        if word not in known:
            raise ValueError(f'"{word}" not found (there are: {", ".join(known)})')
    random = np.random.default_rng([job.seed, 7])
    at = int(random.integers(job.steps // 4, 3 * job.steps // 4))
    victim = int(random.integers(job.hosts))
    remaining = [number for number in range(job.hosts) if number != victim]
    with ExitStack() as stack:
        epoch = Epoch(store, job, stack)
        epoch.steps(0, at)
        epoch.fail(victim, failure)
        begin = time.perf_counter()
        lost = epoch.read(dict(enumerate(job.places(at))), job.limit_s)
        if list(lost) != [victim]:
            raise SystemExit(f"host {victim} was {failure}, and these were lost: {lost}")
        noticed = time.perf_counter()
        if policy in ("replace", "go back", "start over"):
            epoch.replace(victim)
        if policy == "replace":
            epoch.whole({victim: job.places(at)[victim]})
        elif policy in ("go back", "start over"):
            back = 0 if policy == "start over" else at // job.save_every * job.save_every
            epoch.steps(back, at + 1)
        elif policy == "share out":
            epoch.whole(shared_out(job.places(at)[victim], remaining))
        stands = time.perf_counter()
        for step in range(at + 1, job.steps):
            mine = dict(enumerate(job.places(step)))
            if policy in ("share out", "go on"):
                mine.pop(victim)
            if policy == "share out":
                everyone = [place for part in job.places(step) for place in part]
                mine = shared_out(everyone, remaining)
            epoch.whole(mine)
    often = [epoch.delivered[number] for number in range(job.count)]
    return {
        "noticed_ms": 1e3 * (noticed - begin),
        "stands_ms": 1e3 * (stands - begin),
        "twice": sum(times > 1 for times in often),
        "never": often.count(0),
        "lost_at": at,
    }


def main(text):
    plan = json.loads(text)
    store, tries = plan.pop("store"), plan.pop("tries")
    job = Job(**plan)
    print(json.dumps([lose(store, job, *words) for words in tries]))


if __name__ == "__main__":
    main(sys.argv[1])

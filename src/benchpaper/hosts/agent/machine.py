"""What the agent does for the controller before a trial is opened: requests to the machine.

`perform` answers requests by name. A request is a method `do_NAME`; its options are the method's
arguments, and its answer is plain data.
"""

import contextlib
import tarfile
import time
from pathlib import Path
from typing import Any

from benchpaper.core import deployment, temporary
from benchpaper.core.atomic_write import flush, flush_tree
from benchpaper.core.processes import kill_descendants
from benchpaper.hosts import HostError, facts
from benchpaper.hosts.agent import disturbances, kept, probing, wire


class Machine:
    """Requests to the machine. Its store is the folder of what controllers have sent."""

    def __init__(self, trials: Path, store: Path, channel: wire.Channel):
        self.trials, self.store, self.channel = trials, store, channel

    def perform(self, operation: str, options: dict[str, Any]) -> Any:
        return getattr(self, f"do_{operation}")(**options)

    def status(self) -> int | None:
        """Return the exit status of the command that the next answer is about, if it has one."""
        return None

    def end(self) -> None:
        """End all processes that this session started."""
        kill_descendants()

    # ---- the store ----

    def do_lacks(self, digests: list[str]) -> list[str]:
        return [digest for digest in digests if not (self.store / digest).is_dir()]

    def do_store(self, digest: str) -> None:
        """Unpack a tar stream as the content with that digest."""
        self.store.mkdir(parents=True, exist_ok=True)
        incoming = wire.Receiver(self.channel)
        with temporary.folder(temporary.OF_STORE, self.store) as part:
            self._unpack(incoming, part, self.store / digest)

    def _unpack(self, incoming: wire.Receiver, part: Path, target: Path) -> None:
        # Early releases of Python 3.11 know no filter; what arrives is our own.
        safely: dict[str, Any] = {"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}
        try:
            # tarfile needs no more than `read` of a stream, but its type hints do.
            with tarfile.open(fileobj=incoming, mode="r|") as archive:  # type: ignore[call-overload]
                archive.extractall(part, **safely)
            incoming.drain()
            flush_tree(part)  # later sessions trust whatever has its name
            with contextlib.suppress(OSError):  # another session was quicker
                part.rename(target)
            flush(self.store)
        except (tarfile.TarError, EOFError) as error:
            raise HostError(f"what was sent did not arrive whole: {error}") from None
        finally:
            incoming.drain()

    # ---- the machine ----

    def do_facts(self) -> dict[str, Any]:
        return facts.facts()

    def do_probe(self, python: str, modules: dict[str, str]) -> dict[str, Any]:
        answers = probing.ask(python, modules)
        capabilities = {
            name: {"present": present, "detail": detail}
            for name, (present, detail) in answers.items()
        }
        return {"facts": facts.facts(), "capabilities": capabilities}

    def do_has(
        self, python: str, names: list[str], modules: dict[str, str]
    ) -> dict[str, tuple[bool, str]]:
        return probing.ask(python, {name: modules[name] for name in names})

    def do_environments(self, names: list[str]) -> dict[str, Any]:
        software = deployment.look(names)
        return {name: item.to_json() if item else None for name, item in software.items()}

    def do_disturbances(self) -> dict[str, Any]:
        return disturbances.so_far()

    def do_clock(self) -> float:
        return time.time()

    def do_addresses(self) -> dict[str, str]:
        return facts.addresses()

    def do_conclude(self, prefix: str, seconds: float) -> dict[str, dict[str, Any]]:
        return kept.conclude(self.trials, prefix, seconds)

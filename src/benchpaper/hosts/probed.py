"""What probing has shown of a site: the facts and capabilities of its hosts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Presence:
    """Whether a host has a capability, and what its probe saw."""

    present: bool
    detail: str


@dataclass(frozen=True)
class ProbedHost:
    """The facts of a host, and {capability: presence}.

    `identity` stands for the machine without naming it. `clock` is (seconds ahead of our clock,
    half the round trip), or None for this machine.
    """

    facts: Mapping[str, Any]
    capabilities: Mapping[str, Presence]
    identity: str
    clock: tuple[float, float] | None = None

    @classmethod
    def of(
        cls, answer: Mapping[str, Any], identity: str, clock: tuple[float, float] | None = None
    ) -> Self:
        """Return a host from what `probe.probe` answered there, perhaps as JSON."""
        presences = {name: Presence(**state) for name, state in answer["capabilities"].items()}
        return cls(answer["facts"], presences, identity, clock)


@dataclass(frozen=True)
class ProbedSite:
    """This machine, and {name: host} of a site's hosts unless all of them are this machine."""

    here: ProbedHost
    hosts: Mapping[str, ProbedHost] = field(default_factory=dict)

    def host(self, name: str) -> ProbedHost:
        return self.hosts.get(name, self.here)

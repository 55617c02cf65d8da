"""Which capabilities the hosts of an experiment have, given what probing them found."""

from collections.abc import Collection, Mapping
from typing import Protocol

from benchpaper.hosts.probed import Presence, ProbedHost, ProbedSite
from benchpaper.hosts.site import HostEntry

NOT_PROBED = Presence(False, "its probe did not run there")


class _Capability(Protocol):
    @property
    def on_controller(self) -> bool: ...

    @property
    def role(self) -> str: ...


def capabilities(
    probed: ProbedSite,
    assigned: Mapping[str, HostEntry],
    known: Mapping[str, _Capability],
    only: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Presence]:
    """Return {capability: presence} of an experiment, whose roles are `assigned` to hosts.

    `known` are the registered capabilities. Look for each capability where it is needed: on the
    controller, or on the hosts that `needed_on` names. `only` is {capability: the roles that need
    it in this experiment}. A host without a capability decides.
    """
    everywhere = {host.name for host in assigned.values()}
    answers = {}
    for name, capability in known.items():
        needing = needed_on(capability, assigned, (only or {}).get(name, ()))
        hosts = {host.name: probed.host(host.name) for host in needing}
        here = probed.here.capabilities.get(name, Presence(False, "was not probed"))
        if name == "shared_host" and len(everywhere) > 1:
            here = Presence(False, "the roles are on different hosts")
        answers[name] = here if capability.on_controller else _on_hosts(name, here, hosts, probed)
    return answers


def needed_on(
    capability: _Capability, assigned: Mapping[str, HostEntry], only: Collection[str] = ()
) -> tuple[HostEntry, ...]:
    """Return the hosts that need a capability.

    They play one of the roles in `only`, or else the capability's own role, or else any role.
    """
    roles = only or [capability.role]
    return tuple(assigned[role] for role in roles if role in assigned) or tuple(assigned.values())


def _on_hosts(
    name: str,
    here: Presence,
    hosts: Mapping[str, ProbedHost],
    probed: ProbedSite,
) -> Presence:
    """Return the answer of the hosts without the capability `name`, or of the first host."""
    by_host = {
        host: answers.capabilities.get(name, here if answers is probed.here else NOT_PROBED)
        for host, answers in hosts.items()
    }
    lacking = {host: answer for host, answer in by_host.items() if not answer.present}
    if not lacking or len(hosts) == 1:
        return next(iter(by_host.values()))
    texts = [f"{host}: {answer.detail}" for host, answer in lacking.items()]
    return Presence(False, "; ".join(texts))

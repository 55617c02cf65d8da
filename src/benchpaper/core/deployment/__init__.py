"""Environments of trials on a host: container images, Conda environments, environment modules.

An environment is a capability of a host. Its name says all that a host must know to look for it:

    container:docker.io/library/gcc@sha256:...
    conda:tools                        an environment of that name
    conda:envs/tools.yaml#1a2b3c4d     made from a file, whose digest begins so
    module:gcc/13+openmpi/4.1
"""

from collections.abc import Iterable

from benchpaper.core import capabilities
from benchpaper.core.capabilities import Capability
from benchpaper.core.deployment import conda, containers, modules
from benchpaper.core.deployment.software import Lacking, Software

__all__ = ["KINDS", "Lacking", "Software", "containers", "find", "look"]

KINDS = {"container": containers, "conda": conda, "module": modules}


def find(name: str) -> Software:
    """Look for an environment on this machine. Raises `Lacking`."""
    kind, _, text = name.partition(":")
    software: Software = KINDS[kind].find(text)
    return software


def look(names: Iterable[str]) -> dict[str, Software | None]:
    """Return {environment: what this machine has}; None for one that it lacks."""
    answers: dict[str, Software | None] = {}
    for name in names:
        try:
            answers[name] = find(name)
        except Lacking:
            answers[name] = None
    return answers


def _capability(name: str) -> Capability:
    kind, _, text = name.partition(":")

    def check() -> tuple[bool, str]:
        try:
            return True, find(name).identity
        except Lacking as why:
            return False, str(why)

    return capabilities.made(
        name, KINDS[kind].meaning(text), KINDS[kind].remedy(text), check, __name__
    )


capabilities.KINDS |= dict.fromkeys(KINDS, _capability)

"""The environment that an experiment's trials run in: a container, Conda's, or modules.

A trial's commands run in it (`site.client.run([...])`); the trial itself, and the files that it
makes and fetches, stay outside. `core.deployment` looks for environments on hosts.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from benchpaper.core import deployment  # registers environments as capabilities of hosts
from benchpaper.core.capabilities import find_capability
from benchpaper.core.errors import UserError
from benchpaper.design.checks import SpecError, check_text, shown

__all__ = ["Conda", "Container", "Environment", "Environments", "Module", "deployment"]

IMAGE = re.compile(
    r"(localhost|[a-z0-9-]+(\.[a-z0-9-]+)+(:\d+)?|[a-z0-9-]+:\d+)(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r"(:\w[\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
NAME = re.compile(r"[A-Za-z0-9_][\w.+-]*")
MODULE = re.compile(r"[A-Za-z0-9_][\w.-]*(/[\w.-]+)*")
SHORT = 8  # digits of the digest of an environment's file, in the environment's name


@dataclass(frozen=True)
class Container:
    """A container image, which podman, docker, or apptainer runs on the host.

    `image` has its registry, and best its digest: "docker.io/library/gcc@sha256:...". `options` are
    more options of the engine's `run` (apptainer: `exec`), such as "--device=/dev/fuse".
    """

    image: str
    options: Sequence[str] = ()

    def __post_init__(self) -> None:
        check_text("container image", self.image, may_be_empty=False)
        if not IMAGE.fullmatch(self.image):
            raise SpecError(
                f"container image {shown(self.image)} must begin with its registry, as in "
                "docker.io/library/gcc:13 or localhost/mine:1, and may end with @sha256:..."
            )
        if isinstance(self.options, str) or not all(isinstance(o, str) for o in self.options):
            raise SpecError(f"container options {shown(self.options)} must be a list of texts")
        object.__setattr__(self, "options", tuple(self.options))

    def capability(self, root: Path) -> str:
        return f"container:{self.image}"


@dataclass(frozen=True)
class Conda:
    """A Conda environment: a file of the project that describes it, or the name of one.

    The file is YAML (`conda env create`), or text (`conda list --explicit`), below the project. Its
    environment has the file's name and the begin of its digest; a changed file has another one.
    """

    environment: str

    def __post_init__(self) -> None:
        check_text("Conda environment", self.environment, may_be_empty=False)
        path = PurePosixPath(self.environment)
        is_plain = path.as_posix() == self.environment and ".." not in path.parts
        if self.is_file and (path.is_absolute() or not is_plain or not NAME.fullmatch(path.stem)):
            raise SpecError(
                f"Conda environment {shown(self.environment)} must be a path below the project, "
                "such as envs/tools.yaml"
            )
        if not self.is_file and not NAME.fullmatch(self.environment):
            raise SpecError(
                f"Conda environment {shown(self.environment)} must be a name, or a file such as "
                "envs/tools.yaml"
            )

    @property
    def is_file(self) -> bool:
        return "/" in self.environment or self.environment.endswith((".yaml", ".yml", ".txt"))

    def capability(self, root: Path) -> str:
        if not self.is_file:
            return f"conda:{self.environment}"
        try:
            digest = hashlib.sha256((root / self.environment).read_bytes()).hexdigest()
        except OSError as error:
            raise UserError(
                f"the Conda environment's file {self.environment}: {error.strerror}"
            ) from None
        return f"conda:{self.environment}#{digest[:SHORT]}"


@dataclass(frozen=True, init=False)
class Module:
    """Environment modules that are loaded in this order: `Module("gcc/13", "openmpi/4.1")`."""

    names: tuple[str, ...]

    def __init__(self, *names: str):
        for name in names or ("",):
            if not isinstance(name, str) or not MODULE.fullmatch(name):
                raise SpecError(f"environment module {shown(name)} must be a name such as gcc/13")
        object.__setattr__(self, "names", names)

    def capability(self, root: Path) -> str:
        return f"module:{'+'.join(self.names)}"


Environment = Container | Conda | Module


@dataclass(frozen=True)
class Environments:
    """The environments of an experiment by role, and `names`, their capabilities by role."""

    by_role: Mapping[str, Environment] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: Any, roles: Sequence[str]) -> "Environments":
        """Return what `environment=` declares: nothing, one for all roles, or {role: its own}."""
        if declared is None:
            return cls()
        if isinstance(declared, Environment):
            return cls(dict.fromkeys(roles, declared))
        if not isinstance(declared, Mapping):
            raise SpecError(
                f"environment={shown(declared)} must be Container(...), Conda(...) or Module(...), "
                "or map roles to them"
            )
        for role, environment in declared.items():
            if role not in roles:
                raise SpecError(
                    f'environment is for "{role}", which is no role (there are: {", ".join(roles)})'
                )
            if not isinstance(environment, Environment):
                raise SpecError(
                    f"environment of {role} {shown(environment)} must be Container(...), "
                    "Conda(...) or Module(...)"
                )
        return cls(dict(declared))

    def found_below(self, root: Path) -> "Environments":
        """Return the environments with their names, and register these as capabilities.

        `root` is the project's folder. Raises `UserError` if a file is missing.
        """
        names = {role: environment.capability(root) for role, environment in self.by_role.items()}
        for name in names.values():
            find_capability(name)
        return Environments(self.by_role, names)

    def roles_of(self) -> dict[str, set[str]]:
        """Return {capability: the roles whose hosts need it}."""
        distinct = dict.fromkeys(self.names.values())
        return {
            name: {role for role, other in self.names.items() if other == name} for name in distinct
        }

    def options(self, role: str) -> tuple[str, ...]:
        """Return the options of a role's container."""
        environment = self.by_role.get(role)
        return tuple(environment.options) if isinstance(environment, Container) else ()

"""The metadata of a deposit: Zenodo's, and a bill of materials (CycloneDX 1.5) of the lock."""

import re
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from benchpaper.artifact.bundle import strict
from benchpaper.core import settings
from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import Revision

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

PINNED = re.compile(r"^([A-Za-z0-9_.\-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Pin:
    """A locked package; its name is in canonical form."""

    name: str
    version: str
    hashes: list[str] = field(default_factory=list)  # SHA-256 of each file that may be installed


def pyproject(project: Project) -> dict[str, Any]:
    """Return the table [project] of pyproject.toml; raise `UserError` if the file is broken."""
    path = project.root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text()).get("project", {}) if path.exists() else {}
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"pyproject.toml is not valid TOML ({error}); correct it") from None


def citation(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return CITATION.cff; raise `UserError` if it is missing or lacks what a deposit needs."""
    if "CITATION.cff" not in files:
        raise UserError(
            "there is no CITATION.cff; add one (cff-version, title, authors, license, version)"
        )
    cited = strict.from_yaml(files["CITATION.cff"], "CITATION.cff")
    if not isinstance(cited, dict):
        raise UserError("CITATION.cff holds no mapping; write lines KEY: VALUE")
    if missing := [
        name for name in ("title", "authors", "license", "version") if not cited.get(name)
    ]:
        raise UserError(f"CITATION.cff lacks {', '.join(missing)}")
    return cited


def person(author: Mapping[str, str]) -> str:
    """Return an author of CITATION.cff as "Family, Given", or the name of an organisation."""
    if "name" in author:
        return author["name"]
    return ", ".join(filter(None, (author.get("family-names"), author.get("given-names"))))


def zenodo(files: Mapping[str, bytes], state: Revision) -> dict[str, Any]:
    """Return the content of .zenodo.json (Zenodo's deposit metadata).

    It follows from CITATION.cff; benchpaper.toml may name the keywords.
    """
    cited = citation(files)
    paper = settings.parsed(files.get(settings.FILE, b""))
    creators = [
        {"name": person(author)}
        | ({"affiliation": author["affiliation"]} if author.get("affiliation") else {})
        | ({"orcid": author["orcid"].rsplit("/", 1)[-1]} if author.get("orcid") else {})
        for author in cited["authors"]
    ]
    return {
        "title": cited["title"],
        "upload_type": "software",
        "creators": creators,
        "version": str(cited["version"]),
        "license": cited["license"],
        "publication_date": state.day,
        "access_right": "open",
        "description": cited.get(
            "abstract",
            "Artifact of the paper: sources, results with provenance, executed notebooks, PDF.",
        ),
        "keywords": cited.get("keywords") or list(paper.keywords) or ["artifact"],
    }


def locked(files: Mapping[str, bytes]) -> list[Pin]:
    """Return the packages of requirements.lock.

    A package may have several versions, for several versions of Python. Raises `UserError` without
    that file.
    """
    if "requirements.lock" not in files:
        raise UserError(
            "there is no requirements.lock, which says with which versions this was measured; "
            "./reproduce writes it: run that once, and commit the file"
        )
    pins: list[Pin] = []
    for line in files["requirements.lock"].decode().splitlines():
        if match := PINNED.match(line):
            pins.append(Pin(canonicalize_name(match[1]), match[2]))
        if pins:
            pins[-1].hashes.extend(HASH.findall(line))
    return pins


def sbom(files: Mapping[str, bytes], state: Revision) -> bytes:
    """Return the bill of materials as JSON: locked packages with hashes, system packages by name.

    The same files give the same bytes.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot5

    subject = Component(
        name=citation(files)["title"], type=ComponentType.APPLICATION, bom_ref="artifact"
    )
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, state.commit),
        components=[*map(_package, locked(files)), *map(_program, system_packages(files))],
    )
    bom.metadata.timestamp = datetime.fromtimestamp(state.seconds, UTC)
    bom.metadata.component = subject
    bom.register_dependency(subject, bom.components)
    return f"{JsonV1Dot5(bom).output_as_string(indent=1)}\n".encode()


def check_sbom(data: bytes) -> None:
    """Raise `UserError` if a bill of materials breaks the schema of CycloneDX 1.5."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if broken := JsonStrictValidator(SchemaVersion.V1_5).validate_str(data.decode()):
        text = " ".join(str(broken).split())[:200]
        raise UserError(f"the bill of materials breaks the schema of CycloneDX: {text}")


def _package(pin: Pin) -> "Component":
    """Return a locked package.

    Each machine installs one of several wheels, so its digests are not the hashes of one file.
    """
    from cyclonedx.model import Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL("pypi", None, pin.name, pin.version)
    return Component(
        name=pin.name,
        version=pin.version,
        type=ComponentType.LIBRARY,
        bom_ref=str(url),
        purl=url,
        properties=[Property(name="benchpaper:sha256", value=digest) for digest in pin.hashes],
    )


def _program(name: str) -> "Component":
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = PackageURL("deb", "debian", name)
    return Component(name=name, type=ComponentType.APPLICATION, bom_ref=f"pkg:deb/{name}", purl=url)


def system_packages(files: Mapping[str, bytes]) -> list[str]:
    """Return the names of the system packages in packages.apt, each once.

    A line that begins with "[" names the group of the packages below it.
    """
    lines = files.get("packages.apt", b"").decode().splitlines()
    words = (line.split("#")[0].split() for line in lines if not line.startswith("["))
    return list(dict.fromkeys(word[0] for word in words if word))

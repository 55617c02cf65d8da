"""The metadata of a deposit: Zenodo's, and a bill of materials (CycloneDX 1.5) of the lock."""

import re
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from packaging.utils import canonicalize_name

from benchpaper.core.errors import UserError
from benchpaper.core.project import Project
from benchpaper.core.revision import Revision

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
    try:
        cited = yaml.safe_load(files["CITATION.cff"])
    except KeyError:
        raise UserError(
            "there is no CITATION.cff; add one (cff-version, title, authors, license, version)"
        ) from None
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
    """Return the content of .zenodo.json (Zenodo's deposit metadata) from CITATION.cff."""
    cited = citation(files)
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
        "keywords": cited.get("keywords", ["artifact", "reproducibility", "storage systems"]),
    }


def locked(files: Mapping[str, bytes]) -> list[Pin]:
    """Return the packages of requirements.lock.

    A package may have several versions, for several versions of Python.
    """
    pins: list[Pin] = []
    for line in files["requirements.lock"].decode().splitlines():
        if match := PINNED.match(line):
            pins.append(Pin(canonicalize_name(match[1]), match[2]))
        if pins:
            pins[-1].hashes.extend(HASH.findall(line))
    return pins


def sbom(files: Mapping[str, bytes], state: Revision) -> dict[str, Any]:
    """Return the bill of materials: locked packages with hashes, system packages by name."""
    python = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{pin.name}@{pin.version}",
            "name": pin.name,
            "version": pin.version,
            "purl": f"pkg:pypi/{pin.name}@{pin.version}",
            # Each machine installs one of several wheels, so these are not hashes of one file.
            "properties": [
                {"name": "benchpaper:sha256", "value": digest} for digest in sorted(pin.hashes)
            ],
        }
        for pin in locked(files)
    ]
    lines = (
        line.split("#")[0].split() for line in files.get("packages.apt", b"").decode().splitlines()
    )
    system = [
        {
            "type": "application",
            "bom-ref": f"pkg:deb/{words[0]}",
            "name": words[0],
            "purl": f"pkg:deb/debian/{words[0]}",
        }
        for words in lines
        if words
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, state.commit)}",
        "metadata": {
            "component": {"type": "application", "bom-ref": "benchpaper", "name": "benchpaper"}
        },
        "components": [*python, *system],
    }

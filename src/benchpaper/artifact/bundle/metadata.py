"""What a deposit asks for beside the files: Zenodo's metadata, and a bill of materials (CycloneDX 1.5) of the lock."""

import re
import uuid

import yaml

from benchpaper.core.errors import UserError

PIN = re.compile(r"^([A-Za-z0-9_.\-]+)==([^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def citation(files):
    """Return CITATION.cff as a dict. Raises `UserError` when it is missing or lacks what a deposit needs."""
    try:
        found = yaml.safe_load(files["CITATION.cff"])
    except KeyError:
        raise UserError(
            "there is no CITATION.cff; add one (cff-version, title, authors, license, version)"
        ) from None
    if missing := [
        name for name in ("title", "authors", "license", "version") if not found.get(name)
    ]:
        raise UserError(f"CITATION.cff lacks {', '.join(missing)}")
    return found


def person(author):
    """Return an author of CITATION.cff as "Family, Given", or the name of a body."""
    if "name" in author:
        return author["name"]
    return ", ".join(filter(None, (author.get("family-names"), author.get("given-names"))))


def zenodo(files, state):
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


def locked(files):
    """Return [(package, version, [SHA-256, ...])] of requirements.lock."""
    found = []
    for line in files["requirements.lock"].decode().splitlines():
        if pin := PIN.match(line):
            found.append((pin[1], pin[2], []))
        if found:
            found[-1][2].extend(HASH.findall(line))
    return found


def sbom(files, state):
    """Return the bill of materials: each locked package with its hashes, and the system packages by name."""
    locks = locked(files)
    python = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name.lower()}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name.lower()}@{version}",
            # one of these is of the wheel that a machine takes, so they are properties, not hashes of one file
            "properties": [
                {"name": "benchpaper:sha256", "value": digest} for digest in sorted(hashes)
            ],
        }
        for name, version, hashes in locks
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

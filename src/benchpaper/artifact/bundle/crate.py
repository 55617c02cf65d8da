"""The RO-Crate of a bundle: what each file is, and the run that made the results and the PDF.

It is a Workflow Run RO-Crate (profile 0.5), so other tools too can tell what came from what.
"""

import hashlib
import mimetypes
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from benchpaper.artifact.bundle import metadata
from benchpaper.core.project import slug
from benchpaper.core.revision import Revision

if TYPE_CHECKING:
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

METADATA, ZENODO, SBOM = "ro-crate-metadata.json", ".zenodo.json", "sbom.cdx.json"
GENERATED = (METADATA, ZENODO, SBOM, "bundle.json", "manifest-sha256.txt")
PROFILES = (
    "https://w3id.org/ro/wfrun/process/0.5",
    "https://w3id.org/ro/wfrun/workflow/0.5",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
)
WORKFLOW = "Snakefile"
TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".ipynb": "application/x-ipynb+json",
    ".md": "text/markdown",
    ".tex": "application/x-tex",
    ".cff": "text/yaml",
    ".yaml": "text/yaml",
    ".lock": "text/plain",
    ".bib": "application/x-bibtex",
}


def describe(
    files: Mapping[str, bytes], description: Mapping[str, Any], state: Revision
) -> dict[str, Any]:
    """Return the content of ro-crate-metadata.json.

    `files` are {name: bytes}; `description` is the content of bundle.json.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    cited = metadata.citation(files)
    crate = ROCrate(version="1.1")
    day = datetime.fromtimestamp(state.seconds, UTC)
    crate.root_dataset["datePublished"] = day.date().isoformat()
    crate.name = cited["title"]
    crate.description = (
        f"Artifact of the paper, "
        f"with the {description['source']} results of site {description['site']}"
    )
    crate.license = crate.add(
        ContextEntity(crate, _licence(cited), {"@type": "CreativeWork", "name": cited["license"]})
    )
    for profile in PROFILES:
        version = profile.rsplit("/", 1)[-1]
        crate.add(
            ContextEntity(
                crate,
                profile,
                {"@type": "CreativeWork", "name": profile.split("/")[-2], "version": version},
            )
        )
    crate.root_dataset["conformsTo"] = [{"@id": profile} for profile in PROFILES]
    authors = [_author(crate, author) for author in cited["authors"]]
    crate.root_dataset["author"] = authors
    for name in sorted(set(files) - {METADATA, WORKFLOW}):
        crate.add_file(dest_path=name, properties=_file(name, files[name]))
    _add_run(crate, files, description, day, authors)
    content = crate.metadata.generate()
    content["@graph"] = sorted(content["@graph"], key=lambda entity: entity["@id"])
    return content


def _licence(cited: Mapping[str, Any]) -> str:
    return f"https://spdx.org/licenses/{cited['license']}"


def _author(crate: "ROCrate", author: Mapping[str, str]) -> "ContextEntity":
    from rocrate.model.contextentity import ContextEntity

    name = metadata.person(author)
    identity = author.get("orcid") or "#" + re.sub(r"\W+", "-", name.lower())
    return crate.add(
        ContextEntity(
            crate,
            identity,
            {"@type": "Organization" if "name" in author else "Person", "name": name},
        )
    )


def _file(name: str, data: bytes) -> dict[str, str]:
    """Return the crate's properties of a file."""
    ending = f".{name.rsplit('.', 1)[-1]}" if "." in name.rsplit("/", 1)[-1] else ""
    kind = TYPES.get(ending) or mimetypes.types_map.get(ending, "text/plain")
    return {
        "name": name,
        "encodingFormat": kind,
        "contentSize": str(len(data)),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _add_run(
    crate: "ROCrate",
    files: Mapping[str, bytes],
    description: Mapping[str, Any],
    day: datetime,
    authors: Sequence["ContextEntity"],
) -> None:
    """Add the workflow, its parameters, and the action that ran it."""
    from rocrate.model.contextentity import ContextEntity

    workflow = crate.add_workflow(
        dest_path=WORKFLOW, main=True, lang="snakemake", properties=_file(WORKFLOW, files[WORKFLOW])
    )
    workflow["name"] = "The pipeline: build, measure, collect, analyse, judge, gather, typeset"
    workflow["input"], arguments = _add_parameters(crate, description)
    build = description["build"]
    made = sorted(name for name in files if name.startswith(f"{build}/"))
    notebooks = {f"analysis/{slug(name)}.ipynb" for name in description["experiments"]}
    tables = sorted(name for name in files if name.endswith(".parquet"))
    used = [*sorted(notebooks & set(files)), *tables]
    action = {
        "@type": "CreateAction",
        "name": f"The paper from the {description['source']} results of site {description['site']}",
        "instrument": {"@id": WORKFLOW},
        "endTime": day.isoformat(),
        "agent": authors,
        "actionStatus": {"@id": "http://schema.org/CompletedActionStatus"},
        "object": [*arguments, *({"@id": name} for name in used)],
        "result": [{"@id": name} for name in made],
    }
    run = crate.add(ContextEntity(crate, f"#run-{description['commit'][:12]}", action))
    crate.root_dataset["mentions"] = [run]


def _add_parameters(
    crate: "ROCrate", description: Mapping[str, Any]
) -> tuple[list["ContextEntity"], list["ContextEntity"]]:
    """Add the workflow's parameters. Return them, and the values that they had."""
    from rocrate.model.contextentity import ContextEntity

    formal, actual = [], []
    for name, meaning in (
        ("site", "target hosts"),
        ("source", "scale that is measured at, or the committed reference"),
    ):
        parameter = {
            "@type": "FormalParameter",
            "additionalType": "Text",
            "name": name,
            "description": meaning,
            "valueRequired": False,
            "conformsTo": {"@id": "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"},
        }
        formal.append(crate.add(ContextEntity(crate, f"#parameter-{name}", parameter)))
        argument = {
            "@type": "PropertyValue",
            "name": name,
            "value": description[name],
            "exampleOfWork": {"@id": f"#parameter-{name}"},
        }
        actual.append(crate.add(ContextEntity(crate, f"#value-{name}", argument)))
    return formal, actual

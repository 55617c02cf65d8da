"""Validates a bundle's RO-Crate with roc-validator, offline.

The validator fetches only the JSON-LD context of RO-Crate 1.1. The rocrate package has a later
context, which differs in the terms of Bioschemas.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

PROFILE = "workflow-run-crate-0.5"
BIOSCHEMAS = "https://bioschemas.org/"
OF_1_1 = {
    "ComputationalWorkflow": f"{BIOSCHEMAS}ComputationalWorkflow",
    "FormalParameter": f"{BIOSCHEMAS}FormalParameter",
    "input": f"{BIOSCHEMAS}ComputationalWorkflow#input",
    "output": f"{BIOSCHEMAS}ComputationalWorkflow#output",
}


def issues(folder: Path) -> list[str]:
    """Return a line for each required rule of the profile that an unpacked bundle breaks."""
    from rocrate_validator import models, services

    with _offline():
        settings = services.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier=PROFILE,
            requirement_severity=models.Severity.REQUIRED,
            skip_availability_check=True,
            no_cache=True,
        )
        outcome = services.validate(settings)
    return [f"{issue.check.identifier}: {issue.message}" for issue in outcome.get_issues()]


@contextmanager
def _offline() -> Iterator[None]:
    from rocrate_validator.utils.http import HttpRequester

    document = json.loads((package_files("rocrate") / "data" / "ro-crate.jsonld").read_text())
    document["@context"] |= OF_1_1
    HttpRequester.get = lambda self, url, **options: _Response(
        document if url.startswith("https://w3id.org/ro/crate/") else None
    )
    try:
        yield
    finally:
        del HttpRequester.get


class _Response:
    """A response with the attributes that the validator reads; 404 without a document."""

    def __init__(self, document: dict[str, Any] | None) -> None:
        self.status_code = 200 if document else 404
        self.text = json.dumps(document)
        self.content = self.text.encode()
        self.headers = {"Content-Type": "application/ld+json"}
        self.links: dict[str, Any] = {}

    def json(self) -> Any:
        return json.loads(self.text)

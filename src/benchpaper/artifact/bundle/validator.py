"""Validates a bundle's RO-Crate with roc-validator, offline. The one document that it fetches is the JSON-LD context of
RO-Crate 1.1; the rocrate package carries a later one, which differs in the terms of Bioschemas."""

import json
from contextlib import contextmanager
from importlib.resources import files as package_files

PROFILE = "workflow-run-crate-0.5"
BIOSCHEMAS = "https://bioschemas.org/"
OF_1_1 = {
    "ComputationalWorkflow": f"{BIOSCHEMAS}ComputationalWorkflow",
    "FormalParameter": f"{BIOSCHEMAS}FormalParameter",
    "input": f"{BIOSCHEMAS}ComputationalWorkflow#input",
    "output": f"{BIOSCHEMAS}ComputationalWorkflow#output",
}


def issues(folder):
    """Return what breaks a required rule of the profile in the unpacked bundle `folder`, one line each."""
    from rocrate_validator import models, services

    with _offline():
        settings = services.ValidationSettings(
            rocrate_uri=str(folder),
            profile_identifier=PROFILE,
            requirement_severity=models.Severity.REQUIRED,
            skip_availability_check=True,
            no_cache=True,
        )
        found = services.validate(settings)
    return [f"{issue.check.identifier}: {issue.message}" for issue in found.get_issues()]


@contextmanager
def _offline():
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
    """What the validator reads of an answer: the context, or that nothing else is there."""

    def __init__(self, document):
        self.status_code = 200 if document else 404
        self.text = json.dumps(document)
        self.content = self.text.encode()
        self.headers = {"Content-Type": "application/ld+json"}
        self.links = {}

    def json(self):
        return json.loads(self.text)

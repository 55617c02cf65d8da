"""An environment and a redactor for the tests of redaction."""

import os

import pytest
from redacted_texts import HOME, PROJECT

from benchpaper.core.redact import Redactor


@pytest.fixture
def bare_environment(monkeypatch):
    """Leave only PATH, LANG and a HOME that is not this machine's."""
    for name in [name for name in os.environ if name not in ("PATH", "LANG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", HOME)


@pytest.fixture
def redactor(bare_environment):
    return Redactor(PROJECT)
